"""The line of a scorer that compares candidates, at fewer than were drawn: by what it has on record, and no guess.

What it would say of some of the candidates depends on whom they would have met. Where all that a draw needs is on
record it is known, and a point is the mean over draws; where a comparison is missing there is no point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from tts.errors import NotAskedError
from tts.metrics.curves import Curve, joined, subsets
from tts.pipeline.judge import chosen
from tts.protocols import Selector
from tts.report.gather import Gathered
from tts.report.lines import own_curve
from tts.types import Ballot, Score, Selection


@runtime_checkable
class Rescores(Protocol):
    """A scorer whose questions about all candidates may serve some of them."""

    def rescored(self, ballot: Ballot) -> list[Score]:
        """Return the scores of these candidates alone. Raises NotAskedError where that takes more questions."""


def compared_curve(
    selector: Selector, gathered: Gathered, ks: Sequence[int], seed: int
) -> tuple[Curve | None, list[int]]:
    """Return the accuracy@k of a selector, and at which ks its draws need comparisons that nobody made.

    None: of no k it is known, or its scorer does not tell of some what it was asked of all.
    """
    scorer: object = selector.scorer
    if not isinstance(scorer, Rescores) or not gathered.ballots:
        return None, []
    told = scorer

    def choose(ballot: Ballot) -> Selection:
        return chosen(selector, replace(ballot, scores=tuple(told.rescored(ballot))))

    known, missing = list[Curve](), list[int]()
    for k in ks:
        try:
            known.append(own_curve(selector, gathered.ballots, subsets(gathered.graded, [k]), seed, choose))
        except NotAskedError:
            missing.append(k)
    return (joined(known) if known else None), missing
