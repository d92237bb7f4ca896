"""`--dry-run`: what would be done, and the most it may cost. What this machine cannot tell is said, not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from tts.cli.source import Source
from tts.cli.streams import harmless, spells_unicode, tell
from tts.errors import EngineError, NotHereError, plural
from tts.problems.sources import Specs, known_size
from tts.problems.taking import Taking
from tts.protocols import AskingScorer, Sampler, SearchingSampler
from tts.recipe import Recipe
from tts.runs.folder import StoredFolder, candidate_places, input_lines
from tts.types import InputRow, Problem, ProblemRow


def print_plan(
    recipe: Recipe, named: Specs | None, asked: Taking, choose: Callable[[], Source], run: Path | None
) -> None:
    """Print the resolved recipe, the engine's capabilities, one rendered prompt and the token budget.

    `named` is where the problems are said to be, `choose` opens them, and `run` is the folder that goes on, if any.
    """
    untold: list[str] = []
    print("# recipe (resolved)")
    print(yaml.safe_dump(recipe.resolved(), sort_keys=False, allow_unicode=spells_unicode()), end="")
    engines = recipe.engines()
    print("\n# capabilities of the engine" + "s" * (len(engines) > 1))
    for place, engine in engines.items():
        print(f"{place}: " * (len(engines) > 1) + ", ".join(sorted(engine.capabilities())))
        try:
            engine.check()
        except (NotHereError, EngineError) as error:
            of_place = "" if place == "engine" else f" of `{place}`"
            untold.append(f"the engine{of_place} cannot be opened here: {error}")

    # the problems: as they are read, else as many as their sets are known to have
    print("\n# problems")
    shown: Problem | None = None
    num_missing, num_problems = 0, None
    try:
        source = choose()
        shown, num_problems, num_bad, num_missing = _counted(recipe.sampler, source, run)
        print(f"{plural(num_problems, 'problem')} from {_told(source.spec)}; {plural(num_bad, 'bad row')}")
        if shown is None:
            return
    except NotHereError as error:
        untold.append(f"the problems are not read: {error}")
        num_problems = _known(named, asked)
        num_missing = (num_problems or 0) * recipe.sampler.num_candidates
        many = "an unknown number of" if num_problems is None else str(num_problems)
        print(f"{many} problems from {_told(named or '-')}, as far as is known without reading them")

    # one prompt
    messages = recipe.task.messages(shown or Problem("", "<the problem's text>", recipe.task.kind))
    about = f"prompt of {shown.id}" if shown else "prompt around a problem"
    try:
        prompt, num_tokens = recipe.engine.render(messages)
        print(harmless(f"\n# {about} ({num_tokens} tokens)\n{prompt}"))
    except NotHereError as error:
        reason = str(error)
        if not any(reason in one for one in untold):
            untold.append(f"the prompt is not rendered: {reason}")
        print(f"\n# {about} (before the model's chat template; its tokens are not counted)")
        print(harmless("\n\n".join(f"[{message.role}]\n{message.content}" for message in messages)))

    _print_budget(recipe.sampler, num_problems, num_missing)
    scorer, number = recipe.selector.scorer, recipe.sampler.num_candidates
    if isinstance(scorer, AskingScorer):
        calls, tokens = scorer.most_calls(number), scorer.most_tokens(number)
        print(
            f"the scorer asks, on top: at most {calls} calls a problem (its branches among them), "
            f"{tokens} tokens to write"
        )
    for place in [place for place in engines if place != "engine" and "rewards" in engines[place].capabilities()]:
        print(f"what `{place}` reads, and writes in order to rate, comes on top")
    if untold:
        print("\n# what cannot be told on this machine")
        for one in untold:
            print(harmless(f"- {one}"))


def _print_budget(sampler: Sampler, num_problems: int | None, num_missing: int) -> None:
    print("\n# budget")
    if isinstance(sampler, SearchingSampler):
        calls, tokens = sampler.most_calls, sampler.most_tokens
        print(
            f"one search for each problem: at most {plural(sampler.num_candidates, 'candidate')}, {calls} calls (its "
            f"branches and looks at answers among them), {tokens} tokens to write"
        )
        if num_problems is not None:
            print(f"{plural(num_problems, 'problem')}: at most {num_problems * tokens} tokens to write")
    elif num_problems is None:
        per_problem = sampler.num_candidates * sampler.max_tokens
        drawn = plural(sampler.num_candidates, "candidate")
        print(f"{drawn} a problem, at most {per_problem} tokens to write for each problem")
    else:
        total = num_problems * sampler.num_candidates
        each, together = plural(sampler.num_candidates, "candidate"), plural(total, "candidate")
        print(f"{plural(num_problems, 'problem')} × {each} = {together}")
        if num_missing < total:
            print(f"{total - num_missing} of them are drawn already, {num_missing} are missing")
        print(f"at most {num_missing} × {sampler.max_tokens} = {num_missing * sampler.max_tokens} tokens to write")


def _counted(sampler: Sampler, source: Source, run: Path | None) -> tuple[Problem | None, int, int, int]:
    """Return the first problem, and how many problems, bad rows and candidates to draw there are; keeps no rows.

    What the folder `run` holds already is not drawn again, but for unfinished problems whose candidates go together.
    """
    folder = None if run is None or not (run / "run.json").exists() else StoredFolder(run)
    try:
        drawn = {} if folder is None else candidate_places(folder["candidates.jsonl"])
        rows: Iterable[InputRow] = source.rows or ()
        if source.rows is None and folder is not None:
            rows = (line.row for _, line in input_lines(folder["problems.jsonl"]) if line.row is not None)
        first: Problem | None = None
        num_problems = num_bad = num_missing = 0
        for row in rows:
            if not isinstance(row, ProblemRow):
                num_bad += 1
                tell(f"line {row.line}: {row.message}")
                continue
            first = first or row.problem
            num_problems += 1
            num_there = len(drawn.get(row.problem.id, ()))
            is_redrawn = sampler.interacting and num_there < sampler.num_candidates
            num_missing += sampler.num_candidates - (0 if is_redrawn else min(num_there, sampler.num_candidates))
        return first, num_problems, num_bad, num_missing
    finally:
        if folder is not None:
            folder.close()


def _known(named: Specs | None, asked: Taking) -> int | None:
    """Return how many problems will be taken of sets whose size is known; None where one's is not."""
    sizes = [known_size(one) for one in ((named,) if isinstance(named, str) else named or ())]
    if not sizes or None in sizes:
        return None
    whole = len(asked.ids) or sum(size or 0 for size in sizes)
    taken = whole if asked.limit is None else min(whole, asked.limit)
    return taken if asked.shard is None else len(range(asked.shard[0], taken, asked.shard[1]))


def _told(spec: Specs) -> str:
    return harmless(spec if isinstance(spec, str) else ", ".join(spec))
