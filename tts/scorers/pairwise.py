"""A tournament between answers: a model compares two at a time, in both orders.

How it works. The candidates are grouped by their answers, and each answer sends one: its likeliest. So the number of
comparisons goes with the answers, and not with the candidates. A comparison is two questions, one for each order. An
answer wins it only if it is preferred in both; else it is undecided, as where a reply could not be read. A judge that
prefers whatever stands first thus decides nothing.

knockout        the answers with most votes meet those with fewest, round by round; 1 comparison less than answers. Of
                an undecided one the answer with more votes goes on.
round_robin     everyone meets everyone; a win is 1 point, an undecided comparison half a point for both.
pivot           a ring first, in which everyone meets the next; the best of it are pivots, whom everyone meets; the
                points are the mean of the comparisons. (Pivot tournament of arXiv 2607.05391, with wins for its soft
                preferences.)

Answers are ranked by points, then by votes; so a judge that decides nothing leaves the plain vote, which is what is
handed in then. Where a budget of comparisons is too small for all answers, those with most votes take part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tts.protocols import Calls
from tts.scorers.asking import CRITERIA, AsksJudge, Opinion, check_prompt
from tts.scorers.entrants import Entrant, entrants_of
from tts.tasks.prompt import filled
from tts.types import Candidate, Decoding, Message, Piece, Problem, Request, Score

MARKS = ("A", "B")


@dataclass(frozen=True, slots=True)
class Match:
    """A comparison: the points of the one with the lower index, and what was counted on the way."""

    points: float
    figures: Mapping[str, float]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A tournament: its comparisons by the two candidates' indices, and the place of each answer in it.

    `places` are from 0 for the last to 1; None: no comparison was decided.
    """

    matches: Mapping[tuple[int, int], Match]
    places: tuple[float, ...] | None

    @property
    def why(self) -> str:
        """Why nothing was decided."""
        mostly = Counter(match.why for match in self.matches.values()).most_common(1)[0][0]
        return f"none of {len(self.matches)} comparisons was decided: {mostly}"

    def told(self, entrant: Entrant) -> str:
        """Return what is told of an answer's place."""
        return f"{sum(entrant.points):g} points of {len(entrant.points)} comparisons, {entrant.votes} votes"

    def figures(self, index: int | None = None) -> Mapping[str, float]:
        """Return what was counted in the comparisons in which this candidate has the lower index; None: in all."""
        total = Counter[str]()
        for (low, _), match in self.matches.items():
            if index in (low, None):
                total.update(match.figures)
        return dict(total)


class Pairwise(AsksJudge):
    """Scores a candidate by the place of its answer in a tournament, from 0 to 1; equal answers have equal scores.

    For `best_of_n`. None where no comparison of a problem was decided: then the plain vote chooses. How often the
    judge preferred what stood first is counted for the run.
    """

    pointwise: ClassVar[bool] = False

    tournament: Literal["knockout", "round_robin", "pivot"] = "knockout"
    """Who meets whom: `knockout` takes fewest comparisons, `round_robin` most; with `pivot` everyone meets the best."""

    num_pivots: int = Field(default=2, ge=1)
    """How many pivots there are, for `pivot`."""

    max_comparisons: int = Field(default=28, ge=1)
    """The most comparisons for a problem, two questions each. Where more were needed, the answers with fewest votes
    take no part."""

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

    def num_comparisons(self, num_answers: int) -> int:
        """Return how many comparisons so many answers take at most."""
        everyone = num_answers * (num_answers - 1) // 2
        if self.tournament == "knockout":
            return max(0, num_answers - 1)
        if self.tournament == "round_robin":
            return everyone
        pivots = min(self.num_pivots, num_answers)
        ring = num_answers + pivots * (num_answers - pivots) + pivots * (pivots - 1) // 2
        return min(ring, everyone)

    def most_calls(self, num_candidates: int) -> int:
        """Return two questions a comparison, a branch for each, and a look at the answers."""
        return 1 + (1 + 2 * self.most_asked) * min(self.max_comparisons, self.num_comparisons(num_candidates))

    def most_tokens(self, num_candidates: int) -> int:
        """Return what two questions a comparison have written."""
        return 2 * self.most_written * min(self.max_comparisons, self.num_comparisons(num_candidates))

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:
        """Return one score per candidate, order kept."""
        grouping = await calls.classes([(Piece(one.text),) for one in candidates])
        entrants = entrants_of(candidates, grouping.nodes, grouping.links)
        found = [Score(None, "it has no answer")] * len(candidates)
        if not entrants:
            return found
        held = await self.hold(problem, entrants, calls)
        if held.places is None:
            return [Score(None, held.why, held.figures(one.index)) for one in candidates]
        for entrant, place in zip(entrants, held.places, strict=True):
            for position in entrant.members:
                found[position] = Score(place, held.told(entrant), held.figures(candidates[position].index))
        return found

    async def hold(self, problem: Problem, entrants: Sequence[Entrant], calls: Calls) -> Held:
        """Hold the tournament of a problem's answers, those with most votes first, each shown by its candidate."""
        number = max(n for n in range(1, len(entrants) + 1) if self.num_comparisons(n) <= self.max_comparisons)
        table = _Table(self, problem, calls)
        await getattr(self, f"_{self.tournament}")(table, entrants[:number], calls)
        if number > 1 and not any(match.points in (0.0, 1.0) for match in table.matches.values()):
            return Held(table.matches, None)
        # By points, then by votes.
        ranks = [(_mean(one.points, self.tournament), one.votes) for one in entrants]
        order = sorted(set(ranks))
        places = [order.index(rank) / (len(order) - 1) if len(order) > 1 else 1.0 for rank in ranks]
        return Held(table.matches, tuple(places))

    async def _knockout(self, table: _Table, entrants: Sequence[Entrant], calls: Calls) -> None:
        """Let the strongest meet the weakest until one is left; who is out has one point a round that he survived."""
        del calls
        left = list(entrants)
        while len(left) > 1:
            num_byes = len(left) % 2
            byes, playing = left[:num_byes], left[num_byes:]
            half = len(playing) // 2
            pairs = list(zip(playing[:half], reversed(playing[half:]), strict=True))
            winners = []
            for (first, second), points in zip(pairs, await table.meet(pairs), strict=True):
                winner, loser = (first, second) if points >= 0.5 else (second, first)
                winner.points.append(1.0)
                loser.points.append(0.0)
                winners.append(winner)
            for bye in byes:
                bye.points.append(1.0)
            left = byes + winners
            left.sort(key=entrants.index)

    async def _round_robin(self, table: _Table, entrants: Sequence[Entrant], calls: Calls) -> None:
        del calls
        await _play(table, list(combinations(entrants, 2)))

    async def _pivot(self, table: _Table, entrants: Sequence[Entrant], calls: Calls) -> None:
        if len(entrants) < 2:
            return
        ring = list(entrants)
        calls.rng.shuffle(ring)
        pairs = list(zip(ring, [*ring[1:], ring[0]], strict=True))
        await _play(table, pairs if len(ring) > 2 else pairs[:1])
        pivots = sorted(entrants, key=lambda one: (-_mean(one.points, "pivot"), entrants.index(one)))[: self.num_pivots]
        met = [(pivot, other) for pivot in pivots for other in entrants if other is not pivot and other not in pivots]
        await _play(table, [pair for pair in [*met, *combinations(pivots, 2)] if not table.has(*pair)])

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


class _Table:
    """Where the comparisons of a problem are made, each once; they are kept by the candidates' indices."""

    def __init__(self, scorer: Pairwise, problem: Problem, calls: Calls) -> None:
        self.matches: dict[tuple[int, int], Match] = {}
        self._scorer, self._problem, self._calls = scorer, problem, calls

    def has(self, first: Entrant, second: Entrant) -> bool:
        return _pair(first, second) in self.matches

    async def meet(self, pairs: Sequence[tuple[Entrant, Entrant]]) -> list[float]:
        """Return the points of the first of each pair: 1 a win, 0 a loss, 0.5 undecided."""
        of_index = {one.candidate.index: one.candidate for pair in pairs for one in pair}
        new = dict.fromkeys(_pair(*pair) for pair in pairs if not self.has(*pair))
        asked = {
            (low, high): self._calls.at(low, high).branch(self._match, of_index[low], of_index[high])
            for low, high in new
        }
        for pair, pending in asked.items():
            self.matches[pair] = await pending
        return [
            points if first.candidate.index < second.candidate.index else 1 - points
            for first, second in pairs
            for points in [self.matches[_pair(first, second)].points]
        ]

    async def _match(self, calls: Calls, low: Candidate, high: Candidate) -> Match:
        scorer, problem = self._scorer, self._problem
        opinions = []
        for first, second in ((low, high), (high, low)):
            opinions.append(await scorer.opinion(calls, scorer.question(problem, first, second, calls), MARKS))
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


async def _play(table: _Table, pairs: Sequence[tuple[Entrant, Entrant]]) -> None:
    for (first, second), points in zip(pairs, await table.meet(pairs), strict=True):
        first.points.append(points)
        second.points.append(1 - points)


def _pair(first: Entrant, second: Entrant) -> tuple[int, int]:
    low, high = sorted((first.candidate.index, second.candidate.index))
    return low, high


def _preferred(opinion: Opinion) -> int | None:
    """Return the place that an opinion prefers; None where it has none."""
    if opinion.shares is None or opinion.shares[0] == opinion.shares[1]:
        return None
    return 0 if opinion.shares[0] > opinion.shares[1] else 1


def _mean(points: Sequence[float], tournament: str) -> float:
    """Return what ranks: the rounds survived, or the mean of the comparisons; -1 for one that took no part."""
    if not points:
        return -1.0
    return sum(points) if tournament == "knockout" else sum(points) / len(points)
