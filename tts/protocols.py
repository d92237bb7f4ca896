"""What each stage must offer. A component is any class with these methods; `Component` brings the rest."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

from tts.types import (
    JSON,
    Answer,
    Ballot,
    Candidate,
    Completion,
    Decoding,
    FinishReason,
    Grouping,
    Kind,
    Message,
    Order,
    Plugin,
    PluginReport,
    Prices,
    Problem,
    Reference,
    Request,
    RewardRequest,
    Rewards,
    Score,
    Selection,
    Spent,
    Verdict,
    Written,
)

FILTERS = frozenset({"top_p", "top_k", "min_p", "top_n_sigma"})
"""The capabilities of an engine that heeds every filter of a `Decoding`."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")


class Opens(Protocol):
    """The life of a component (see `tts.Component`)."""

    def check(self) -> None:
        """Raise where what `open` needs is plainly missing; cheap."""

    def open(self) -> None:
        """Load what is needed."""

    def close(self) -> None:
        """Free it; safe to call twice."""


class Engine(Opens, Protocol):
    """What would this model write? Requests go in one by one, completions come out in the order they finish.

    The caller drives: `add` while `num_free > 0`, `step` while anything is in flight. All calls come from one thread.
    """

    def capabilities(self) -> frozenset[str]:
        """What the engine can do, known before `open`: `logprobs`, `self_certainty`, `seeds`, `top_p`, …

        Only an open engine may know whether it is `deterministic`; until then it says `near_deterministic`. A
        `PluginHost` has the names of its plugins among them.
        """

    @property
    def thinking_tags(self) -> tuple[str, str] | None:
        """What opens and closes a thinking section in what it writes; None: its completions come split already."""

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        """Return the prompt exactly as the model will read it, and its number of tokens."""

    @property
    def num_free(self) -> int:
        """How many more requests the engine wants now. More may be added, but they only wait."""

    @property
    def num_generated_tokens(self) -> int:
        """Tokens generated since `open`, unfinished requests included (for the progress display)."""

    def add(self, request: Request) -> None:
        """Take one request. A request that cannot be served comes back from `step` as an `error` completion."""

    def step(self, patience_seconds: float = 0.1) -> list[Completion]:
        """Work for a moment (one decoding step); return what finished, maybe nothing.

        One that computes elsewhere waits for it at most `patience_seconds`; with nothing in flight it returns at once.
        Every request added comes back exactly once. Raises EngineError where the engine cannot go on.
        """

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request; `step` returns what it has, `finish_reason` "cancelled". Unknown ones are ignored."""


class RewardEngine(Opens, Protocol):
    """How good does this model find each step? Works as an `Engine` does, on other calls."""

    def capabilities(self) -> frozenset[str]:
        """What it can do, known before `open`: `rewards`."""

    @property
    def num_free(self) -> int:
        """How many more requests the engine wants now."""

    def add(self, request: RewardRequest) -> None:
        """Take one request; one that cannot be served comes back with an `error`."""

    def step(self, patience_seconds: float = 0.1) -> list[Rewards]:
        """Work for a moment; return what finished, maybe nothing."""

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request; it comes back with an `error`. Unknown ones are ignored."""


@runtime_checkable
class AskingRewardEngine(Opens, Protocol):
    """A reward engine that asks another engine, and computes nothing itself.

    Who drives it puts its `questions` to `engine`, which is opened, fed and stepped like any other (and may be what
    draws the candidates, too), and hands the replies to `values`. Both methods are functions of their arguments.
    """

    @property
    def engine(self) -> Engine | None:
        """What is asked; None: what draws the recipe's candidates. It has the capability `ask_tokens`."""

    def capabilities(self) -> frozenset[str]:
        """`rewards`."""

    def questions(self, request: RewardRequest) -> tuple[Request, ...]:
        """Return what to ask, under keys of their own that begin with the request's."""

    def values(self, request: RewardRequest, replies: Sequence[Completion]) -> tuple[float, ...]:
        """Return a value for each step, given the replies in the order of the questions; raise CallError without."""


@runtime_checkable
class MeasuresWhenAsked(Protocol):
    """What an engine offers besides that measures some of what it can only where a scorer reads it."""

    def measure(self, capabilities: frozenset[str]) -> None:
        """Fill the fields behind these from the next `open` on, too; what it always fills or cannot is ignored."""


@runtime_checkable
class Priced(Protocol):
    """What an engine offers besides whose tokens cost money."""

    @property
    def prices(self) -> Prices | None:
        """What they cost; None: the recipe does not say."""


@runtime_checkable
class SendsAgain(Protocol):
    """What an engine offers besides that asks a server, and anew where it broke off: what was written is paid twice."""

    def ask_before_sending_again(self, may: Callable[[str, str], bool]) -> None:
        """From now on, before a call that may have cost something is sent anew, ask `may(problem_id, key)`.

        Where that says no, the call comes back with an `error`. It may be called from any thread.
        """


@runtime_checkable
class FindsOut(Protocol):
    """What an engine offers besides that learns what it can do by trying, when it is opened.

    Its `capabilities` are before that what may be, then what is; a recipe that needs more is refused then.
    """

    def found(self) -> Mapping[str, str]:
        """What was seen of each capability that was tried, a sentence each; empty while it is closed."""

    @property
    def opening(self) -> Spent:
        """What opening took; while it is closed, what it takes at most."""


@runtime_checkable
class Sized(Protocol):
    """What an engine offers besides whose model has a known size, for the cost in FLOPs."""

    @property
    def num_parameters(self) -> int | None:
        """How many parameters one token passes through; None where that is not known, or the engine not open yet."""


@runtime_checkable
class Forgets(Protocol):
    """What an engine offers besides that keeps something for a problem's later calls."""

    def forget(self, problem_id: str) -> None:
        """Free it: no call of this problem will come any more."""


@runtime_checkable
class PluginHost(Protocol):
    """What an engine offers besides that runs a sampler's plugin inside; `Request.guidance` says whom it guides.

    It has methods alone, so that asking a closed engine whether it is one touches none of its properties.
    """

    def host(self, plugin: Plugin) -> None:
        """Run `plugin` from the next `open` on. Raises EngineError where this engine cannot, as far as is known now."""

    def plugin_report(self) -> PluginReport | None:
        """What the plugin did since `open`; None where there is none. Waits for the device."""


class Sampler(Opens, Protocol):
    """Which candidates shall we draw? What recipes, budgets and reports ask of any sampler.

    One that draws is a `OneShotSampler`, which asks once, or a `SearchingSampler`, which asks and learns what came.
    """

    @property
    def num_candidates(self) -> int:
        """How many candidates it draws for each problem; a search draws at most as many."""

    @property
    def max_tokens(self) -> int:
        """The most tokens that one of its candidates may have."""

    @property
    def requires(self) -> frozenset[str]:
        """The engine capabilities without which this sampler's recipe is refused."""

    @property
    def interacting(self) -> bool:
        """Whether candidates of one problem influence each other: then a part of them is no smaller draw."""


@runtime_checkable
class OneShotSampler(Sampler, Protocol):
    """One problem's order → the requests that fill it.

    Where it is interacting, an unfinished problem is redrawn whole.
    """

    def requests(self, order: Order) -> Iterable[Request]:
        """Yield one request per index in `order.indices`, in that order. Depends on nothing but the order."""


class Pending(Protocol[T_co]):
    """Something asked for: `await` it, as often as you like, for what came of it. Cancelled, it never tells."""

    def __await__(self) -> Generator[Any, None, T_co]:
        """Return what came; raises CallError where nothing will."""

    def cancel(self) -> None:
        """Give it up. Awaiting it raises from now on, also where it had come: when it came tells nothing."""


class Calls(Protocol):
    """What a search, or a scorer that asks, may do for one problem. All that it learns comes through here.

    The rules, which make a search a function of (problem, recipe, seed, replies), so that it can be run again from its
    start after any crash:

    1. A search awaits only what its own `calls` returned.
    2. What it awaits it awaits by name; nothing depends on what came first. Several may await one thing.
    3. Branches share nothing but arguments and results; each asks through its own `calls`.
    4. What is cancelled is never told. How many tokens it took depends on timing, so nothing else may.
    5. No clock, no chance but `rng`, no verdict, no reference.
    6. What a branch asked for ends with it: when it returns, raises or is cancelled, all of it is given up.
    7. At most `most_calls` of a problem; `emit` once an index, below `num_candidates`, while the search runs.

    What breaks a rule raises MisuseError and ends that problem alone.
    """

    @property
    def rng(self) -> random.Random:
        """Chance for its own choices: seeded by run, problem and branch."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is sent to draw the problem's candidates."""

    def capabilities(self, engine: Engine | None = None) -> frozenset[str]:
        """Return what the recipe's engine, or another, can do."""

    def generate(
        self,
        decoding: Decoding,
        written: Written = (),
        *,
        messages: tuple[Message, ...] = (),
        engine: Engine | None = None,
        about: Written = (),
    ) -> Pending[Completion]:
        """Let the recipe's engine (or another) go on from what is written; without `messages`: from the task's.

        `about` is for those who watch alone: what a call is about that does not go on from what calls wrote.
        """

    def rewards(self, engine: RewardEngine | AskingRewardEngine, written: Written) -> Pending[Rewards]:
        """Ask a reward model what it thinks of each piece."""

    def classes(self, written: Sequence[Written]) -> Pending[Grouping]:
        """Return nodes and links of the answers in these, read as the judge will read them; (): no answer."""

    def branch(
        self, search: Callable[Concatenate[Calls, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> Pending[T]:
        """Start `search(calls of its own, *args)` beside this one."""

    def at(self, *place: int) -> Calls:
        """Return calls whose keys are named, not counted: `calls.at(2, 5)` are the same whatever was asked before."""

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
        """Hand in candidate `index`, once. It is in the file when this returns. `error` says why one failed.

        Where a sampler draws in several ways, `arm` tells which: the credit goes to `label/arm`.
        """


@runtime_checkable
class SearchingSampler(Sampler, Protocol):
    """A sampler that converses with engines: one coroutine a problem. `num_candidates` is the most it hands in."""

    @property
    def label(self) -> str:
        """What gets the credit for its candidates."""

    @property
    def most_calls(self) -> int:
        """The most calls that one problem may take, all engines together; it is held to that."""

    @property
    def most_tokens(self) -> int:
        """The most tokens that one problem may take."""

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Draw the candidates of one problem: a function of what it awaits, and of `calls.rng`."""


@runtime_checkable
class GuidingSampler(OneShotSampler, Protocol):
    """A sampler that works inside the engine. Its `requires` names the plugin, and its requests bring `guidance`."""

    @property
    def plugin(self) -> Plugin:
        """What the engine must host."""


class Scorer(Opens, Protocol):
    """How good does a candidate look, without the answer?"""

    @property
    def requires(self) -> frozenset[str]:
        """The engine capabilities that fill the candidate fields this scorer reads."""

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:
        """Return one score per candidate, order kept; higher is better."""


@runtime_checkable
class AskingScorer(Opens, Protocol):
    """A scorer that asks models: one coroutine a problem, which goes by the rules of `Calls` and hands nothing in.

    It runs once all candidates of its problem are there. What it asks about a candidate it should ask under a place of
    that candidate (`calls.at(candidate.index)`): then one that is drawn anew is asked about alone.
    """

    @property
    def requires(self) -> frozenset[str]:
        """The capabilities that the recipe's own engine must have."""

    @property
    def pointwise(self) -> bool:
        """Whether a candidate's score depends on it alone, so that it serves every subset of the candidates."""

    @property
    def raw(self) -> bool:
        """Whether scores may be any number, such as a model's logits, and so cannot weigh votes."""

    @property
    def call_seconds(self) -> float:
        """How long a model may take over one question before it counts as silent."""

    def most_calls(self, num_candidates: int) -> int:
        """Return the most calls that it may make for a problem with so many candidates; it is held to that."""

    def most_tokens(self, num_candidates: int) -> int:
        """Return the most tokens that it may have written for such a problem."""

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:
        """Return one score per candidate, order kept; higher is better. All candidates ended by themselves.

        What cannot be told is a score of None that says why.
        """


class Selector(Opens, Protocol):
    """Which candidate do we hand in? Pure, and blind to the order of the candidates."""

    @property
    def scorer(self) -> Scorer | AskingScorer | None:
        """The scorer whose scores the ballot must bring; None where it needs none."""

    def select(self, ballot: Ballot) -> Selection:
        """Return the selection; an empty one where every candidate abstains."""


@runtime_checkable
class BoundSelector(Selector, Protocol):
    """A selector that peeks at the verdicts: an upper bound, allowed in a benchmark only. Its `select` raises."""

    def select_with_verdicts(self, ballot: Ballot, verdicts: Sequence[Verdict]) -> Selection:
        """Return the selection, given one verdict per candidate of the ballot."""


class AnswerReader(Protocol):
    """What is the answer in this text, and when are two the same? Knows one kind of answer; thread-safe."""

    def extract(self, problem: Problem, text: str) -> Answer | None:
        """Return the final answer of `text`, or None. Cheap, and never raises on any text."""

    def group(self, problem: Problem, answers: Sequence[Answer | None]) -> Grouping:
        """Return which answers are the same and which are equal; None for no answer.

        But for the numbering it does not depend on the answers' order. What cannot be decided counts as different.
        """


class Verifier(AnswerReader, Opens, Protocol):
    """Reads answers, and tells whether one is right. Thread-safe."""

    def verify(self, problem: Problem, answers: Sequence[Answer | None], reference: Reference) -> list[Verdict]:
        """Return one verdict per answer, order kept. No answer: failed, `no_answer`; no reference: undecided."""


@runtime_checkable
class ReadsReferences(Protocol):
    """A verifier that can tell, before anything is drawn, that it could not judge by a reference."""

    def unreadable(self, reference: Reference) -> bool:
        """Tell whether the reference says something that cannot be read."""


@runtime_checkable
class Sandboxed(Protocol):
    """A verifier or scorer that runs programs which nobody trusts."""

    def protection(self) -> Mapping[str, JSON]:
        """What stands between the programs and the host, as seen to hold here; for run.json."""


class Task(Opens, Protocol):
    """What goes with a kind of problem: the words around it, and the verifier that knows its answers."""

    @property
    def kind(self) -> Kind:
        """The kind of problem it belongs to."""

    @property
    def verifier(self) -> Verifier:
        """The verifier that knows this kind's answers."""

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Return the conversation to send for `problem`."""
