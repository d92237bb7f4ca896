"""A search in words, for terminals and pages: what it took, and what became of each call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tts.errors import plural
from tts.report.data import SearchView
from tts.report.wording import NBSP, count, decimal, shortened
from tts.runs.ledger import POLICY
from tts.runs.search_tree import Row, SearchTree, Step, outline, ranges

MOST_TEXT = 100
"""Characters of a step that a page carries."""


def summary(tree: SearchTree, most_candidates: int) -> str:
    """Return how a search stands, in one line; `most_candidates` could have been drawn."""
    fates = Counter(step.fate for step in tree.steps if step.kind == "generate" or step.fate in ("given up", "failed"))
    told = {
        "in no candidate": fates["dropped"],
        "given up": fates["given up"],
        "failed": fates["failed"],
        "asked anew": tree.num_asked_anew,
    }
    return ", ".join(
        (
            f"search {'over' if tree.over else 'not over yet'}",
            f"{plural(tree.num_candidates, 'candidate')} of at most {most_candidates}",
            plural(sum(spent.num_calls for spent in tree.spent.values()), "call"),
            *(f"{number} {what}" for what, number in told.items() if number),
        )
    )


def costs(tree: SearchTree) -> Iterator[str]:
    """Yield what each engine took, and why the search failed."""
    for engine, spent in tree.spent.items():
        calls, written, read = plural(spent.num_calls, "call"), count(spent.written_tokens), count(spent.prompt_tokens)
        cached = f", {count(spent.cached_tokens)} of them from a cache" if spent.cached_tokens else ""
        yield f"{engine}: {calls}, {written} tokens written, {read} read{cached}"
    if tree.error is not None:
        yield f"it failed: {tree.error}"


def facts(row: Row) -> Iterator[str]:
    """Yield what there is to say of a call beside its key and its text."""
    step = row.step
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
        yield f"→{NBSP}{ranges(step.candidates)}"


def begins(step: Step, most: int) -> tuple[str, str]:
    """Return what the sampler put in before a step, and what the step says, each on a line of at most `most`."""
    return shortened(step.put, most), shortened(step.text, most)


def search_view(tree: SearchTree, most_candidates: int, most_steps: int) -> SearchView:
    """Return what a page shows of a search."""
    shown = outline(tree, most_steps)
    texts = [begins(row.step, MOST_TEXT) for row in shown.rows]
    return SearchView(
        summary=summary(tree, most_candidates),
        costs=tuple(costs(tree)),
        num_left_out=shown.num_left_out,
        key=tuple(row.step.key for row in shown.rows),
        depth=tuple(row.depth for row in shown.rows),
        heads=tuple(row.heads for row in shown.rows),
        fate=tuple(row.step.fate for row in shown.rows),
        facts=tuple(" · ".join(facts(row)) for row in shown.rows),
        put=tuple(put for put, _ in texts),
        text=tuple(text for _, text in texts),
    )
