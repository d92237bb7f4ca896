"""What a search holds in its hands: calls that it makes, promises that it awaits, branches that run beside it.

How it works. A branch is one coroutine. `Branch.run` lets it go on until it awaits a `Promise` that is not told yet;
then the branch waits there. Telling or cancelling a promise runs nobody: it only makes those that wait for it `ready`,
and the host (`tts.pipeline.driver`) runs them one after the other. So no branch runs inside another, however deep they
are nested, and the host always knows which one is running: a call through another branch's `calls` is refused, because
the order of the keys would then depend on timing.

A key is a place in the search: `0, 1, 2, …` at the root, `2/0, 2/1, …` in the branch that was its third call, `c0, c1,
…` for classes, which are counted apart so that asking the verifier moves no seed, and `@2,5/0` at a named place. A
branch asks in a fixed order and numbers for itself, so no key depends on timing, and neither does the seed made of it.
"""

from __future__ import annotations

import hashlib
import math
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Concatenate, Generic, NoReturn, ParamSpec, Protocol, TypeVar, get_args

from tts.errors import CallError, MisuseError, OtherSearchError
from tts.protocols import AskingRewardEngine, Engine, RewardEngine
from tts.runs.call_log import Call, CallLog
from tts.runs.candidates import split_thinking
from tts.runs.ledger import POLICY
from tts.runs.records import finite
from tts.types import (
    Candidate,
    Completion,
    Decoding,
    FinishReason,
    Grouping,
    Message,
    Piece,
    Problem,
    Request,
    RewardRequest,
    Rewards,
    Written,
)

AWAITABLE = (
    "a search may only await what its own `calls` returned, got {}. For things side by side use `calls.branch`, not "
    "asyncio"
)

T = TypeVar("T")
P = ParamSpec("P")


def call_seed(run_seed: int, problem_id: str, key: str) -> int:
    """Return the seed of one call, in [0, 2**53): a function of these three alone, so no batching changes it."""
    data = hashlib.sha256(f"{run_seed}\0{key}\0{problem_id}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(data[:8], "big") >> 11


class Host(Protocol):
    """Who runs branches and gets them what they ask for."""

    ready: deque[Branch]
    running: Branch | None

    def send(self, branch: Branch) -> Any:
        """Let a branch run until it awaits something; return that."""

    def shut(self, branch: Branch) -> None:
        """Close a branch's coroutine."""

    def capabilities(self, engine: Engine | None) -> frozenset[str]:
        """Return what an engine of the recipe can do; None is what draws candidates. Raises MisuseError for others."""

    def ask(
        self,
        branch: Branch,
        engine: Engine | RewardEngine | AskingRewardEngine | None,
        call: Request | RewardRequest,
        about: Written = (),
    ) -> Promise[Any]:
        """Ask an engine of the recipe; None is what draws candidates. Raises MisuseError for others.

        `about` is noted on record, and nothing depends on it.
        """

    def ask_classes(
        self, branch: Branch, key: str, answers: tuple[str | None, ...], about: Written
    ) -> Promise[Grouping]:
        """Ask the verifier which of these texts' answers are the same; None: no answer."""

    def record(self, candidate: Candidate) -> None:
        """Write a candidate to its file."""

    def refuse(self, search: Search, what: str) -> NoReturn:
        """End the run: `what` the search asks or hands in is not the one on record."""


@dataclass(eq=False, slots=True)
class Search:
    """One problem's search.

    `candidates` are those that were handed in, in an earlier session too; `recorded` is what an earlier session has on
    record in `log`, and nobody asked for yet. `in_flight` counts what will still be told, `num_untold` what was given
    up and has not come back yet; `may_differ` says that records which do not fit are asked anew. `num_steps` is the
    most pieces that a call went on from. `error` says why it failed, once it is `over`.

    What sets a scorer's search apart: what it asks engines that are not its own is charged to the place `own`, its keys
    begin with `scope`, `marks` are what tells the calls to a place apart besides what is asked (which model is there),
    and a call that takes an engine more than `call_seconds` is an error. `seed_name` is what seeds are made of where it
    is not the problem's id. Where each candidate is drawn in one go,
    `keep` takes the replies in the place of the log.
    """

    host: Host
    problem: Problem
    messages: tuple[Message, ...]
    label: str
    thinking_tags: tuple[str, str] | None
    run_seed: int
    num_candidates: int
    most_calls: int
    candidates: dict[int, Candidate]
    log: CallLog
    recorded: dict[str, list[Call]]
    may_differ: bool = False
    own: str = POLICY
    scope: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    call_seconds: float = math.inf
    seed_name: str | None = None
    keep: Callable[[Completion], None] | None = None
    emitted: set[int] = field(default_factory=set)
    completions: dict[str, Completion] = field(default_factory=dict)
    num_calls: int = 0
    num_steps: int = 0
    in_flight: int = 0
    num_untold: int = 0
    root: Branch | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.root is not None and self.root.over

    @property
    def done(self) -> bool:
        """Whether it has ended, and all that it gave up has come back and is charged."""
        return self.over and not self.num_untold

    def seed(self, key: str) -> int:
        """Return the seed of one of its calls."""
        return call_seed(self.run_seed, self.seed_name or self.problem.id, key)

    @property
    def error(self) -> BaseException | None:
        """What it raised."""
        return None if self.root is None else self.root.result.error

    @property
    def result(self) -> Any:
        """What it returned."""
        return None if self.root is None else self.root.result.value

    def answer(self, written: Written) -> tuple[str | None, str]:
        """Return (reasoning, answer text) of what is written, split as a whole."""
        text = "".join(piece.text for piece in written)
        drawn = [self.completions[piece.call] for piece in written if piece.call]
        if self.thinking_tags is None:
            thoughts = [one.reasoning for one in drawn if one.reasoning is not None]
            return ("\n\n".join(thoughts) if thoughts else None), text
        return split_thinking(text, self.thinking_tags, opened=bool(drawn) and drawn[0].opened)


class Promise(Generic[T]):
    """Something asked for; see `tts.protocols.Pending`."""

    def __init__(self, branch: Branch, cancel: Callable[[], None]) -> None:
        self.branch, self._on_cancel = branch, cancel
        self.told = self.cancelled = False
        self.error: BaseException | None = None
        self.value: T | None = None
        self._waiting: list[Branch] = []

    def __await__(self) -> Generator[Promise[T], None, T]:
        """Wait until it is told; raise where nothing will come. Raises MisuseError for another problem's."""
        running = self.branch.search.host.running
        if running is None or running.search is not self.branch.search:
            raise MisuseError(AWAITABLE.format("what another problem asked for"))
        if not (self.told or self.cancelled):
            yield self
        if self.cancelled:
            raise CallError("it was cancelled")
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # it is told, and None only where T allows it

    def cancel(self) -> None:
        """Give it up."""
        if not self.cancelled:
            self.cancelled = True
            if not self.told:
                self._on_cancel()
            self._wake()

    def tell(self, value: T | None = None, error: BaseException | None = None) -> None:
        """Tell it."""
        self.told, self.value, self.error = True, value, error
        self._wake()

    def wait(self, branch: Branch) -> None:
        """Let a branch go on once it is told."""
        if self.told or self.cancelled:
            branch.search.host.ready.append(branch)
        else:
            self._waiting.append(branch)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.branch.search.host.ready.extend(waiting)


class Branch:
    """One coroutine of a search. What it asked for ends with it."""

    def __init__(self, search: Search, parent: Branch | None = None) -> None:
        self.search = search
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.asked: list[Promise[Any]] = []
        self.result: Promise[Any] = Promise(parent or self, self.close)
        self.over = False

    def run(self) -> None:
        """Let it go on until it awaits something that is not there."""
        if self.over:
            return
        try:
            awaited = self.search.host.send(self)
            if not isinstance(awaited, Promise) or awaited.branch.search is not self.search:
                raise MisuseError(AWAITABLE.format(type(awaited).__name__))
        except StopIteration as end:
            self.end(end.value)
        except OtherSearchError:
            raise
        except BaseException as error:  # whatever a search raises ends that search alone
            if _is_users(error):
                raise
            self.end(error=error)
        else:
            awaited.wait(self)

    def end(self, value: Any = None, error: BaseException | None = None) -> None:
        """End it with a value or an error."""
        self.close()
        self.result.tell(value, error)

    def close(self) -> None:
        """End it, and give up what it asked for and was not told."""
        self.over = True
        if self.coroutine is not None:
            try:
                self.search.host.shut(self)
            except BaseException as error:  # a `finally` that asks, awaits or fails: nobody is there to be told
                if _is_users(error):
                    raise
        asked, self.asked = self.asked, []
        for promise in asked:
            if not promise.told:
                promise.cancel()


class SearchCalls:
    """The `tts.protocols.Calls` of one branch."""

    def __init__(self, branch: Branch, scope: str = "") -> None:
        self._branch, self._search, self._scope = branch, branch.search, scope
        self._num_asked = self._num_classes = 0
        self._places: set[tuple[int, ...]] = set()
        self.rng = random.Random(self._search.seed(f"{scope}rng"))
        """Chance for the branch's own choices."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is sent to draw the problem's candidates."""
        return self._search.messages

    def capabilities(self, engine: Engine | None = None) -> frozenset[str]:
        """Return what the recipe's engine, or another, can do."""
        return self._search.host.capabilities(engine)

    def generate(
        self,
        decoding: Decoding,
        written: Written = (),
        *,
        messages: tuple[Message, ...] = (),
        engine: Engine | None = None,
        about: Written = (),
    ) -> Promise[Completion]:
        """Let the recipe's engine (or another) go on from what is written."""
        search, key = self._search, self._key()
        sent = messages or search.messages
        request = Request(search.problem.id, key, sent, decoding, search.seed(key), search.label, prefix=written)
        search.num_steps = max(search.num_steps, len(written))
        return search.host.ask(self._branch, engine, request, about or written)

    def draw(self, request: Request) -> Promise[Completion]:
        """Draw a candidate in one go, as its sampler asks for it. For the pipeline alone."""
        self._count()
        return self._search.host.ask(self._branch, None, request)

    def rewards(self, engine: RewardEngine | AskingRewardEngine, written: Written) -> Promise[Rewards]:
        """Ask a reward model what it thinks of each piece."""
        search, key = self._search, self._key()
        steps = tuple(piece.text for piece in written)
        request = RewardRequest(search.problem.id, key, search.messages, steps)
        return search.host.ask(self._branch, engine, request, written)

    def classes(self, written: Sequence[Written]) -> Promise[Grouping]:
        """Return nodes and links of the answers in these; (): no answer."""
        self._count()
        key, self._num_classes = f"{self._scope}c{self._num_classes}", self._num_classes + 1
        answers = tuple(self._search.answer(one)[1] if one else None for one in written)
        last = next((one for one in reversed(written) if one), ())
        return self._search.host.ask_classes(self._branch, key, answers, last)

    def branch(
        self,
        search: Callable[Concatenate[SearchCalls, P], Coroutine[Any, Any, T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Promise[T]:
        """Start `search(calls of its own, *args)` beside this branch."""
        branch = Branch(self._search, parent=self._branch)
        branch.coroutine = _coroutine(search(SearchCalls(branch, f"{self._key()}/"), *args, **kwargs))
        self._branch.asked.append(branch.result)
        self._search.host.ready.append(branch)
        return branch.result

    def at(self, *place: int) -> SearchCalls:
        """Return calls of this branch whose keys are named, not counted; each place once."""
        self._running()
        if place in self._places:
            raise MisuseError(f"the place {place} was named before")
        self._places.add(place)
        return SearchCalls(self._branch, f"{self._scope}@{','.join(map(str, place))}/")

    def emit(
        self,
        index: int,
        written: Written,
        finish_reason: FinishReason,
        rewards: Sequence[float] | None = None,
        *,
        error: str = "",
        arm: str = "",
    ) -> None:
        """Hand in candidate `index`."""
        self._running()
        search = self._search
        _require_kept(index, written, finish_reason, error)
        if not 0 <= index < search.num_candidates or index in search.emitted:
            raise MisuseError(
                f"candidate {index} was handed in before, or is not among the {search.num_candidates} "
                "that were asked for"
            )
        search.emitted.add(index)
        candidate = replace(
            self._candidate(index, written, finish_reason),
            sampler=f"{search.label}/{arm}" if arm else search.label,
            rewards=None if rewards is None else numbers(rewards, "the rewards of a candidate"),
        )
        if finish_reason == "error":
            candidate = replace(candidate, error=error or "a call that it needed failed")
        recorded = search.candidates.get(index)
        if recorded is None:
            search.host.record(candidate)
            search.candidates[index] = candidate
        elif (recorded.text, recorded.finish_reason, recorded.calls) != (
            candidate.text,
            candidate.finish_reason,
            candidate.calls,
        ):
            search.host.refuse(search, f"candidate {index}")

    def _candidate(self, index: int, written: Written, finish_reason: FinishReason) -> Candidate:
        """Put a candidate together of what its calls wrote; each figure is None where one of them has none.

        What the engine noted besides is the mean over its tokens, of what it noted of all calls that wrote any.
        """
        search = self._search
        calls = tuple(piece.call for piece in written if piece.call)
        unknown = [call for call in calls if call not in search.completions]
        if unknown:
            raise MisuseError(f"a piece must name the call of this search that wrote it, or none, got {unknown[0]!r}")
        drawn = [search.completions[call] for call in calls]
        wrote = [one for one in drawn if one.num_tokens != 0] or drawn[:1]
        reasoning, text = search.answer(written)
        each_written = [one.num_tokens for one in drawn]
        num_tokens = None if None in each_written else sum(one or 0 for one in each_written)
        logprob = _sum([one.cumulative_logprob for one in drawn])
        certainty = _sum(
            [
                None if one.self_certainty is None or one.num_tokens is None else one.self_certainty * one.num_tokens
                for one in wrote
            ]
        )
        each = [one.token_logprobs for one in drawn]
        stats = dict(wrote[0].engine_stats) if wrote else {}
        if len(wrote) > 1:
            stats = {
                name: math.fsum(one.engine_stats[name] * (one.num_tokens or 0) for one in wrote) / num_tokens
                for name in stats
                if num_tokens and all(name in one.engine_stats for one in wrote)
            }
        return Candidate(
            problem_id=search.problem.id,
            index=index,
            text=text,
            reasoning=reasoning,
            finish_reason=finish_reason,
            num_prompt_tokens=drawn[0].num_prompt_tokens if drawn else 0,
            num_tokens=num_tokens,
            cumulative_logprob=logprob,
            mean_logprob=None if logprob is None or not num_tokens else logprob / num_tokens,
            self_certainty=None if certainty is None or not num_tokens else certainty / num_tokens,
            seed=search.seed(str(index)),
            sampler=search.label,
            token_logprobs=None if None in each or not each else tuple(one for many in each for one in many or ()),
            engine_stats=stats,
            calls=calls,
        )

    def _key(self) -> str:
        self._count()
        self._num_asked += 1
        return f"{self._scope}{self._num_asked - 1}"

    def _count(self) -> None:
        self._running()
        search = self._search
        search.num_calls += 1
        if search.num_calls > search.most_calls:
            raise MisuseError(
                f"the search asks more than the {search.most_calls} calls that its sampler allows a problem"
            )

    def _running(self) -> None:
        if self._search.host.running is not self._branch:
            raise MisuseError("a branch asks through its own `calls`, and only while it runs")


def _is_users(error: BaseException) -> bool:
    """Tell whether it is the user's Ctrl-C, which comes to the main thread alone, and nothing that a search raised."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def begin(search: Search, sampler_search: Callable[[Problem, SearchCalls], Coroutine[Any, Any, Any]]) -> None:
    """Give the search its root, ready to run. A sampler whose `search` is no coroutine ends it at once."""
    search.root = Branch(search)
    try:
        search.root.coroutine = _coroutine(sampler_search(search.problem, SearchCalls(search.root, search.scope)))
    except Exception as error:
        search.root.end(error=error)
    else:
        search.host.ready.append(search.root)


def numbers(values: Sequence[Any], what: str) -> tuple[float, ...]:
    """Return them as floats. Raises MisuseError unless each is a finite number: a file could not hold it."""
    wrong = [value for value in values if not (isinstance(value, Real) and math.isfinite(value))]
    if wrong:
        raise MisuseError(f"{what} must be finite numbers, got {wrong[0]!r}")
    return tuple(map(float, values))


def _require_kept(index: Any, written: Any, finish_reason: Any, error: Any) -> None:
    """Raise MisuseError for a candidate that its file could not give back."""
    if type(index) is not int:
        raise MisuseError(f"a candidate's index must be an int, got {index!r}")
    if not all(isinstance(piece, Piece) and isinstance(piece.text, str) for piece in written):
        raise MisuseError(f"a candidate must be written in pieces of text, got {written!r}")
    if finish_reason not in get_args(FinishReason):
        known = ", ".join(get_args(FinishReason))
        raise MisuseError(f"a candidate's finish_reason must be one of {known}, got {finish_reason!r}")
    if not isinstance(error, str):
        raise MisuseError(f"a candidate's error must be a text, got {error!r}")


def _coroutine(made: Any) -> Coroutine[Any, Any, Any]:
    if not isinstance(made, Coroutine):
        raise MisuseError(f"`search` must be an `async def`, got one that returns {type(made).__name__}")
    return made


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return finite(sum(known)) if known and len(known) == len(values) else None
