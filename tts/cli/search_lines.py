"""A search as `tts show` prints it: what it took, then a line a call in a small tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tts.cli.output import clip
from tts.errors import plural
from tts.report.wording import decimal
from tts.runs.ledger import POLICY
from tts.runs.search_tree import Row, SearchTree, outline, ranges

MOST_LINES = 200
"""Calls that have a line of their own."""

MARKS = {"kept": "●", "dropped": "○", "given up": "△", "failed": "×"}
LEGEND = f"{MARKS['kept']} lives on in candidates →, {MARKS['dropped']} in none, {MARKS['given up']} given up, "
LEGEND += f"{MARKS['failed']} failed; «» put in by the sampler"


def search_lines(tree: SearchTree, most_candidates: int, width: int) -> Iterator[str]:
    """Yield the lines, each at most `width` cells; `most_candidates` could have been drawn."""
    fates = Counter(step.fate for step in tree.steps if step.kind == "generate" or step.fate in ("given up", "failed"))
    told = {
        "in none": fates["dropped"],
        "given up": fates["given up"],
        "failed": fates["failed"],
        "asked anew": tree.num_asked_anew,
    }
    yield ", ".join(
        (
            f"== search {'over' if tree.over else 'not over yet'}",
            f"{plural(tree.num_candidates, 'candidate')} of at most {most_candidates}",
            plural(sum(spent.num_calls for spent in tree.spent.values()), "call"),
            *(f"{number} {what}" for what, number in told.items() if number),
        )
    )
    if tree.error is not None:
        yield clip(f"   it failed: {tree.error}", width)
    for engine, spent in tree.spent.items():
        yield f"   {engine}: {plural(spent.num_calls, 'call')}, {spent.written_tokens} tokens written, " + (
            f"{spent.prompt_tokens} read"
        )
    shown = outline(tree, MOST_LINES)
    if not shown.rows:
        return
    yield f"   {LEGEND}"
    for rail, row in zip(_rails(shown.rows), shown.rows, strict=True):
        kept = rail if len(rail) <= width // 3 else f"…{rail[1 - width // 3 :]}"
        yield kept + clip(f"{MARKS[row.step.fate]} {' · '.join(_told(row))}", width - len(kept))
    if shown.num_left_out:
        yield f"   … and {plural(shown.num_left_out, 'more call')}, left out"


def _told(row: Row) -> Iterator[str]:
    """Yield what there is to say of a call, its text last."""
    step = row.step
    yield step.key
    if step.kind != "generate":
        yield "reward" if step.kind == "rewards" else "answers compared"
    elif step.engine != POLICY:
        yield step.engine
    if step.tokens:
        yield plural(step.tokens, "token")
    if row.reward is not None:
        yield f"reward {decimal(row.reward)}"
    if row.answers:
        yield f"answers {row.answers}"
    if step.finish_reason not in ("", "stop", "error"):
        yield step.finish_reason
    if step.error is not None:
        yield step.error
    if step.candidates:
        yield f"→ {ranges(step.candidates)}"
    put = f"«{step.put.strip()}» " if step.put.strip() else ""
    if put or step.text.strip():
        yield put + step.text[: 8 * MOST_LINES]


def _rails(rows: Sequence[Row]) -> list[str]:
    """Return what stands before each row: which paths go on below it."""
    found: list[str] = []
    more: set[int] = set()  # depths at which another path begins further down, under the same step
    for row in reversed(rows):
        above = "".join("│ " if depth in more else "  " for depth in range(row.depth))
        goes_on = row.depth in more
        found.append(above + (("├ " if goes_on else "└ ") if row.heads else ("│ " if goes_on else "  ")))
        more = {depth for depth in more if depth <= row.depth}
        if row.heads:
            more.add(row.depth)
    return found[::-1]
