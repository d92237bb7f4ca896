"""A tournament between answers: a model compares two at a time, in both orders.

How it works. The candidates are grouped by their answers, and each answer sends one: its likeliest. So the number of
comparisons goes with the answers, and not with the candidates. A comparison is two questions, one for each order. An
answer wins it only if it is preferred in both; else it is undecided, as where a reply could not be read. A judge that
prefers whatever stands first thus decides nothing. Who meets whom: `tts.scorers.tournament`. Where a budget of
comparisons is too small for all answers, those with most votes take part.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import ClassVar, Self

from pydantic import Field, model_validator

from tts.errors import NotAskedError
from tts.protocols import Calls
from tts.scorers.asking import CRITERIA, AsksJudge, Opinion, check_prompt
from tts.scorers.entrants import Entrant, entrants_of
from tts.scorers.tournament import Held, Kind, Match, Pair, Table, Tournament, pair_of
from tts.tasks.prompt import filled
from tts.types import Ballot, Candidate, Decoding, Message, Piece, Problem, Request, Score

MARKS = ("A", "B")


class Pairwise(AsksJudge):
    """Scores a candidate by the place of its answer in a tournament, from 0 to 1; equal answers have equal scores.

    For `best_of_n`. None where no comparison of a problem was decided: then the plain vote chooses. How often the
    judge preferred what stood first is counted for the run.
    """

    pointwise: ClassVar[bool] = False

    tournament: Kind = "knockout"
    """Who meets whom: `knockout` takes fewest comparisons, `round_robin` most; with `pivot` everyone meets the best."""

    num_pivots: int = Field(default=2, ge=1)
    """How many pivots there are, for `pivot`."""

    max_comparisons: int = Field(default=28, ge=1)
    """The most comparisons for a problem, two questions each. Where more were needed, the answers with fewest votes
    take no part."""

    every_pair: bool = False
    """Whether all candidates with different answers are compared, and not those alone that meet in the tournament, so
    that `tts bench` knows what smaller draws of them would hand in."""

    criteria: str | None = None
    """What counts, in a sentence or more; null: a default for the kind of problem."""

    prompt: str = (
        "{problem}\n\nHere are two responses to this.\n\n<response_A>\n{first}\n</response_A>\n\n"
        "<response_B>\n{second}\n</response_B>\n\n{criteria}\n\nWhich response is better? Answer with A or B alone."
    )
    """The question. `{problem}` is what was sent to draw the answers, `{first}` and `{second}` are the two, which the
    reply names A and B; `{criteria}`."""

    @model_validator(mode="after")
    def _prompt_compares(self) -> Self:
        check_prompt(self.prompt, self.criteria, "problem", "first", "second")
        if self.tournament != "pivot" and self.num_pivots != 2:
            raise ValueError(f"`num_pivots` must be left out in a {self.tournament}, which has none")
        return self

    def most_comparisons(self, num_candidates: int) -> int:
        """Return how many comparisons so many candidates take at most."""
        kind: Kind = "round_robin" if self.every_pair else self.tournament
        return min(self.max_comparisons, Tournament(kind, self.num_pivots).num_comparisons(num_candidates))

    def most_calls(self, num_candidates: int) -> int:
        """Return two questions a comparison, a branch for each, and a look at the answers."""
        return 1 + (1 + 2 * self.most_asked) * self.most_comparisons(num_candidates)

    def most_tokens(self, num_candidates: int) -> int:
        """Return what two questions a comparison have written."""
        return 2 * self.most_written * self.most_comparisons(num_candidates)

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:
        """Return one score per candidate, order kept."""
        grouping = await calls.classes([(Piece(one.text),) for one in candidates])
        entrants = entrants_of(candidates, grouping.nodes, grouping.links)
        table = self.table(problem, calls)
        held = await self.hold(entrants, table, calls.rng)
        if self.every_pair:
            pairs = [
                (Entrant([], one, 1), Entrant([], other, 1))
                for (one, node), (other, second) in combinations(zip(candidates, grouping.nodes, strict=True), 2)
                if node is not None and second is not None and node != second
            ]
            missing = [pair for pair in pairs if pair_of(*pair) not in table.matches]
            await table.meet(missing[: self.max_comparisons - len(table.matches)])
        return [
            replace(score, figures=table.figures(one.index), against=table.against(one.index))
            for one, score in zip(candidates, _placed(candidates, entrants, held), strict=True)
        ]

    def rescored(self, ballot: Ballot) -> list[Score]:
        """Return the scores of these candidates alone, by the comparisons that are on record in their `scores`.

        Raises NotAskedError where they need one that nobody made, or the scorer failed.
        """
        if len(ballot.scores) != len(ballot.candidates):
            raise NotAskedError("the candidates have no scores")
        made = {
            (one.index, other): Match(points, {})
            for one, score in zip(ballot.candidates, ballot.scores, strict=True)
            for other, points in score.against
        }
        ended = [one.finish_reason == "stop" for one in ballot.candidates]
        nodes = [node if whole else None for node, whole in zip(ballot.nodes, ended, strict=True)]
        entrants = entrants_of(ballot.candidates, nodes, ballot.links)
        try:
            self.hold(entrants, Table(made), random.Random(0)).send(None)
        except StopIteration as end:
            return _placed(ballot.candidates, entrants, end.value)
        raise AssertionError("what is on record is not waited for")

    async def hold(self, entrants: Sequence[Entrant], table: Table, rng: random.Random) -> Held:
        """Hold the tournament of a problem's answers, those with most votes first, each shown by its candidate."""
        tournament = Tournament(self.tournament, self.num_pivots)
        numbers = range(1, len(entrants) + 1)
        fitting = [number for number in numbers if tournament.num_comparisons(number) <= self.max_comparisons]
        return await tournament.hold(table, entrants, max(fitting, default=0), rng)

    def table(self, problem: Problem, calls: Calls) -> Table:
        """Return the place where a problem's candidates are compared by the judge."""

        async def make(pairs: Sequence[tuple[Entrant, Entrant]]) -> Mapping[Pair, Match]:
            asked = {}
            for pair in pairs:
                low, high = sorted((one.candidate for one in pair), key=lambda one: one.index)
                asked[low.index, high.index] = calls.at(low.index, high.index).branch(self._match, problem, low, high)
            return {name: await pending for name, pending in asked.items()}

        return Table(make=make)

    def question(self, problem: Problem, first: Candidate, second: Candidate, calls: Calls) -> Request:
        """Return the question which of two candidates is better."""
        told = "\n\n".join(message.content for message in calls.messages)
        criteria = CRITERIA[problem.kind] if self.criteria is None else self.criteria
        words = {"problem": told, "first": self.shown(first), "second": self.shown(second), "criteria": criteria}
        before = (Message("system", self.system),) if self.system else ()
        return Request(
            problem_id=problem.id,
            key="",
            messages=(*before, Message("user", filled(self.prompt, **words))),
            decoding=Decoding(1),
            seed=0,
            sampler="",
            prefix=(Piece(self.prefill),) if self.prefill else (),
        )

    async def _match(self, calls: Calls, problem: Problem, low: Candidate, high: Candidate) -> Match:
        opinions = []
        for first, second in ((low, high), (high, low)):
            opinions.append(await self.opinion(calls, self.question(problem, first, second, calls), MARKS))
        preferred = [_preferred(one) for one in opinions]  # 0: what stood first, 1: what stood second, None
        readable = [one for one in preferred if one is not None]
        decided = len(readable) == 2 and preferred[0] != preferred[1]
        figures = Counter[str]({"comparisons": 1, "undecided": int(not decided)})
        for opinion in opinions:
            figures.update(opinion.figures)
        figures.update({"ordered": len(readable), "first_preferred": readable.count(0)})
        unread = next((one.why for one in opinions if one.shares is None), "")
        why = unread or ("" if decided else "the judge prefers the same place in both orders")
        return Match(1.0 - (preferred[0] or 0) if decided else 0.5, figures, why)


def _placed(candidates: Sequence[Candidate], entrants: Sequence[Entrant], held: Held) -> list[Score]:
    """Return one score per candidate."""
    if held.places is None:
        return [Score(None, held.why)] * len(candidates)
    found = [Score(None, "it has no answer")] * len(candidates)
    for entrant, place in zip(entrants, held.places, strict=True):
        for position in entrant.members:
            found[position] = Score(place, told_of(entrant))
    return found


def told_of(entrant: Entrant) -> str:
    """Return what is told of an answer's place."""
    return f"{sum(entrant.points):g} points of {len(entrant.points)} comparisons, {entrant.votes} votes"


def _preferred(opinion: Opinion) -> int | None:
    """Return the place that an opinion prefers; None where it has none."""
    if opinion.shares is None or opinion.shares[0] == opinion.shares[1]:
        return None
    return 0 if opinion.shares[0] > opinion.shares[1] else 1
