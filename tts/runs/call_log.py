"""calls.jsonl: what searches asked for and what came of it, so that a search can be run again from its start.

A line is a reply, written before anybody is told: `completion` or `rewards` of an engine, or what `classes` gave
(`nodes` and `links`, or an `error`). `told` false: it had been given up before it came, so a resumed search is not told
either; it was paid for all the same. `{"end": true}` says that a problem's search is over, how many candidates it
handed in, and why where it failed; where one of them got lost, it is run again on its record. `{"retry": true}` takes
back the end and the errors before it (for `--retry-errors`): such a search may ask other things than those on record,
which are then asked anew, and the later line counts.

scorer_calls.jsonl is the same of scorers that ask. They have no end; where a call does not fit the record it is asked
anew, and both lines stay, so that the scorers of one folder do not disturb each other.

`after` names the call whose text a call goes on from, or is about, and `put` begins what the sampler put behind that
text. Both are for those who look at a search (`tts.runs.search_tree`); nothing that is drawn depends on them.

`problem_id` stands first, and fields at their default are left out. Token ids are base64 of little-endian 32-bit
numbers. In memory are 8 bytes a line of the searches that did not end; the lines of one are read when it begins.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any

import msgspec

from tts.errors import CallError
from tts.runs.files import AppendFile, StoredFile
from tts.runs.ledger import POLICY, added, charge, charge_of
from tts.types import Completion, Grouping, Request, RewardRequest, Rewards, Spent, Written

FILE = "calls.jsonl"
SCORER_FILE = "scorer_calls.jsonl"
MOST_PUT = 120
"""Characters of `put` that are kept."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a line says of its completion's, or its rewards', cost."""

    num_prompt_tokens: int = 0
    num_tokens: int | None = 0
    num_cached_tokens: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CallKey:
    """What finding a problem's lines takes, and what they cost."""

    problem_id: str
    engine: str = POLICY
    told: bool = True
    completion: _Cost | None = None
    rewards: _Cost | None = None
    error: str | None = None
    end: bool = False
    num_candidates: int = 0
    retry: bool = False


@dataclass(slots=True)
class Searched:
    """What is on record of a problem's search: whether it is over, why it failed, and what it took by engine.

    `failed`: something went wrong in it, a call or the whole; `again`: it is drawn again because of that, and then
    only what came since counts for the rest. `num_candidates` is how many it had handed in at its end, 0 where an
    earlier version did not say. `offsets`, in a stored run, are where its lines begin.
    """

    over: bool = False
    num_candidates: int = 0
    error: str | None = None
    failed: bool = False
    again: bool = False
    spent: dict[str, Spent] = field(default_factory=dict)
    offsets: array[int] = field(default_factory=lambda: array("Q"))

    def hear(self, line: CallKey) -> None:
        """Take the next line of this problem."""
        cost = line.completion or line.rewards
        if cost is not None:
            charge(self.spent, line.engine, charge_of(cost, told=line.told))
        if line.retry:
            self.over, self.error, self.failed, self.again = False, None, False, True
        else:
            self.failed |= line.error is not None or (cost is not None and cost.error is not None)
        if line.end:
            self.over, self.error, self.num_candidates = True, line.error, line.num_candidates


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
    """The calls of a run's searches: those on record, and those to come. `with_ids`: whether token ids are kept.

    `handed_in` says how many candidates of each problem are there: a search that had handed in more is not over.
    """

    def __init__(self, file: AppendFile, *, with_ids: bool = True, handed_in: Mapping[str, int] | None = None) -> None:
        self._file, self._with_ids = file, with_ids
        self._offsets: dict[str, array[int]] = {}
        self._retried_at: dict[str, int] = {}
        self._searched: dict[str, Searched] = {}
        for offset, line in _heard(file, self._searched):
            if line.end:
                self._offsets.pop(line.problem_id, None)
            elif line.retry:
                self._retried_at[line.problem_id] = offset
            else:
                self._offsets.setdefault(line.problem_id, array("Q")).append(offset)
        again = {problem_id for problem_id, one in self._searched.items() if one.again and not one.over}
        for problem_id, one in self._searched.items():
            if handed_in is not None and one.over and handed_in.get(problem_id, 0) < one.num_candidates:
                one.over = False
                again.add(problem_id)
        if again:  # their ends came after their calls, which are needed now
            self._offsets |= {problem_id: array("Q") for problem_id in again}
            for offset, line in file.records(CallKey):
                if line.problem_id in again and not (line.end or line.retry):
                    self._offsets[line.problem_id].append(offset)

    def of(self, problem_id: str) -> Searched:
        """Return what is known of a problem's search."""
        return self._searched.get(problem_id) or Searched()

    @property
    def spent(self) -> dict[str, Spent]:
        """What is charged for the problems that were not let go, by engine."""
        return added(one.spent for one in self._searched.values())

    def let_go(self, problem_id: str) -> Searched:
        """Return it, and keep it no longer: the problem is handed on."""
        return self._searched.pop(problem_id, None) or Searched()

    def take(self, problem_id: str) -> dict[str, list[Call]]:
        """Return a problem's calls by key, once, the latest first.

        Where it was to be tried again, the errors before that are left out, and what was given up: it may be wanted.
        Raises RunFolderError where a line is none.
        """
        found: dict[str, list[Call]] = {}
        for offset in self._offsets.pop(problem_id, ()):
            call = self._file.read(offset, Call)
            again = self._retried_at.get(problem_id, -1)
            if again < 0 or (call.told and (offset > again or _error_of(call) is None)):
                found.setdefault(call.key, []).insert(0, call)
        return found

    def reply(self, engine: str, digest: str, reply: Completion | Rewards, about: Written = (), *, told: bool) -> None:
        """Record what an engine replied to the call of this digest, which is about what is written."""
        kind = "completion" if isinstance(reply, Completion) else "rewards"
        line: dict[str, Any] = {"problem_id": reply.problem_id, "key": reply.key, "digest": digest, "engine": engine}
        if not told:
            line["told"] = False
        line |= _place(about)
        self._file.append({**line, kind: _as_stored(reply, with_ids=self._with_ids)})
        account = self._searched.setdefault(reply.problem_id, Searched()).spent
        charge(account, engine, charge_of(reply, told=told))

    def grouping(
        self, problem_id: str, key: str, digest: str, reply: Grouping | CallError, about: Written = ()
    ) -> None:
        """Record what the verifier said of some answers."""
        line: dict[str, Any] = {"problem_id": problem_id, "key": key, "digest": digest, **_place(about)}
        if isinstance(reply, Grouping):
            line |= {"nodes": reply.nodes} | ({"links": sorted(reply.links)} if reply.links else {})
        else:
            line["error"] = str(reply)
        self._file.append(line)

    def end(self, problem_id: str, error: str | None, num_candidates: int) -> None:
        """Record that a search is over: a later session need not run it while its candidates are there."""
        line = {"problem_id": problem_id, "end": True, "num_candidates": num_candidates}
        self._file.append(line | ({} if error is None else {"error": error}))
        one = self._searched.setdefault(problem_id, Searched())
        one.over, one.error = True, error

    def retry(self, problem_id: str) -> None:
        """Record that a later session draws this problem again, since it was given up."""
        self._file.append({"problem_id": problem_id, "retry": True})


def retried(file: AppendFile, failed: Iterable[str] = (), *, retry_errors: bool) -> set[str]:
    """Return the problems whose search is drawn again and not over yet: it hands its candidates in anew.

    With `retry_errors` they become those, too, in which something failed, or which are among the `failed`.
    """
    found = searched(file)
    again = {problem_id for problem_id, one in found.items() if one.again and not one.over}
    if not retry_errors:
        return again
    bad = {problem_id for problem_id, one in found.items() if one.failed}
    bad |= {problem_id for problem_id in failed if problem_id not in again}
    if bad:
        file.append(*({"problem_id": problem_id, "retry": True} for problem_id in sorted(bad)))
    return again | bad


def searched(file: StoredFile) -> dict[str, Searched]:
    """Return what a run's calls.jsonl says of each problem, and where its lines begin."""
    found: dict[str, Searched] = {}
    for offset, line in _heard(file, found):
        found[line.problem_id].offsets.append(offset)
    return found


def _heard(file: StoredFile, found: dict[str, Searched]) -> Iterator[tuple[int, CallKey]]:
    """Yield where each line begins, and the line, once `found` has it."""
    for offset, line in file.records(CallKey):
        found.setdefault(line.problem_id, Searched()).hear(line)
        yield offset, line


def digest(engine: str, call: Request | RewardRequest) -> str:
    """Return what tells a call from another one under the same key.

    Fields of the decoding that have their default do not count, nor do token ids and labels: so a field that a later
    version adds changes no digest.
    """
    messages = [text for message in call.messages for text in (message.role, message.content)]
    if isinstance(call, RewardRequest):
        return digest_of("rewards", engine, *messages, "", *call.steps)
    changed = [
        f"{one.name}={value!r}"
        for one in sorted(fields(call.decoding), key=lambda one: one.name)
        if (value := getattr(call.decoding, one.name)) != one.default
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


def _place(about: Written) -> dict[str, str]:
    """Return after which call something stands, and what the sampler put between."""
    put = ""
    for piece in reversed(about):
        if piece.call:
            break
        put = piece.text + put
    else:
        return {"put": put[:MOST_PUT]} if put else {}
    return {"after": piece.call} | ({"put": put[:MOST_PUT]} if put else {})


def _error_of(call: Call) -> str | None:
    stored = call.completion or call.rewards or {}
    error = call.error or stored.get("error")
    return None if error is None else str(error)


def _as_stored(reply: Completion | Rewards, *, with_ids: bool) -> dict[str, Any]:
    """Return the fields that are not at their default, but for those that name the call."""
    stored = {
        one.name: value
        for one in fields(reply)
        if one.name not in ("problem_id", "key") and (value := getattr(reply, one.name)) != _default(one)
    }
    ids = stored.pop("token_ids", None)
    if ids is not None and with_ids:
        stored["token_ids"] = _packed(ids)
    return stored


def _default(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


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
