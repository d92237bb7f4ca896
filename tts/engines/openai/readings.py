"""How a reward model reads an answer, in its server's own tokens; the formats are those of `engines/reward/formats`.

The server splits texts into tokens, so nothing of the model must be on this machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tts.engines.openai.client import RefusedError, Server
from tts.engines.openai.keys import RewardServerKeys
from tts.engines.openai.tokens import Tokens
from tts.engines.reward.formats import GOOD, STEP_SEPARATOR, STEP_TAG, Reading, last_places, question_of, refuse_within
from tts.types import Message

Pick = Callable[[], Server]
Steps = tuple[str, ...]


class Readings:
    """Makes token ids of messages and steps, and says where in them values stand. Raises as `Tokens` does."""

    def __init__(self, keys: RewardServerKeys, tokens: Tokens) -> None:
        self._keys, self._tokens = keys, tokens

    async def of(self, pick: Pick, messages: tuple[Message, ...], steps: Steps) -> list[Reading]:
        """Return what is read for these steps, the last place always at the end. Raises EngineError, too."""
        formats: dict[str, Callable[[Pick, tuple[Message, ...], Steps], Awaitable[list[Reading]]]] = {
            "outcome": self._outcome,
            "qwen_prm": self._separated,
            "math_shepherd": self._tagged,
            "rlhflow": self._turns,
        }
        return await formats[self._keys.format](pick, messages, steps) if steps else []

    async def _outcome(self, pick: Pick, messages: tuple[Message, ...], steps: Steps) -> list[Reading]:
        each = self._keys.rates != "whole"
        pad_token = self._keys.pad_token
        padding = None if pad_token is None else await self._tokens.token(pick, pad_token, "pad_token")
        readings = []
        for end in range(1, len(steps) + 1) if each else [len(steps)]:
            turns = (*messages, Message("assistant", "".join(steps[:end])))
            ids = await self._tokens.conversation(pick, turns)
            last = next((place for place in reversed(range(len(ids))) if ids[place] != padding), len(ids) - 1)
            readings.append(Reading(ids[: last + 1], (last,) if each else (last,) * len(steps)))
        return readings

    async def _separated(self, pick: Pick, messages: tuple[Message, ...], steps: Steps) -> list[Reading]:
        separator = self._keys.step_tag or STEP_SEPARATOR
        refuse_within(separator, steps)
        wanted = await self._tokens.token(pick, separator, "step_tag")
        ids = await self._tokens.prompt(pick, messages)
        ids += await self._tokens.text(pick, "".join(f"{step.strip()}{separator}" for step in steps))
        return [_up_to_the_last(ids, last_places(ids, wanted, len(steps), separator))]

    async def _tagged(self, pick: Pick, messages: tuple[Message, ...], steps: Steps) -> list[Reading]:
        tag = self._keys.step_tag or STEP_TAG
        refuse_within(tag, steps)
        wanted = await self._tokens.token(pick, tag, "step_tag")
        solution = "\n".join(f"{step.strip()} {tag}" for step in steps)
        ids = await self._tokens.text(pick, f"{question_of(messages)} {solution}", whole=True)
        return [_up_to_the_last(ids, last_places(ids, wanted, len(steps), tag))]

    async def _turns(self, pick: Pick, messages: tuple[Message, ...], steps: Steps) -> list[Reading]:
        good = self._keys.good or GOOD
        wanted = await self._tokens.token(pick, good, "good")
        turns: tuple[Message, ...] = ()
        begins: list[tuple[int, ...]] = []
        for step in steps:
            text = step.strip() if turns else f"{question_of(messages)} {step.strip()}"
            turns = (*turns, Message("user", text))
            begins.append(await self._tokens.prompt(pick, turns))
            turns = (*turns, Message("assistant", good))
        ids = await self._tokens.conversation(pick, turns)
        for begin in begins:
            if ids[: len(begin) + 1] != (*begin, wanted):
                raise RefusedError(
                    f"the model's chat template must let {good!r} follow a header as a token of its own, and does not"
                )
        return [_up_to_the_last(ids, tuple(len(begin) - 1 for begin in begins))]


def _up_to_the_last(ids: tuple[int, ...], places: tuple[int, ...]) -> Reading:
    return Reading(ids[: places[-1] + 1], places)
