"""What the tests of judges share: a recipe around a judge, and judges with a character."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import PrivateAttr

from tts.components.component import Component
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.types import Completion, Message, Problem, ProblemRow, Reference, Request

ANSWERS = (
    "so \\boxed{2}",
    "or \\boxed{4}",
    "then \\boxed{4}",
    "hence \\boxed{7}",
    "thus \\boxed{4}",
    "well \\boxed{2}",
)
"""The vote: 4 three times, 2 twice, 7 once."""


class Critic(Component):
    """A judge that tells its marks' probabilities, or writes, by its character."""

    character: Literal["first", "second", "right", "long", "nonsense", "fives", "mute", "cut", "shuffled"]
    """first and second: prefers what stands there. right: knows that 7 is right. long: likes long texts."""

    speaks: bool = False
    """Whether it writes replies, and tells no probabilities."""

    thinking_tags: ClassVar[tuple[str, str]] = ("<think>", "</think>")

    _waiting: list[Request] = PrivateAttr(default_factory=list)
    _seen: list[Request] = PrivateAttr(default_factory=list)

    def capabilities(self) -> frozenset[str]:
        return frozenset({"seeds", "prefix"} if self.speaks else {"seeds", "prefix", "ask_tokens"})

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        return "\n".join(message.content for message in messages), 1

    @property
    def num_free(self) -> int:
        return 4 - len(self._waiting)

    @property
    def num_generated_tokens(self) -> int:
        return 0

    def add(self, request: Request) -> None:
        self._waiting.append(request)
        self._seen.append(request)

    def cancel(self, problem_id: str, key: str) -> None:
        del problem_id, key

    def step(self, patience_seconds: float = 0.1) -> list[Completion]:
        del patience_seconds
        if not self._waiting:
            return []
        return [self._reply(self._waiting.pop())]

    def _reply(self, request: Request) -> Completion:
        asked = request.decoding.ask_tokens
        marks = asked or (("A", "B") if "<response_A>" in request.messages[-1].content else tuple("12345"))
        shares = self._shares(request.messages[-1].content, marks)
        logprobs = tuple(math.log(share) if share else -100.0 for share in shares) if asked else None
        text = {"nonsense": "Bananas!", "mute": ""}.get(self.character, marks[shares.index(max(shares))])
        ended: Any = "length" if self.character == "cut" else "stop"
        return Completion(request.problem_id, request.key, text, ended, 50, 1, asked_logprobs=logprobs)

    def _shares(self, text: str, marks: Sequence[str]) -> tuple[float, ...]:
        if self.character in ("nonsense", "mute", "cut"):
            return (1e-6,) * len(marks)
        if self.character == "fives":
            return (*((0.0,) * (len(marks) - 1)), 1.0)
        if marks != ("A", "B"):  # one answer to rate
            good = "boxed{7}" in text
            if len(marks) == 2:  # yes and no
                return (0.9, 0.05) if good else (0.1, 0.8)
            return (0.1, 0.0, 0.0, 0.0, 0.8) if good else (0.5, 0.3, 0.2, 0.0, 0.0)
        first, second = (found[1] for found in re.finditer(r"<response_[AB]>\n(.*?)\n</response", text, re.DOTALL))
        likes = {
            "first": 1.0,
            "second": 0.0,
            "right": 0.5 + 0.5 * (("{7}" in first) - ("{7}" in second)),
            "long": 0.5 + 0.01 * (len(first) - len(second)),
            "shuffled": 0.9 if len(text) % 2 else 0.2,
        }[self.character]
        return (0.9 * likes, 0.9 * (1 - likes))


def solve(
    folder: Path, scorer: dict[str, Any], *, answers: Sequence[Any] = ANSWERS, number: int = 3, **keys: Any
) -> list[Any]:
    """Return the solutions of some problems of the same answers, chosen between by best of N and this scorer."""
    recipe = {
        "task": "math",
        "engine": {"name": "replay", "script": list(answers)},
        "sampler": {"name": "temperature", "num_candidates": len(answers)},
        "selector": {"name": "best_of_n", "scorer": scorer},
        **keys,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump(recipe))
    rows = [ProblemRow(Problem(f"p{one}", f"What is {one}?", "math"), Reference("7"), one + 1) for one in range(number)]
    with open_run(load_recipe(str(path)), rows, folder / "run") as run:
        return [outcome.solution for outcome in run.outcomes(keep_order=True)]


def critic(character: str, **keys: Any) -> dict[str, Any]:
    return {"name": "judge_parts:Critic", "character": character, **keys}
