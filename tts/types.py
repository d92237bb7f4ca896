"""The records that pass between the stages: frozen, typed, JSON-serialisable, without logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"
else:
    JSON: TypeAlias = Any  # what decodes our records knows no type that contains itself
Kind: TypeAlias = Literal["math", "choice", "code", "text"]
FinishReason: TypeAlias = Literal["stop", "length", "cancelled", "error", "abandoned"]
Status: TypeAlias = Literal["passed", "failed", "undecided"]

TRUNCATED = "truncated"
"""Why a candidate that its length limit cut is undecided: figures count it as wrong, within that limit."""

ABANDONED = "abandoned"
"""Why a candidate is undecided whose confidence fell below its floor: nobody can hand it in, so figures count it as
wrong."""

COUNTED_WRONG = frozenset({TRUNCATED, ABANDONED})
"""The reasons of undecided verdicts that leave no figure open."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What is asked. It never holds the reference.

    `messages` is empty unless the row brought a whole conversation; `choices` holds the options of a multiple-choice
    problem in the order shown; `metadata` holds the row's other keys, handed back untouched.

    A code problem asks for `entry_point` (`name`, or `Class.method`), or for a program that reads standard input where
    that is empty. `starter_code` is the code that the answer begins with or completes; `public_tests` are the examples
    that the prompt shows (see `tts.programs.forms`).
    """

    id: str
    prompt: str
    kind: Kind
    messages: tuple[Message, ...] = ()
    choices: tuple[str, ...] = ()
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    entry_point: str = ""
    starter_code: str = ""
    public_tests: JSON = None

    @property
    def cluster(self) -> str | None:
        """What it shares with others (a passage, a template), by its row's key `cluster`: figures take them as one."""
        name = self.metadata.get("cluster")
        return None if name is None else str(name)


@dataclass(frozen=True, slots=True)
class Reference:
    """The known answer of one problem, for the verifier alone. Both fields None: nothing is known.

    `tests` are the hidden tests of a code problem (see `tts.programs.forms`).
    """

    answer: str | None = None
    tests: JSON = None


@dataclass(frozen=True, slots=True)
class RowError:
    """An input row that is no problem: where it stood and why. `problem_id` is None where the row had none."""

    line: int
    problem_id: str | None
    error_type: str
    message: str


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A row understood: what is asked, what is known about the answer, and the 1-based line it stood on.

    Who asks may want less than the recipe draws: at most `num_candidates`, of at most `max_tokens` each (None: as the
    recipe says). Seeds are made of `seed_name` where it is there, in the place of the problem's id.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"num_candidates": None, "max_tokens": None, "seed_name": None}

    problem: Problem
    reference: Reference
    line: int
    num_candidates: int | None = None
    max_tokens: int | None = None
    seed_name: str | None = None


InputRow: TypeAlias = "ProblemRow | RowError"
"""What one row of the input was understood to be."""


@dataclass(frozen=True, slots=True)
class FirstToken:
    """How the first token of a completion is drawn where it differs: only the `top_k` likeliest, at `temperature`."""

    temperature: float
    top_k: int


@dataclass(frozen=True, slots=True)
class ConfidenceFloor:
    """Where a completion is given up: as soon as the mean confidence of `window` tokens in a row is below `threshold`.

    A token's confidence is -(1/k) Σ log p over the k = `top_k` likeliest tokens (see `tts.engines.confidence`); never
    below 0, so a threshold of 0 gives nothing up and has the confidence measured. Shorter completions are never given
    up. The defaults are DeepConf's.
    """

    window: int = 2048
    top_k: int = 20
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an engine turns logits into tokens.

    `temperature` 0 is greedy. Order: `top_n_sigma`, temperature, then `min_p`, `top_k`, `top_p`, each on what the one
    before it kept. `top_k` 0, `top_p` 1, `min_p` 0 and `top_n_sigma` 0 keep everything. `first_token` acts before
    them all, and its temperature takes the place of `temperature`, also where that is 0.

    `ask_tokens`: texts, each one token of this model, whose log-probabilities the completion tells (`asked_logprobs`):
    how likely the text is said, with a space before it or without, where that is one token, too.

    `floor`: below which confidence the completion ends as `abandoned`; its confidence is measured as the floor says.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    top_n_sigma: float = 0.0
    first_token: FirstToken | None = None
    stop: tuple[str, ...] = ()
    ask_tokens: tuple[str, ...] = ()
    floor: ConfidenceFloor | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """What an engine's tokens cost, a million each: read, read from the server's cache, and written."""

    read: float
    cached: float
    written: float


@dataclass(frozen=True, slots=True)
class Plugin:
    """What an engine must run inside for a sampler: the plugin's name and settings, which travel to its processes."""

    name: str
    settings: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Guidance:
    """How a plugin guides one request: with the `group_size` requests of `group`, and how strongly (`beta`)."""

    group: str
    group_size: int
    beta: float


@dataclass(frozen=True, slots=True)
class PluginReport:
    """What a plugin did in one session: its figures (None: not measured), and what is wrong, a sentence each."""

    name: str
    figures: Mapping[str, float | None]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """One problem as the sampler sees it: the messages to send, the candidates still to draw, their seeds.

    `indices` and `seeds` run in parallel; a resumed problem asks only for the missing indices.
    """

    problem: Problem
    messages: tuple[Message, ...]
    indices: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what a candidate says. `call` is the key of the call that wrote it, "" where the sampler put it there.

    `token_ids` (an `array("I")`) are those that an engine wrote, exactly those of `text`; None: the engine that reads
    the piece encodes the text, without special tokens. A piece whose text is changed must drop them.
    """

    text: str
    call: str = ""
    token_ids: Sequence[int] | None = None


Written: TypeAlias = tuple[Piece, ...]
"""What has been written so far, in order."""


@dataclass(frozen=True, slots=True)
class Request:
    """One completion to draw. `sampler` is the label that gets the credit; `guidance` None: no plugin touches it.

    `key` tells the requests of a problem apart: that of candidate 5 is "5"; a search's calls are named by their place
    in it ("2/0": the first call of its third branch). The model goes on from `prefix`, which stands in the answer
    already.
    """

    problem_id: str
    key: str
    messages: tuple[Message, ...]
    decoding: Decoding
    seed: int
    sampler: str
    guidance: Guidance | None = None
    prefix: Written = ()


@dataclass(frozen=True, slots=True)
class RewardRequest:
    """What a reward model is asked: how good is each of these steps? One step is an outcome, several are a process."""

    problem_id: str
    key: str
    messages: tuple[Message, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine returns for a request, and nothing derived (`tts.runs.candidates` makes candidates of it).

    `text` is all that was written, thinking section and stop string included, the end token not. `stop` is the stop
    string that ended it, and then `text` ends with it; None: the model did, or nothing. `opened` says that the rendered
    messages end inside an open thinking section. `num_tokens` counts every generated token, the end token and what ran
    past the stop string too; None: a server did not say. Log-probabilities are natural logarithms under the model
    (guided, where a plugin guides it) at temperature 1 without filters; `self_certainty` is the mean over tokens of
    KL(uniform ‖ model) in nats; None where the engine has none. `error` is set exactly when `finish_reason` is "error".
    The token at which one was abandoned gave way to an end token: it is counted, with a log-probability of 0, and
    stands in no text.

    `token_ids` are those of `text`, without the end token; None where the engine has none, or a token runs past the
    stop string. `num_ids_before_stop` of them stand before the stop string, where that begins at a token's edge; else
    None. Of the `num_prompt_tokens` of prompt and prefix, `num_cached_tokens` were read from a cache.

    `asked_logprobs` are those of the `ask_tokens`, in that order, under the raw model at temperature 1 where the first
    token was drawn; None where nothing was asked or drawn, and for a token whose probability the engine cannot tell.

    What is replayed brings more, where it is on record: `reasoning`, split off before (`text` is then what follows it),
    and the `seed` and `sampler` that it was drawn with.
    """

    problem_id: str
    key: str
    text: str
    finish_reason: FinishReason
    num_prompt_tokens: int
    num_tokens: int | None
    cumulative_logprob: float | None = None
    mean_logprob: float | None = None
    self_certainty: float | None = None
    token_logprobs: tuple[float, ...] | None = None
    stop: str | None = None
    opened: bool = False
    error: str | None = None
    engine_stats: Mapping[str, float] = field(default_factory=dict)
    reasoning: str | None = None
    seed: int | None = None
    sampler: str | None = None
    token_ids: Sequence[int] | None = None
    num_ids_before_stop: int | None = None
    num_cached_tokens: int = 0
    asked_logprobs: tuple[float | None, ...] | None = None

    @property
    def piece(self) -> Piece:
        """All that was written, as a part of a candidate."""
        return Piece(self.text, self.key, self.token_ids)

    @property
    def before_stop(self) -> Piece:
        """What was written before the stop string. Its ids go along where that began at a token's edge."""
        if self.stop is None:
            return self.piece
        known = self.token_ids is not None and self.num_ids_before_stop is not None
        ids = self.token_ids[: self.num_ids_before_stop] if known and self.token_ids is not None else None
        return Piece(self.text.removesuffix(self.stop), self.key, ids)


@dataclass(frozen=True, slots=True)
class Rewards:
    """What a reward model says: one value a step. `error` is set where it could not serve; then there are none.

    `num_tokens` were written for it, by an engine that had to write in order to tell.
    """

    problem_id: str
    key: str
    values: tuple[float, ...]
    num_prompt_tokens: int
    num_cached_tokens: int = 0
    error: str | None = None
    num_tokens: int | None = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """What was written for one problem, and nothing derived from it; the fields of a `Completion` mean the same here.

    `text` is what follows the thinking section, up to the stop string; `reasoning` is what stood inside the section
    (None where there was none). `calls` are the calls of a search that wrote it, in order (empty: it was drawn in one
    go), and its figures are then theirs together; `rewards` are those of its steps.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"calls": (), "rewards": None}
    """Fields that came after others, and what they are on a line that lacks them."""

    problem_id: str
    index: int
    text: str
    reasoning: str | None
    finish_reason: FinishReason
    num_prompt_tokens: int
    num_tokens: int | None
    cumulative_logprob: float | None
    mean_logprob: float | None
    self_certainty: float | None
    seed: int
    sampler: str
    token_logprobs: tuple[float, ...] | None = None
    error: str | None = None
    engine_stats: Mapping[str, float] = field(default_factory=dict)
    calls: tuple[str, ...] = ()
    rewards: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An extracted answer and the rule that found it (`boxed`, `phrase`, `last_number`, …)."""

    text: str
    rule: str


@dataclass(frozen=True, slots=True)
class Given:
    """What another tool knows of a candidate: its answer, in the place of the text's, and a verdict. None: nothing."""

    answer: str | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """How good a candidate looks without the reference; higher is better. `value` None: cannot tell, see `detail`.

    `figures` are what its scorer counted on the way, to be summed over a run. `against` are its points (1 a win, 0.5
    undecided) in comparisons with candidates of a higher index, each once, on record so that smaller draws share them.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"figures": {}, "against": ()}

    value: float | None
    detail: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    against: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which of a problem's answers are the same, and which are judged equal all the same: `5 cm` and `5`.

    `nodes[i]` is the node of answer i, numbered 0, 1, … by first appearance, or None for no answer. Answers of one node
    are the same. `links` are the pairs (u, v), u < v, of different nodes that are equal. They need not be transitive:
    `5` equals `5 cm` and `5 km`, which differ. Where equality is transitive there are none.
    """

    nodes: tuple[int | None, ...]
    links: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Ballot:
    """All that a selector may know of one problem: four parallel tuples, one entry a candidate, and the links.

    `answers[i]` is None where nothing was extracted. `nodes` and `links` are the answers' `Grouping`; a link may name
    nodes of which no candidate is there. `scores` is empty where the selector names no scorer.
    """

    candidates: tuple[Candidate, ...]
    answers: tuple[Answer | None, ...]
    nodes: tuple[int | None, ...]
    scores: tuple[Score, ...] = ()
    links: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Selection:
    """The candidate handed in. `index` is `Candidate.index`; both it and `answer` are None where all abstained.

    `weights` are the votes (or scores) that decided, the highest first, so that `weights[0]` is the winner's: one per
    party of a vote (see `tts.selectors.contenders`), or one per candidate for rerankers, abstainers left out.
    `num_tied` is how many shared the first place (1: no tie, 0: no contender); `num_abstained` counts the candidates
    that did not take part. `fallback` says why the plain vote chose in the selector's place; "": it did not.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"fallback": ""}

    index: int | None
    answer: str | None
    weights: tuple[float, ...]
    num_tied: int
    num_abstained: int
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Is the answer right? `undecided` always says why in `reason` (timeout, no_reference, …)."""

    status: Status
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """All that is derived from one problem's candidates; the tuples run parallel to them (`scores` may be empty).

    `nodes` and `links` are the answers' `Grouping`; `verdict` is the selection's.
    """

    answers: tuple[Answer | None, ...]
    nodes: tuple[int | None, ...]
    scores: tuple[Score, ...]
    selection: Selection
    verdicts: tuple[Verdict, ...]
    verdict: Verdict
    links: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the candidates. `num_passed` and `num_undecided` are None where there is no reference.

    `num_distinct_answers` counts the nodes of their `Grouping`.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"num_abandoned": 0}

    num_candidates: int
    num_truncated: int
    num_no_answer: int
    num_errors: int
    num_distinct_answers: int
    num_passed: int | None
    num_undecided: int | None
    num_abandoned: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What one engine was asked for, and what it took.

    Of `prompt_tokens`, those of prompts and prefixes, `cached_tokens` were read from a cache; what a cache saved a
    candidate that was drawn in one go is not on record. `untold_tokens` are those that were read anew or written for
    calls that were given up, so that nobody was told. `flops` are 2 · parameters · (prompt - cached + written), None
    where the model's size is unknown. A server did not say what it wrote for `num_uncounted` calls: if there are any,
    tokens and FLOPs are at least these.
    """

    LATER: ClassVar[Mapping[str, Any]] = {
        "cached_tokens": 0,
        "untold_tokens": 0,
        "flops": None,
        "num_uncounted": 0,
    }
    """Fields that came after others, and what they are where they are left out."""

    num_calls: int
    prompt_tokens: int
    written_tokens: int
    cached_tokens: int = 0
    untold_tokens: int = 0
    flops: float | None = None
    num_uncounted: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What one problem cost: all that engines read and wrote for it, and the seconds from first request to verdict.

    `engines` says the same by the engine's place in the recipe; candidates that were drawn anew are in it.
    `candidate_tokens` are those of the candidates that were handed in, each counted for itself, where that is another
    number: steps may belong to several or to none.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"candidate_tokens": None}

    prompt_tokens: int
    completion_tokens: int
    engines: Mapping[str, Spent]
    wall_seconds: float | None
    candidate_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Solution:
    """One problem's outcome. `text` is the selected candidate's, None where all abstained.

    `error` is set where fewer candidates were drawn than asked, or where judging failed, and says why.
    """

    problem_id: str
    selection: Selection
    text: str | None
    verdict: Verdict
    counts: Counts
    usage: Usage
    error: str | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)
