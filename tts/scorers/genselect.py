"""GenSelect: a model reads several answers at once and says which is best (Moshkov et al. 2025, arXiv 2504.16891).

How it works. Each answer sends its likeliest candidate. They are shown in windows, each in several orders that are
rotations of one shuffle, so that nobody stands in the same place twice. A window is decided where more than half of the
orders name the same answer, and from more than one place: so a model that always names the first decides nothing. Who
wins a window goes on to the next round; of an undecided one it is the answer with most votes. The last round is of one
window, and where that is undecided the plain vote chooses.

Differs from the source: there a choice that cannot be read is a random one, and all candidates are shown.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tts.components.slot import Slot
from tts.engines.local_model import Tag
from tts.errors import CallError
from tts.protocols import Calls, Engine
from tts.runs.candidates import split_thinking
from tts.scorers.asking import CRITERIA, JOINED, Asks, check_prompt, whole
from tts.scorers.entrants import Entrant, entrants_of
from tts.tasks.prompt import filled
from tts.types import Candidate, Completion, Decoding, Message, Piece, Problem, Score

Figures = defaultdict[str, float]


class GenSelect(Asks):
    """Scores a candidate by whether a model that reads the answers side by side names its answer as the best.

    For `best_of_n`. None where the last round is undecided: then the plain vote chooses.
    """

    pointwise: ClassVar[bool] = False

    judge: Annotated[Engine, Slot("engines")] | None = None
    """The model that chooses; left out: the recipe's own."""

    window: int = Field(default=8, ge=2)
    """The most answers that are shown together."""

    orders: int = Field(default=3, ge=2)
    """In how many orders a window is shown, one question each."""

    temperature: float = Field(default=0.6, ge=0)
    """That of its replies."""

    max_tokens: int = Field(default=2048, ge=1)
    """The most tokens of a reply, the model's own thinking included."""

    thinking: Literal["strip", "keep"] = "strip"
    """Whether the model reads what a candidate thought (keep), or its answer alone."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes its own thinking, which is not read."""

    criteria: str | None = None
    """What counts, in a sentence or more; null: a default for the kind of problem."""

    prompt: str = (
        "{problem}\n\nHere are {number} solutions to this, from 0 to {last}.\n\n{solutions}\n\n{criteria}\n\n"
        "Compare them, then say which one is best. End with a line of this form, with its number: Judgment: 0"
    )
    """The question. `{problem}` is what was sent to draw the answers, `{solutions}` are those of the window, `{number}`
    how many they are and `{last}` the number of the last one; `{criteria}`."""

    @model_validator(mode="after")
    def _prompt_asks(self) -> Self:
        check_prompt(self.prompt, self.criteria, "problem", "solutions")
        return self

    def windows(self, number: int) -> int:
        """Return how many windows so many answers take, all rounds together."""
        total = 0
        while number > 1:
            number = -(-number // self.window)
            total += number
        return total

    def most_calls(self, num_candidates: int) -> int:
        """Return a question an order of every window, and a look at the answers."""
        return 1 + self.orders * self.windows(num_candidates)

    def most_tokens(self, num_candidates: int) -> int:
        """Return what all these have written."""
        return self.orders * self.windows(num_candidates) * self.max_tokens

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:
        """Return one score per candidate, order kept."""
        grouping = await calls.classes([(Piece(one.text),) for one in candidates])
        entrants = self.shown(entrants_of(candidates, grouping.nodes, grouping.links), candidates)
        found = [Score(None, "it has no answer")] * len(candidates)
        if not entrants:
            return found
        left, decided, round_number = list(entrants), True, 0
        figures: Figures = defaultdict(float)
        lost = Counter[str]()  # why replies did not come
        while len(left) > 1:
            calls.rng.shuffle(left)
            windows = [left[begin : begin + self.window] for begin in range(0, len(left), self.window)]
            asked = [
                [
                    (
                        order,
                        calls.at(round_number, number, turn).generate(
                            Decoding(self.max_tokens, temperature=self.temperature),
                            messages=self._question(problem, order, calls),
                            engine=self.judge,
                        ),
                    )
                    for turn, order in enumerate(_rotations(shown, self.orders))
                ]
                for number, shown in enumerate(windows)
                if len(shown) > 1
            ]
            left = [shown[0] for shown in windows if len(shown) == 1]
            for orders in asked:
                choices = [(order, await self._choice(pending, len(order), figures, lost)) for order, pending in orders]
                winner = _winner(choices, figures)
                decided = winner is not None
                left.append(winner or min(choices[0][0], key=entrants.index))
            left.sort(key=entrants.index)
            round_number += 1
        counted = dict(figures)
        if not decided:
            told = "the model names no answer in more than half of the orders, from more than one place"
            if 2 * lost.total() > counted["asked"]:
                told = f"the model did not reply: {lost.most_common(1)[0][0]}"
            return [Score(None, told, counted if not place else {}) for place in range(len(candidates))]
        for position in (position for one in entrants for position in one.members):
            found[position] = Score(0.0)
        for position in left[0].members:
            found[position] = Score(1.0, "the model names its answer")
        return [Score(one.value, one.detail, counted if not place else {}) for place, one in enumerate(found)]

    def shown(self, entrants: list[Entrant], candidates: Sequence[Candidate]) -> list[Entrant]:
        """Return who is shown: one candidate of each answer."""
        del candidates
        return entrants

    def _question(self, problem: Problem, shown: Sequence[Entrant], calls: Calls) -> tuple[Message, ...]:
        texts = [whole(one.candidate) if self.thinking == "keep" else one.candidate.text for one in shown]
        solutions = "\n\n".join(f"Solution {number}:\n{text.strip()}" for number, text in enumerate(texts))
        words = {
            "problem": "\n\n".join(message.content for message in calls.messages),
            "solutions": solutions,
            "criteria": CRITERIA[problem.kind] if self.criteria is None else self.criteria,
            "number": str(len(shown)),
            "last": str(len(shown) - 1),
        }
        return (Message("user", filled(self.prompt, **words)),)

    async def _choice(self, pending: Any, number: int, figures: Figures, lost: Counter[str]) -> int | None:
        """Return the place that a reply names; None where it names none that is there, or does not come."""
        figures["asked"] += 1
        try:
            place = read_choice(await pending, number, self.thinking_tags)
        except CallError as error:
            place = None
            lost[str(error)] += 1
        figures["unread"] += place is None
        return place


def read_choice(reply: Completion, number: int, tags: tuple[str, str]) -> int | None:
    """Return the number behind the last «Judgment» of a reply; None where it is not one of those, or not one alone."""
    if reply.finish_reason != "stop":
        return None
    text = reply.text if reply.reasoning is not None else split_thinking(reply.text, tags, opened=reply.opened)[1]
    named = list(re.finditer(r"\bjudge?ment\b[\W_]*(?:(?:solution|boxed)[\W_]*)?(?=[0-9])", text, re.IGNORECASE))
    one = re.compile(rf"(?<![-–−])([0-9]+)(?!\w|[.,]\d)(?!{JOINED}\d)")
    found = one.match(text, named[-1].end()) if named else None
    return int(found[1]) if found and int(found[1]) < number else None


def _rotations(shown: Sequence[Entrant], orders: int) -> list[list[Entrant]]:
    """Return the window in several orders: nobody stands in the same place twice, as far as there are places."""
    shifts = [turn * max(1, len(shown) // orders) % len(shown) for turn in range(orders)]
    return [[*shown[shift:], *shown[:shift]] for shift in shifts]


def _winner(choices: Sequence[tuple[Sequence[Entrant], int | None]], figures: Figures) -> Entrant | None:
    """Return the answer that more than half of the orders name, from more than one place; None: undecided."""
    named = [(order[place], place, len(order)) for order, place in choices if place is not None]
    figures["choices"] += len(named)
    figures["first_chosen"] += sum(place == 0 for _, place, _ in named)
    figures["first_expected"] += sum(1 / size for _, _, size in named)
    for entrant, _, _ in named:
        places = [place for one, place, _ in named if one.members == entrant.members]
        if 2 * len(places) > len(choices) and len(set(places)) > 1:
            return entrant
    return None
