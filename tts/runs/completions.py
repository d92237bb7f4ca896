"""Where replayed completions come from: a script in the recipe, or the lines of a file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Protocol, Self

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from tts.components.component import Section
from tts.errors import EngineError
from tts.types import Completion, FinishReason

EVERY_PROBLEM = "*"


class MissingCompletionError(LookupError):
    """A completion was asked for that is not there; the message says what is missing, and where."""


class ScriptedCompletion(Section):
    """What to answer to one request. The keys are those of a candidate; all but the text may be left out."""

    text: str
    """What the model wrote, without the thinking section."""
    reasoning: str | None = None
    """What stood inside the thinking tags, if any."""
    finish_reason: FinishReason = "stop"
    """Why it ended: `stop`, `length`, `cancelled`, `error` or `abandoned` (below its floor)."""
    error: str | None = None
    """What went wrong; given exactly when `finish_reason` is `error`."""
    num_prompt_tokens: int | None = Field(default=None, ge=0, lt=2**53)
    """Tokens of the prompt; the number of its words where left out."""
    num_tokens: int | None = Field(default=None, ge=0, lt=2**53)
    """Tokens generated; the number of words of reasoning and text where left out."""
    cumulative_logprob: float | None = None
    """Sum of the tokens' log-probabilities, in nats."""
    mean_logprob: float | None = None
    """Mean of the tokens' log-probabilities, in nats."""
    self_certainty: float | None = None
    """Mean over the tokens of KL(uniform ‖ model), in nats."""
    token_logprobs: Annotated[tuple[float, ...], Field(strict=False)] | None = None
    """Log-probability of each token, in nats."""
    seed: int | None = None
    """The seed it was drawn with; the request's where left out."""
    sampler: str | None = None
    """The label of the sampler that asked for it; the request's where left out."""
    engine_stats: dict[str, float] = Field(default_factory=dict)
    """Figures that the engine noted."""
    stop: str | None = Field(default=None, min_length=1)
    """The stop string that ended it, with which `text` ends; null: the model ended it, or nothing did."""
    asked_logprobs: dict[str, float] | None = None
    """Log-probabilities, in nats, of tokens that a request may ask for (`ask_tokens`), by the token's text."""
    key: str | None = None
    """The call of a search that it answers, by its place there (`2/0`); null: any that has no answer of its own."""
    delay_seconds: float | None = Field(default=None, ge=0)
    """How long this one takes; the engine's `delay_seconds` where left out."""

    @model_validator(mode="after")
    def _error_has_its_reason(self) -> Self:
        if (self.error is not None) != (self.finish_reason == "error"):
            raise ValueError("`error` must be given exactly when `finish_reason` is `error`")
        if self.stop is not None and not self.text.endswith(self.stop):
            raise ValueError(f"`text` must end with `stop`, {self.stop!r}")
        return self

    def completion(
        self, problem_id: str, key: str, num_prompt_words: int, ask_tokens: tuple[str, ...] = ()
    ) -> Completion:
        """Return it as what an engine returns; words stand in for tokens that were not counted."""
        known = self.asked_logprobs
        return Completion(
            problem_id=problem_id,
            key=key,
            text=self.text,
            finish_reason=self.finish_reason,
            num_prompt_tokens=num_prompt_words if self.num_prompt_tokens is None else self.num_prompt_tokens,
            num_tokens=self._num_words if self.num_tokens is None else self.num_tokens,
            cumulative_logprob=self.cumulative_logprob,
            mean_logprob=self.mean_logprob,
            self_certainty=self.self_certainty,
            token_logprobs=self.token_logprobs,
            stop=self.stop,
            error=self.error,
            engine_stats=self.engine_stats,
            reasoning=self.reasoning,
            seed=self.seed,
            sampler=self.sampler,
            asked_logprobs=tuple(map(known.get, ask_tokens)) if ask_tokens and known is not None else None,
        )

    @cached_property
    def _num_words(self) -> int:
        """Words of reasoning and text; a script's completion is handed out again and again."""
        return len(self.text.split()) + len((self.reasoning or "").split())

    @property
    def is_written(self) -> bool:
        """Whether the model wrote it to an end of its own or to the length limit."""
        return self.finish_reason in ("stop", "length")

    @property
    def capabilities(self) -> frozenset[str]:
        """What may be read from it: `logprobs`, `self_certainty`, `confidence`, `ask_tokens`; `floor`: its least
        confidence."""
        found = {
            "logprobs": self.mean_logprob,
            "self_certainty": self.self_certainty,
            "confidence": self.engine_stats.get("mean_confidence"),
            "ask_tokens": self.asked_logprobs,
            "floor": self.engine_stats.get("least_confidence"),
        }
        return frozenset(name for name, value in found.items() if value is not None)


class StoredCompletion(ScriptedCompletion):
    """One line of a file: a completion and whose it is."""

    problem_id: str
    """The problem it answers."""
    index: int | None = Field(default=None, ge=0)
    """Which candidate of the problem; where left out, the lowest that no line of the problem names."""
    calls: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The calls of the search that wrote it; they mean nothing elsewhere and are not handed on."""
    rewards: Annotated[tuple[float, ...], Field(strict=False)] | None = None
    """The rewards of its steps; not handed on either."""


def _text_alone(entry: Any) -> Any:
    return {"text": entry} if isinstance(entry, str) else entry


def _as_short_as_written(completion: ScriptedCompletion) -> Any:
    keys = completion.model_dump(mode="json", exclude_defaults=True)
    return completion.text if keys.keys() == {"text"} else keys


def _for_every_problem(script: Any) -> Any:
    return {EVERY_PROBLEM: script} if isinstance(script, list | tuple) else script


Entry = Annotated[
    ScriptedCompletion,
    Field(strict=False),
    BeforeValidator(_text_alone, json_schema_input_type=str | ScriptedCompletion),
    PlainSerializer(_as_short_as_written),
]
Entries = Annotated[tuple[Entry, ...], Field(strict=False, min_length=1)]
Script = Annotated[
    dict[str, Entries],
    BeforeValidator(_for_every_problem, json_schema_input_type=Entries | dict[str, Entries]),
]
"""Problem id → its completions. A list is short for `{"*": list}`, where `*` stands for every problem not named."""


class Completions(Protocol):
    """A source of completions."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What the completions bring for the scorers; known before `open`."""

    def open(self) -> None:
        """Check everything there is."""

    def find(self, problem_id: str, key: str) -> ScriptedCompletion:
        """Return one completion; raises MissingCompletionError where there is none."""

    def close(self) -> None:
        """Free what is held."""


class ScriptedCompletions:
    """Completions from the recipe; candidate i of a problem gets number i, starting over after the last.

    A call of a search gets the one that names its key, else one chosen by the key alone.
    """

    def __init__(self, script: Mapping[str, Sequence[ScriptedCompletion]]) -> None:
        self._script = script
        self._known: dict[int, tuple[Mapping[str, ScriptedCompletion], Sequence[ScriptedCompletion]]] = {}

    @property
    def capabilities(self) -> frozenset[str]:
        """What all of them bring, errors and cancelled ones aside."""
        return _common(entry for entries in self._script.values() for entry in entries)

    def open(self) -> None:
        """Do nothing: the recipe's reader has checked the script."""

    def find(self, problem_id: str, key: str) -> ScriptedCompletion:
        """Return the completion of the request `key`."""
        entries = self._script.get(problem_id) or self._script.get(EVERY_PROBLEM)
        if entries is None:
            raise MissingCompletionError(f"the script has no completions for problem {problem_id!r}")
        named, others = self._sorted(entries)
        if key in named:
            return named[key]
        if not others:
            raise MissingCompletionError(f"the script has no completion for the call {key} of problem {problem_id!r}")
        number = int(key) if key.isdecimal() else zlib.crc32(key.encode())
        return others[number % len(others)]

    def _sorted(
        self, entries: Sequence[ScriptedCompletion]
    ) -> tuple[Mapping[str, ScriptedCompletion], Sequence[ScriptedCompletion]]:
        """Return the entries by the call that they name, and those that name none; once for each list."""
        if id(entries) not in self._known:
            named = {entry.key: entry for entry in entries if entry.key is not None}
            self._known[id(entries)] = (named, [entry for entry in entries if entry.key is None])
        return self._known[id(entries)]

    def close(self) -> None:
        """Do nothing."""


class StoredCompletions:
    """Completions from a run folder or a JSONL file. Only their places are kept in memory, not the texts."""

    def __init__(self, source: str) -> None:
        self._source = Path(source).expanduser()
        self._file: BinaryIO | None = None
        self._offsets: dict[str, dict[int, int]] = {}

    @property
    def capabilities(self) -> frozenset[str]:
        """What the first completion brings that is neither an error nor cancelled; a later one may lack it."""
        with self._open_file() as file:
            return _common(islice((row for _, _, row in self._rows(file) if row.is_written), 1))

    def open(self) -> None:
        """Check every line and note where it begins. Raises EngineError at the first that is wrong."""
        self.close()
        without: dict[str, list[int]] = {}
        with self._open_file() as file:
            for place, offset, row in self._rows(file):
                of_problem = self._offsets.setdefault(row.problem_id, {})
                if row.index is None:
                    without.setdefault(row.problem_id, []).append(offset)
                elif of_problem.setdefault(row.index, offset) != offset:
                    raise EngineError(f"{place}: candidate {row.index} of problem {row.problem_id!r} is there twice")
        for problem_id, offsets in without.items():
            number_the_rest(self._offsets[problem_id], offsets)
        self._file = self._open_file()

    def find(self, problem_id: str, key: str) -> StoredCompletion:
        """Return the completion of the candidate whose index is `key`, read anew from the file."""
        of_problem = self._offsets.get(problem_id, {})
        offset = of_problem.get(int(key)) if key.isdecimal() else None
        if offset is None or self._file is None:
            held = f"only {len(of_problem)} of its others" if of_problem else "nor any other of it"
            raise MissingCompletionError(f"{self._source} holds no candidate {key} of problem {problem_id!r}, {held}")
        self._file.seek(offset)
        return _parse(self._file.readline(), f"{self._source}, byte {offset}")

    def close(self) -> None:
        """Close the file and forget the places."""
        if self._file is not None:
            self._file.close()
        self._file = None
        self._offsets = {}

    def _open_file(self) -> BinaryIO:
        path = self._source / "candidates.jsonl" if self._source.is_dir() else self._source
        try:
            return path.open("rb")
        except OSError as error:
            raise EngineError(
                f"`source` must be a run folder or a JSONL file of completions, got {str(self._source)!r}: "
                f"cannot read {path} ({error.strerror})"
            ) from error

    def _rows(self, file: BinaryIO) -> Iterator[tuple[str, int, StoredCompletion]]:
        """Yield (file:line, byte offset, completion) of every line that is not blank."""
        offset = 0
        for number, line in enumerate(file, start=1):
            if not line.isspace():
                place = f"{file.name}:{number}"
                yield place, offset, _parse(line, place)
            offset += len(line)


def number_the_rest(numbered: dict[int, int], places: Iterable[int]) -> None:
    """Give the places of completions without an index the lowest numbers that are free, in their order."""
    free = (index for index in count() if index not in numbered)
    numbered.update(dict(zip(free, places, strict=False)))


def _common(completions: Iterable[ScriptedCompletion]) -> frozenset[str]:
    brought = [completion.capabilities for completion in completions if completion.is_written]
    return frozenset.intersection(*brought) if brought else frozenset()


def _parse(line: bytes, place: str) -> StoredCompletion:
    try:
        return StoredCompletion.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = "".join(f"`{part}`: " for part in first["loc"][:1])
        cut = "" if line.endswith(b"\n") else ". The line is cut off: resume that run to repair it, or delete the line"
        raise EngineError(f"{place} is no completion: {key}{first['msg']}{cut}") from error
