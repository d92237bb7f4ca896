"""What the server counts, in the text format of Prometheus."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
ENDS = ("answered", "failed", "gone", "busy")


class Metrics:
    """Counts by recipe: how requests ended, how long answers took, and what they cost."""

    def __init__(self, recipes: Iterable[str]) -> None:
        self._recipes = tuple(recipes)
        self._ends: Counter[tuple[str, str]] = Counter()
        self._within = {name: [0] * (len(SECONDS) + 1) for name in self._recipes}
        self._seconds = dict.fromkeys(self._recipes, 0.0)
        self._sums: Counter[tuple[str, str]] = Counter()

    def count(self, recipe: str, how: str) -> None:
        """Count the end of a request; "" for one that names no recipe."""
        self._ends[recipe, how] += 1

    def answered(self, recipe: str, seconds: float, reply: dict[str, Any]) -> None:
        """Count an answer."""
        self._within[recipe][bisect_left(SECONDS, seconds)] += 1
        self._seconds[recipe] += seconds
        self._sums[recipe, "candidates"] += reply["tts"]["counts"]["num_candidates"]
        self._sums[recipe, "prompt_tokens"] += reply["usage"]["prompt_tokens"]
        self._sums[recipe, "completion_tokens"] += reply["usage"]["completion_tokens"]

    def text(self, num_waiting: int, num_queued: int) -> str:
        """Return all of it; `num_waiting` requests wait for their answers, `num_queued` calls for the engines."""
        return "".join(f"{line}\n" for line in self._lines(num_waiting, num_queued))

    def _lines(self, num_waiting: int, num_queued: int) -> Iterator[str]:
        yield from _head("tts_requests_total", "counter", "Requests that ended, and how")
        ends = {(name, how): 0 for name in self._recipes for how in ENDS} | self._ends
        for (recipe, how), number in ends.items():
            yield f"tts_requests_total{_labels(recipe=recipe, end=how)} {number}"
        yield from _head("tts_requests_waiting", "gauge", "Requests that wait for their answer")
        yield f"tts_requests_waiting {num_waiting}"
        yield from _head("tts_calls_queued", "gauge", "Calls that wait for room in the engines")
        yield f"tts_calls_queued {num_queued}"
        for what in ("candidates", "prompt_tokens", "completion_tokens"):
            yield from _head(
                f"tts_{what}_total", "counter", f"{what.replace('_', ' ')} of answered requests".capitalize()
            )
            for recipe in self._recipes:
                yield f"tts_{what}_total{_labels(recipe=recipe)} {self._sums[recipe, what]}"
        yield from _head("tts_answer_seconds", "histogram", "From a request to its answer")
        for recipe in self._recipes:
            total = 0
            for limit, number in zip((*map(str, SECONDS), "+Inf"), self._within[recipe], strict=True):
                total += number
                yield f"tts_answer_seconds_bucket{_labels(recipe=recipe, le=limit)} {total}"
            yield f"tts_answer_seconds_sum{_labels(recipe=recipe)} {self._seconds[recipe]:.6f}"
            yield f"tts_answer_seconds_count{_labels(recipe=recipe)} {total}"


def _head(name: str, kind: str, what: str) -> Iterator[str]:
    yield f"# HELP {name} {what}."
    yield f"# TYPE {name} {kind}"


def _labels(**labels: str) -> str:
    return "{" + ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items()) + "}"
