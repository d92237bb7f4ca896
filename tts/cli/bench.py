"""`tts bench`: what did the extra compute buy?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tts.cli.options import (
    Axis,
    Baseline,
    CostBudget,
    Embeddings,
    NoCandidates,
    PerplexityModel,
    StoredProblems,
    TimeLimit,
    TokenBudget,
    read_axis,
    read_ks,
    read_seconds,
)
from tts.cli.solve import (
    EXIT_SOME_FAILED,
    EXIT_UNFINISHED,
    Limit,
    Overrides,
    Problems,
    note_resumable,
    recipe_names,
)
from tts.cli.streams import tell


def bench(  # noqa: PLR0917 - typer's parameters are options; nobody passes them by position
    problems: Problems = None,
    recipes: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            "-r",
            help="A recipe's file or shipped name; repeat it to compare. (default: quickstart)",
            autocompletion=recipe_names,
        ),
    ] = None,
    k: Annotated[
        str | None,
        typer.Option(
            "--k",
            metavar="1,8,64",
            help="Candidates to choose from; the most are drawn, of a search a run for each. (default: 1,2,4,…)",
        ),
    ] = None,
    stored: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="RUN", help="A run folder or a JSONL file of candidates, taken as it is."),
    ] = None,
    stored_problems: StoredProblems = None,
    overrides: Overrides = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", metavar="N", min=0, help="For all recipes, or once for each.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="The benchmark's folder; resumed where it exists.")
    ] = None,
    limit: Limit = None,
    turns: Annotated[
        int | None,
        typer.Option(
            "--turns",
            metavar="N",
            min=1,
            help="Let the recipes take N turns each, to compare their tokens/s; a turn loads its model. (default: 1)",
        ),
    ] = None,
    time_limit: TimeLimit = None,
    token_budget: TokenBudget = None,
    cost_budget: CostBudget = None,
    embeddings: Embeddings = None,
    perplexity: PerplexityModel = None,
    no_candidates: NoCandidates = False,
    baseline: Baseline = None,
    axis: Axis = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as one JSON object.")] = False,
) -> None:
    """Draw candidates by one recipe or several on the same problems, grade all, and say what k candidates buy.

    pass@k, maj@k and every selector's accuracy with 95 % intervals; paired comparisons; cost; diversity; warnings.
    Results are a table on a terminal, JSON lines where stdout is piped. DIR gets a run folder a recipe (of a search one
    for each k), report.json and report.html. Exit codes are those of `tts solve`.
    """
    from tts.bench.settings import BenchSettings
    from tts.cli import source
    from tts.cli.benching import Benching, StoppedError
    from tts.cli.interrupt import stop_after, stop_on_signals
    from tts.pipeline.cap import Budget

    asked = BenchSettings(
        recipes=tuple(recipes or ()),
        overrides=tuple(overrides or ()),
        seeds=tuple(seeds or ()),
        candidates=not no_candidates,
        ks=read_ks(k),
        problems=source.specs(problems),
        limit=limit,
        stored=tuple(str(path) for path in stored or ()),
        stored_problems=stored_problems,
        embeddings=embeddings or "",
        perplexity=perplexity,
        turns=turns or 0,
        baseline=baseline,
        axis=read_axis(axis),
    )
    benching = Benching(asked, run, Budget(token_budget, cost_budget))
    resume = shlex.join(["tts", "bench", "--run", str(benching.folder.path)])
    seconds = read_seconds(time_limit)
    with stop_on_signals(benching.stop) as signals, stop_after(seconds, benching.stop) as out_of_time:
        try:
            benching.prepare()
            benching.draw(as_json=as_json)
            benching.show(benching.report(as_json=as_json), as_json=as_json)
        except StoppedError:
            kept = benching.started or benching.resumed
            then = f"resume with: {resume}" if kept else "nothing is kept, since nothing was drawn"
            if out_of_time.is_set() and not signals:
                tell(f"the time limit of {time_limit} is reached; {then}")
                raise typer.Exit(EXIT_UNFINISHED) from None
            tell(f"interrupted; {then}")
            raise typer.Exit(128 + (signals or [2])[0]) from None
        except Exception as error:
            if benching.started:
                note_resumable(error, resume)
            raise
        finally:
            benching.abandon()
    if benching.num_failed:
        raise typer.Exit(EXIT_SOME_FAILED)
