"""What a server wrote, put together of the pieces in which it came, and made a completion."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tts.runs.records import finite
from tts.types import Completion, FinishReason, Request

FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "abort": "cancelled",
}


class BrokenAnswerError(Exception):
    """The server says, in the midst of its answer, that something went wrong, or what it says is no answer.

    `status` is what HTTP would have said, where the answer had not begun with another; `names` are the error's own code
    and type.
    """

    def __init__(self, why: str, status: int = 0, names: frozenset[str] = frozenset()) -> None:
        super().__init__(why)
        self.status, self.names = status, names


@dataclass(slots=True)
class Choice:
    """One of the answers. `pieces` counts those with text: as many tokens at least."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    finish: str | None = None
    stop: str | int | None = None
    logprobs: list[float] = field(default_factory=list)
    top: list[dict[str, float]] = field(default_factory=list)
    token_ids: list[int] | None = None
    pieces: int = 0

    def take(self, choice: Mapping[str, Any]) -> None:
        """Take a piece: of a chat's stream (`delta`), a chat (`message`), or a text."""
        said = choice.get("delta") or choice.get("message") or {}
        text = choice.get("text") or said.get("content")
        thought = said.get("reasoning_content") or said.get("reasoning")
        if thought:
            self.reasoning.append(thought)
        if text:
            self.text.append(text)
        self.pieces += bool(text or thought)
        told = choice.get("logprobs")
        if told:
            for token in told.get("content") or ():
                self.logprobs.append(_number(token.get("logprob")))
                self.top.append({one["token"]: _number(one["logprob"]) for one in token.get("top_logprobs") or ()})
            self.logprobs += (_number(one) for one in told.get("token_logprobs") or ())
            self.top += (one or {} for one in told.get("top_logprobs") or ())
        if choice.get("token_ids") is not None:
            self.token_ids = [*(self.token_ids or ()), *choice["token_ids"]]
        self.finish = choice.get("finish_reason") or self.finish
        if choice.get("stop_reason") is not None:
            self.stop = choice["stop_reason"]

    def written(self, tags: tuple[str, str] | None) -> tuple[str, str | None]:
        """Return the text, and the thinking where the server split it off; with `tags` it is put back between them."""
        text, reasoning = _joined(self.text), _joined(self.reasoning)
        if not reasoning:
            return text, None
        if tags is None:
            return text, reasoning
        return f"{tags[0]}{reasoning}" + (f"{tags[1]}{text}" if text or self.finish == "stop" else ""), None


@dataclass(slots=True)
class Answer:
    """All choices of one request, and what it took."""

    choices: dict[int, Choice] = field(default_factory=dict)
    usage: Mapping[str, Any] | None = None
    prompt_token_ids: Sequence[int] | None = None

    def take(self, event: Any) -> None:
        """Take an event of a stream, or a whole reply. Raises BrokenAnswerError."""
        if not isinstance(event, Mapping):
            raise BrokenAnswerError("the server answers with something else than an object")
        if event.get("error"):
            told = event["error"] if isinstance(event["error"], Mapping) else {}
            status = told["code"] if type(told.get("code")) is int else 0
            names = frozenset(str(told.get(key)) for key in ("code", "type"))
            raise BrokenAnswerError(f"the server says: {error_text(event)}", status, names)
        try:
            self.usage = event.get("usage") or self.usage
            self.prompt_token_ids = event.get("prompt_token_ids") or self.prompt_token_ids
            for choice in event.get("choices") or ():
                self.prompt_token_ids = choice.get("prompt_token_ids") or self.prompt_token_ids
                self.choices.setdefault(choice.get("index") or 0, Choice()).take(choice)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BrokenAnswerError(f"the server's answer has another form than OpenAI's: {error}") from error

    @property
    def is_whole(self) -> bool:
        """Whether every choice has ended, and there is one."""
        return bool(self.choices) and all(choice.finish is not None for choice in self.choices.values())

    @property
    def num_pieces(self) -> int:
        """Tokens that came, at least. Other threads may ask while more come."""
        return sum(choice.pieces for choice in list(self.choices.values()))

    @property
    def num_read(self) -> int:
        """Tokens of the prompt; 0 where the server does not tell."""
        return int((self.usage or {}).get("prompt_tokens") or 0)

    @property
    def num_cached(self) -> int:
        """How many of them came from the server's cache."""
        details = (self.usage or {}).get("prompt_tokens_details") or {}
        return int(details.get("cached_tokens") or 0)

    def num_written(self, index: int) -> int | None:
        """Return the tokens of one choice; None where that is not known: what is told is of all choices together."""
        choice, total = self.choices.get(index, Choice()), (self.usage or {}).get("completion_tokens")
        if len(self.choices) == 1 and total is not None:
            return int(total)
        if choice.token_ids is not None:
            return len(choice.token_ids)
        if choice.logprobs:
            return len(choice.logprobs)
        if total is not None and total == self.num_pieces:
            return choice.pieces
        return None


def completion_of(
    request: Request,
    answer: Answer,
    index: int,
    *,
    finish_reason: FinishReason | None = None,
    tags: tuple[str, str] | None,
    with_token_logprobs: bool = False,
    asked: tuple[float | None, ...] | None = None,
    stats: Mapping[str, float],
) -> Completion:
    """Return choice `index` as the completion of `request`. The prompt's tokens are those of the first choice alone."""
    choice = answer.choices.get(index) or Choice()
    text, reasoning = choice.written(tags)
    stop = choice.stop if isinstance(choice.stop, str) and choice.stop in request.decoding.stop else None
    # A server leaves the stop string out; here a text that one ended ends with it.
    text += stop or ""
    num_tokens = answer.num_written(index)
    if finish_reason == "cancelled" and answer.usage is None:
        num_tokens = None  # more may have been written than has come
    known = [one for one in choice.logprobs if not math.isnan(one)]
    whole = len(known) == len(choice.logprobs) > 0
    total = finite(math.fsum(known)) if whole else None
    ids = choice.token_ids
    if ids is not None and (choice.reasoning or isinstance(choice.stop, str)):
        ids = None  # they are of another text
    elif ids is not None and choice.finish == "stop":
        ids = ids[:-1]  # the end token is no text
    found: dict[str, float] = dict(stats)
    if num_tokens is None or answer.usage is None:
        found["usage_unknown"] = 1.0
    return Completion(
        problem_id=request.problem_id,
        key=request.key,
        text=text,
        finish_reason=finish_reason or FINISH.get(choice.finish or "", "stop"),
        num_prompt_tokens=answer.num_read if index == 0 else 0,
        num_tokens=num_tokens,
        cumulative_logprob=total,
        mean_logprob=None if total is None else total / len(known),
        token_logprobs=tuple(known) if with_token_logprobs and whole else None,
        stop=stop,
        engine_stats=found,
        reasoning=reasoning,
        token_ids=None if ids is None else array("I", ids),
        num_cached_tokens=answer.num_cached if index == 0 else 0,
        asked_logprobs=asked,
    )


def error_text(reply: Any) -> str:
    """Return what a server says went wrong, in one line: OpenAI's form, others', or the beginning of what it is."""
    found = reply
    if isinstance(found, Mapping):
        found = found.get("error") or found.get("detail") or found.get("message") or found
    if isinstance(found, Mapping):
        param = f" (parameter `{found['param']}`)" if found.get("param") else ""
        found = f"{found.get('message') or found.get('type') or dict(found)}{param}"
    return " ".join(str(found).split())[:300]


def _joined(pieces: Sequence[str]) -> str:
    """Return the whole text; a character that was cut between two pieces, as halves of a surrogate pair, is one."""
    text = "".join(pieces)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
