"""A search as `tts show` prints it: what it took, then a line a call in a small tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tts.cli.output import clip
from tts.errors import plural
from tts.report.search import begins, costs, facts, summary
from tts.report.wording import NBSP
from tts.runs.search_tree import Row, SearchTree, outline

MOST_LINES = 200
"""Calls that have a line of their own."""

MARKS = {"kept": "●", "dropped": "○", "given up": "△", "failed": "×"}
LEGEND = "   ● lives on in candidates →, ○ in no candidate, △ given up, × failed; «» put in by the sampler"


def search_lines(tree: SearchTree, most_candidates: int, width: int) -> Iterator[str]:
    """Yield the lines, those of calls at most `width` cells each; `most_candidates` could have been drawn."""
    yield f"== {summary(tree, most_candidates)}"
    yield from (f"   {line}" for line in costs(tree))
    shown = outline(tree, MOST_LINES)
    if not shown.rows:
        return
    yield LEGEND
    for rail, row in zip(_rails(shown.rows), shown.rows, strict=True):
        before = rail if len(rail) <= width // 3 else f"…{rail[1 - width // 3 :]}"
        put, text = begins(row.step, width)
        said = " ".join(filter(None, (f"«{put}»" if put else "", text)))
        told = " · ".join(filter(None, (row.step.key, *facts(row), said))).replace(NBSP, " ")
        yield before + clip(f"{MARKS[row.step.fate]} {told}", width - len(before))
    if shown.num_left_out:
        yield f"   … and {plural(shown.num_left_out, 'more call')}, left out"


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
