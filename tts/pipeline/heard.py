"""What became of a run's questions to models that judge: counted problem by problem, told in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tts.errors import plural
from tts.metrics.intervals import wilson
from tts.types import Score, Selection


@dataclass(slots=True)
class Heard:
    """Sums over problems. `figures` are those of their scores: how much was `asked`, and of it `unread`; `comparisons`,
    of them `undecided`; `ordered` are the questions about two that were answered, in which what stood first was
    `first_preferred`. Of `choices` among several the first was taken `first_chosen` times, and without a bias it would
    be `first_expected`. In `num_by_vote` problems the plain vote chose, for `reasons`.
    """

    num_by_vote: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)

    def add(self, selection: Selection, scores: Sequence[Score]) -> None:
        """Count one problem."""
        for score in scores:
            self.figures.update(score.figures)
        if selection.fallback:
            self.num_by_vote += 1
            self.reasons.update([selection.fallback.partition(" with an answer: ")[2]])

    def notes(self, num_problems: int) -> Iterator[str]:
        """Yield what a reader of the figures should know, a sentence each."""
        figures = self.figures
        if self.num_by_vote:
            (why, _), *others = self.reasons.most_common()
            mostly = "mostly " if others else ""
            yield (
                f"the scorer could tell too little of {plural(self.num_by_vote, 'problem', of=num_problems)}, so the "
                f"plain vote chose there; {mostly}because {why}"
            )
        if figures["unread"]:
            asked = plural(int(figures["asked"]), "question")
            yield f"a judge's word could not be read {figures['unread']:g} times in {asked}: it counts as «cannot tell»"
        if figures["choices"]:
            number = int(figures["choices"])
            first, expected = figures["first_chosen"] / number, figures["first_expected"] / number
            yield (
                f"the judge chose the first of those that it was shown in {100 * first:.0f} % of "
                f"{plural(number, 'choice')}; {100 * expected:.0f} % is no bias"
            )
        if figures["ordered"]:
            number = int(figures["ordered"])
            share = figures["first_preferred"] / number
            low, high = (round(100 * end) for end in wilson(share, number))
            undecided = plural(int(figures["undecided"]), "comparison", of=int(figures["comparisons"]))
            yield (
                f"the judge preferred what stood first in {100 * share:.0f} % of {plural(number, 'question')} (95 % "
                f"interval {low} to {high} %; 50 % is no bias). Only a win in both orders counts: {undecided} undecided"
            )
