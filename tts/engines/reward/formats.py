"""How the public reward models read an answer: the tokens, and at which of them a step's value stands.

Each format is what its authors' own example does, with the steps' outer white space left out: their texts were split at
it. What is read does not depend on what follows a position (the models are causal), so one pass rates all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tts.engines.prompts import Prompts
from tts.engines.reward.keys import RewardModelKeys
from tts.errors import EngineError
from tts.types import Message

STEP_SEPARATOR, STEP_TAG, GOOD, BAD = "<extra_0>", "ки", "+", "-"


class UnreadableError(EngineError):
    """These steps cannot be read; others may be."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as token ids, and where in it values stand, in the order of the steps."""

    token_ids: tuple[int, ...]
    places: tuple[int, ...]


Read = Callable[[tuple[Message, ...], tuple[str, ...]], list[Reading]]
"""Messages and steps → what is read for them. Raises EngineError where they cannot be read."""


def question_of(messages: Sequence[Message]) -> str:
    """Return the question where a format knows no roles: all that was sent."""
    return "\n\n".join(message.content for message in messages)


def reader(keys: RewardModelKeys, prompts: Prompts, padding: int | None) -> Read:
    """Return what reads in the recipe's format. Raises EngineError where the tokenizer lacks what it takes.

    `padding` is the model's padding id: the head of an outcome model is read at the last token that is not it.
    """
    match keys.format:
        case "outcome":
            return _Outcome(prompts, padding, each=keys.rates != "whole")
        case "qwen_prm":
            return _StepSeparator(prompts, keys.step_tag or STEP_SEPARATOR)
        case "math_shepherd":
            return _StepTag(prompts, keys.step_tag or STEP_TAG)
        case "rlhflow":
            return _Turns(prompts, keys.good or GOOD)
        case "skywork_prm":
            return _StepEnds(prompts)


def answer_tokens(keys: RewardModelKeys, prompts: Prompts) -> tuple[int, int]:
    """Return the ids of the tokens for right and wrong. Raises EngineError where they are no two tokens."""
    good, bad = prompts.token_of(keys.good or GOOD, "good"), prompts.token_of(keys.bad or BAD, "bad")
    if good == bad:
        raise EngineError(f"`good` and `bad` must be two tokens of this model, got one: {good}")
    return good, bad


class _Outcome:
    """The conversation with the answer as the assistant's whole turn; the value of each is that of all up to it."""

    def __init__(self, prompts: Prompts, padding: int | None, *, each: bool) -> None:
        self._prompts, self._padding, self._each = prompts, padding, each

    def __call__(self, messages: tuple[Message, ...], steps: tuple[str, ...]) -> list[Reading]:
        readings = []
        for end in range(1, len(steps) + 1) if self._each else [len(steps)]:
            answer = Message("assistant", "".join(steps[:end]))
            _, ids = self._prompts.conversation((*messages, answer))
            last = next((place for place in reversed(range(len(ids))) if ids[place] != self._padding), len(ids) - 1)
            readings.append(Reading(ids, (last,) if self._each else (last,) * len(steps)))
        return readings


class _StepSeparator:
    """Qwen2.5-Math-PRM: the assistant's turn is the steps, a separator after each, where two classes are read."""

    def __init__(self, prompts: Prompts, separator: str) -> None:
        self._prompts, self._separator = prompts, separator
        self._id = prompts.token_of(separator, "step_tag")

    def __call__(self, messages: tuple[Message, ...], steps: tuple[str, ...]) -> list[Reading]:
        refuse_within(self._separator, steps)
        prompt, _ = self._prompts.render(messages)
        text = prompt + "".join(f"{step.strip()}{self._separator}" for step in steps)
        ids = tuple(self._prompts.tokenizer(text, add_special_tokens=False).input_ids)
        return [Reading(ids, last_places(ids, self._id, len(steps), self._separator))]


class _StepTag:
    """Math-Shepherd: question and steps as plain text, « ки» after each step, which is followed by + or -."""

    def __init__(self, prompts: Prompts, tag: str) -> None:
        self._prompts, self._tag = prompts, tag
        self._id = prompts.token_of(tag, "step_tag")
        self((Message("user", "one?"),), ("one", "two"))  # in a text it must be the same token

    def __call__(self, messages: tuple[Message, ...], steps: tuple[str, ...]) -> list[Reading]:
        refuse_within(self._tag, steps)
        solution = "\n".join(f"{step.strip()} {self._tag}" for step in steps)
        ids = tuple(self._prompts.tokenizer(f"{question_of(messages)} {solution}").input_ids)
        return [Reading(ids, last_places(ids, self._id, len(steps), self._tag))]


class _Turns:
    """RLHFlow: each step is a user's turn (the first after the question), answered by +; read before that token."""

    def __init__(self, prompts: Prompts, good: str) -> None:
        if not prompts.tokenizer.is_fast or prompts.tokenizer.chat_template is None:
            raise EngineError("`model` must have a chat template and a fast tokenizer for `format: rlhflow`")
        self._prompts, self._good, self._id = prompts, good, prompts.token_of(good, "good")
        self((Message("user", "one?"),), ("one", "two"))

    def __call__(self, messages: tuple[Message, ...], steps: tuple[str, ...]) -> list[Reading]:
        turns: list[Message] = []
        ends: list[int] = []
        for step in steps:
            text = step.strip() if turns else f"{question_of(messages)} {step.strip()}"
            turns.append(Message("user", text))
            ends.append(len(self._prompts.render(tuple(turns))[0]))
            turns.append(Message("assistant", self._good))
        text, _ = self._prompts.conversation(tuple(turns)) if turns else ("", ())
        encoded = self._prompts.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, places = tuple(encoded.input_ids), []
        for end in ends:
            said = end + len(text[end:]) - len(text[end:].lstrip())
            place = next((one for one, (begin, over) in enumerate(encoded.offset_mapping) if begin <= said < over), 0)
            if not text.startswith(self._good, said) or place == 0 or ids[place] != self._id:
                raise EngineError(
                    f"`model` must have a chat template that lets {self._good!r} follow a header as a token of "
                    f"its own, got {text[max(0, end - 40) : said + 9]!r}"
                )
            places.append(place - 1)
        return [Reading(ids, tuple(places))]


class _StepEnds:
    """Skywork-o1-Open-PRM: question, line feed, steps with a line feed between them, read at the last token of each."""

    def __init__(self, prompts: Prompts) -> None:
        self._tokenizer = prompts.tokenizer
        self._line_feed = prompts.tokenizer("\n", add_special_tokens=False).input_ids[-1:]

    def __call__(self, messages: tuple[Message, ...], steps: tuple[str, ...]) -> list[Reading]:
        begin = f"{self._tokenizer.bos_token or ''}{question_of(messages)}\n"
        ids: list[int] = list(self._tokenizer(begin, add_special_tokens=False).input_ids)
        places = []
        for number, step in enumerate(steps, start=1):
            ids += self._tokenizer(step.strip(), add_special_tokens=False).input_ids
            if number < len(steps):
                ids += self._line_feed
            places.append(len(ids) - 1)
        return [Reading(tuple(ids), tuple(places))]


def refuse_within(tag: str, steps: tuple[str, ...]) -> None:
    """Raise UnreadableError where a step holds what ends steps."""
    if any(tag in step for step in steps):
        raise UnreadableError(f"a step must not hold {tag!r} itself, which would stand for the end of another")


def last_places(ids: tuple[int, ...], wanted: int, number: int, tag: str) -> tuple[int, ...]:
    """Return where the last `number` of a token stand: those of the steps, which come after the question.

    Raises UnreadableError where there are fewer.
    """
    places = [place for place, one in enumerate(ids) if one == wanted]
    if len(places) < number:
        raise UnreadableError(
            f"`step_tag` must be the same token behind a step as alone, got {tag!r}, which this tokenizer merges"
        )
    return tuple(places[len(places) - number :])
