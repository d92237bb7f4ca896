"""The oracle: what a perfect selector would reach with these candidates (coverage, pass@N). A bound, not a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, NoReturn

from tts.components.component import Component
from tts.errors import RecipeError
from tts.selectors.contenders import contenders, rerank
from tts.types import Ballot, Selection, Status, Verdict

WEIGHTS: Mapping[Status, float] = {"passed": 1.0, "undecided": 0.5, "failed": 0.0}


class Oracle(Component):
    """Hands in a candidate that passed, if any finished one did; else an undecided one; else the most likely.

    It looks at the verdicts and so at the reference: allowed in a benchmark only.
    """

    scorer: ClassVar[None] = None

    def select(self, ballot: Ballot) -> NoReturn:  # noqa: ARG002 # the protocol's
        """Refuse: without verdicts there is no oracle."""
        raise RecipeError(
            "`selector` must be one that works without the reference, got oracle: it peeks at the verdicts, which "
            "makes it an upper bound for benchmarks. To hand in answers use majority_vote, for instance"
        )

    def select_with_verdicts(self, ballot: Ballot, verdicts: Sequence[Verdict]) -> Selection:
        """Return the selection; `weights` are 1 for each candidate passed, 0.5 for undecided, 0 for failed."""
        if len(verdicts) != len(ballot.candidates):
            raise ValueError(f"`verdicts` must be {len(ballot.candidates)}, one per candidate, got {len(verdicts)}")
        judged = ((contender, verdicts[contender.position].status) for contender in contenders(ballot))
        return rerank(ballot, [replace(contender, weight=WEIGHTS[status]) for contender, status in judged])
