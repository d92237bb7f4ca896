"""calls.jsonl: what searches asked for and what came of it, so that a search can be run again from its start.

A line is a reply, written before anybody is told: `completion` or `rewards` of an engine, or what `classes` gave
(`nodes` and `links`, or an `error`). `told` false: it had been given up before it came, so a resumed search is not told
either; it was paid for all the same. `{"end": true}` says that a problem's search is over, and why where it failed; the
number of its candidates cannot say so. `{"retry": true}` takes back the end and the errors before it (for
`--retry-errors`): such a search may ask other things than those on record, which are then asked anew, and the later
line counts.

`problem_id` stands first, and fields at their default are left out. Token ids are base64 of little-endian 32-bit
numbers. In memory are 8 bytes a line of the searches that did not end; the lines of one are read when it begins.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from array import array
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import Any

import msgspec

from tts.errors import CallError
from tts.runs.files import AppendFile, StoredFile
from tts.runs.ledger import POLICY
from tts.types import Completion, Grouping, Request, RewardRequest, Rewards

FILE = "calls.jsonl"


@dataclass(frozen=True, slots=True)
class CallKey:
    """What finding a problem's lines takes."""

    problem_id: str
    end: bool = False
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A line of calls.jsonl."""

    problem_id: str
    key: str = ""
    digest: str = ""
    engine: str = POLICY
    told: bool = True
    completion: dict[str, Any] | None = None
    rewards: dict[str, Any] | None = None
    nodes: tuple[int | None, ...] | None = None
    links: frozenset[tuple[int, int]] = frozenset()
    error: str | None = None
    end: bool = False
    retry: bool = False

    @property
    def reply(self) -> Completion | Rewards | Grouping | CallError:
        """What came of it."""
        name = {"problem_id": self.problem_id, "key": self.key}
        if self.completion is not None:
            stored = dict(self.completion)
            ids = stored.pop("token_ids", None)
            completion = msgspec.convert({**stored, **name}, Completion)
            return completion if ids is None else replace(completion, token_ids=_unpacked(ids))
        if self.rewards is not None:
            return msgspec.convert({**self.rewards, **name}, Rewards)
        if self.nodes is not None:
            return Grouping(self.nodes, self.links)
        return CallError(self.error or "there is no reply on record")


class CallLog:
    """The calls of a run's searches: those on record, and those to come."""

    def __init__(self, file: AppendFile) -> None:
        self._file = file
        self.ended: dict[str, str | None] = {}
        """The problems whose search is over, and why where it failed."""
        self.retried: set[str] = set()
        """The problems that are drawn again because something failed."""
        self._offsets: dict[str, array[int]] = {}
        for offset, line in file.records(CallKey):
            if line.end:
                self.ended[line.problem_id] = file.read(offset, Call).error
                self._offsets.pop(line.problem_id, None)
            elif line.retry:
                self.ended.pop(line.problem_id, None)
                self.retried.add(line.problem_id)
            else:
                self._offsets.setdefault(line.problem_id, array("Q")).append(offset)
        again = self.retried - self.ended.keys()
        if again:  # their ends came after their calls, which are needed now
            self._offsets |= {problem_id: array("Q") for problem_id in again}
            for offset, line in file.records(CallKey):
                if line.problem_id in again and not (line.end or line.retry):
                    self._offsets[line.problem_id].append(offset)

    def take(self, problem_id: str) -> dict[str, Call]:
        """Return a problem's calls by key, once; of two the later. Raises RunFolderError where a line is none."""
        found: dict[str, Call] = {}
        for offset in self._offsets.pop(problem_id, ()):
            call = self._file.read(offset, Call)
            found[call.key] = call
        if problem_id in self.retried:
            found = {key: call for key, call in found.items() if _error_of(call) is None}
        return found

    def reply(self, engine: str, digest: str, reply: Completion | Rewards, *, told: bool) -> None:
        """Record what an engine replied to the call of this digest."""
        kind = "completion" if isinstance(reply, Completion) else "rewards"
        line: dict[str, Any] = {"problem_id": reply.problem_id, "key": reply.key, "digest": digest, "engine": engine}
        if not told:
            line["told"] = False
        self._file.append({**line, kind: _as_stored(reply)})

    def grouping(self, problem_id: str, key: str, digest: str, reply: Grouping | CallError) -> None:
        """Record what the verifier said of some answers."""
        line: dict[str, Any] = {"problem_id": problem_id, "key": key, "digest": digest}
        if isinstance(reply, Grouping):
            line |= {"nodes": reply.nodes} | ({"links": sorted(reply.links)} if reply.links else {})
        else:
            line["error"] = str(reply)
        self._file.append(line)

    def end(self, problem_id: str, error: str | None) -> None:
        """Record that a search is over: a later session need not run it."""
        self._file.append({"problem_id": problem_id, "end": True} | ({} if error is None else {"error": error}))
        self.ended[problem_id] = error


def ended(file: StoredFile) -> dict[str, str | None]:
    """Return the problems whose search is over, and why where it failed."""
    found: dict[str, str | None] = {}
    for offset, line in file.records(CallKey):
        if line.end:
            found[line.problem_id] = file.read(offset, Call).error
        elif line.retry:
            found.pop(line.problem_id, None)
    return found


def digest(engine: str, call: Request | RewardRequest) -> str:
    """Return what tells a call from another one under the same key.

    Fields of the decoding that have their default do not count, nor do token ids and labels: so a field that a later
    version adds changes no digest.
    """
    messages = [text for message in call.messages for text in (message.role, message.content)]
    if isinstance(call, RewardRequest):
        return digest_of("rewards", engine, *messages, "", *call.steps)
    changed = [
        f"{field.name}={value!r}"
        for field in sorted(fields(call.decoding), key=lambda field: field.name)
        if (value := getattr(call.decoding, field.name)) != field.default
    ]
    written = [piece.text for piece in call.prefix]
    return digest_of("generate", engine, str(call.seed), *messages, "", *changed, "", *written)


def digest_of(*texts: str) -> str:
    """Return 16 hex digits of these texts, in which `("ab", "c")` is not `("a", "bc")`."""
    found = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        found.update(b"%d\0" % len(data))
        found.update(data)
    return found.hexdigest()[:16]


def _error_of(call: Call) -> str | None:
    stored = call.completion or call.rewards or {}
    error = call.error or stored.get("error")
    return None if error is None else str(error)


def _as_stored(reply: Completion | Rewards) -> dict[str, Any]:
    """Return the fields that are not at their default, but for those that name the call."""
    stored = {
        field.name: value
        for field in fields(reply)
        if field.name not in ("problem_id", "key") and (value := getattr(reply, field.name)) != _default(field)
    }
    if "token_ids" in stored:
        stored["token_ids"] = _packed(stored["token_ids"])
    return stored


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _packed(ids: Sequence[int]) -> str:
    words = array("I", ids)
    if sys.byteorder == "big":
        words.byteswap()
    return base64.b64encode(words.tobytes()).decode()


def _unpacked(text: str) -> array[int]:
    words = array("I", base64.b64decode(text))
    if sys.byteorder == "big":
        words.byteswap()
    return words
