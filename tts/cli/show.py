"""`tts show`: one problem of a stored run, or all in a line each, for reading in the terminal."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tts.cli.options import StoredProblems
from tts.cli.streams import harmless

if TYPE_CHECKING:
    from tts.pipeline.judges import Evaluators
    from tts.runs.stored import Stored
    from tts.types import Candidate, Judged, Verdict


def show(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run folder, a folder of `tts bench`, or a JSONL file of candidates."),
    ],
    problem: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The problem to show. (default: all, a line each)")
    ] = None,
    problems: StoredProblems = None,
) -> None:
    """Show a problem's prompt, its candidates by answer, their verdicts and scores; without ID a line a problem.

    Of a search also what it took, and its calls as a tree: rewards, what lives on in candidates, what was given up.

    Nothing is drawn or changed; what is not stored as judged is judged for the showing. On a terminal it is paged.
    """
    from tts.errors import UsageError, nearest, shown
    from tts.runs.opening import open_stored

    opened = open_stored([run], problems)
    try:
        names = [name for one in opened for name in (*one.problem_ids, *one.waiting_ids)]
        if problem is not None and problem not in names:
            raise UsageError(f"ID must be that of a problem in {run}, got {shown(problem)}.{nearest(problem, names)}")
        if sys.stdout.isatty():
            _page(_lines(opened, problem))
        else:
            for line in _lines(opened, problem):
                print(line)
    finally:
        for one in opened:
            one.close()


def _page(lines: Iterator[str]) -> None:
    """Show the lines in the user's pager, `less` where none is set; what fits on the screen stays on it."""
    command = shlex.split(os.environ.get("PAGER") or ("less" if shutil.which("less") else ""))
    if not command or os.environ.get("TERM", "dumb") == "dumb" or shutil.which(command[0]) is None:
        for line in lines:
            print(line)
        return
    environment = {"LESS": "FRX", **os.environ}
    pager = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, encoding="utf-8", errors="replace")
    assert pager.stdin is not None
    with contextlib.suppress(BrokenPipeError), pager.stdin as stdin:  # the reader has seen enough
        stdin.writelines(f"{line}\n" for line in lines)
    while True:
        try:
            pager.wait()
            return
        except KeyboardInterrupt:  # it is the pager's
            continue


def _lines(opened: Sequence[Stored], problem_id: str | None) -> Iterator[str]:
    from rich.console import Console

    from tts.cli.display import header_line, result_line
    from tts.pipeline.judges import Evaluators
    from tts.pipeline.rejudging import Rejudging

    width = Console().width if sys.stdout.isatty() else 120
    for number, run in enumerate(opened):
        if len(opened) > 1:
            yield from [""] * (number > 0) + [f"# {harmless(str(run.path))}"]
        if problem_id is None:
            yield header_line().plain
            yield from (harmless(result_line(outcome, width).plain) for outcome in Rejudging(run, False).outcomes())
        elif problem_id in run.waiting_ids:
            yield f"problem {harmless(problem_id)} has no candidates yet"
            yield from map(harmless, _search(run, problem_id, (), width))
        elif problem_id in run.problem_ids:
            with Evaluators(run.recipe) as evaluators:
                yield from map(harmless, _problem(run, problem_id, evaluators, width))


def _problem(run: Stored, problem_id: str, evaluators: Evaluators, width: int) -> Iterator[str]:
    """Yield what there is to see of a problem: asked, right, handed in, candidates by answer, its search."""
    from tts.pipeline.rejudging import judged_again

    row, candidates = run.row(problem_id), run.candidates(problem_id)
    judged = judged_again(evaluators, run, row, candidates)
    yield f"problem {problem_id} ({row.problem.kind})"
    for message in evaluators.tasks[row.problem.kind].messages(row.problem):
        yield ""
        yield f"[{message.role}]"
        yield from message.content.split("\n")
    yield ""
    if row.reference.answer is not None:
        yield f"right answer: {row.reference.answer}"
    elif row.reference.tests is not None:
        yield "judged by hidden tests"
    else:
        yield "no reference: nothing is graded"
    selection = judged.selection
    votes = f"; weights {', '.join(f'{weight:g}' for weight in selection.weights)}" if selection.weights else ""
    chosen = "nothing" if selection.index is None else f"candidate {selection.index}, {selection.answer}"
    yield f"handed in: {chosen}{votes}"
    if selection.fallback:
        yield f"by the plain vote, since {selection.fallback}"
    yield f"verdict: {_verdict(judged.verdict)}"

    # candidates by answer: the one handed in first, then by how many gave it; those without one last
    places: dict[int | None, list[int]] = {}
    for place, node in enumerate(judged.nodes):
        places.setdefault(node, []).append(place)
    winning = [
        node for node, members in places.items() if any(candidates[place].index == selection.index for place in members)
    ]
    order = sorted(places, key=lambda node: (node is None, node not in winning, -len(places[node])))
    for node in order:
        members = places[node]
        answer = judged.answers[members[0]]
        yield ""
        yield f"== {len(members)} of {len(candidates)}: {'no answer' if answer is None else answer.text}"
        for place in members:
            yield from _candidate(candidates[place], judged, place)
    yield from _search(run, problem_id, candidates, width)


def _search(run: Stored, problem_id: str, candidates: Sequence[Candidate], width: int) -> Iterator[str]:
    from tts.cli.search_lines import search_lines

    tree = run.search_tree(problem_id, candidates)
    if tree is not None:
        yield ""
        yield from search_lines(tree, run.recipe.sampler.num_candidates, width)


def _candidate(candidate: Candidate, judged: Judged, place: int) -> Iterator[str]:
    from tts.errors import plural

    figures = [
        candidate.sampler,
        "unknown tokens" if candidate.num_tokens is None else plural(candidate.num_tokens, "token"),
        candidate.finish_reason,
    ]
    if candidate.mean_logprob is not None:
        figures.append(f"mean logprob {candidate.mean_logprob:.3f}")
    if judged.scores:
        value = judged.scores[place].value
        figures.append(f"score {value:.4g}" if value is not None else f"no score ({judged.scores[place].detail})")
    yield ""
    yield f"-- candidate {candidate.index}: {_verdict(judged.verdicts[place])} · {' · '.join(figures)}"
    if candidate.reasoning is not None:
        yield "   [thinking]"
        yield from (f"   {line}" for line in candidate.reasoning.split("\n"))
        yield "   [answer]"
    yield from (f"   {line}" for line in (candidate.error or candidate.text).split("\n"))


def _verdict(verdict: Verdict) -> str:
    return " ".join(filter(None, (verdict.status, f"({verdict.reason})" if verdict.reason else "", verdict.detail)))
