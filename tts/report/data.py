"""What a report says, as plain records: the JSON of `tts bench --json`, and all that tables, plots and pages read.

Shares, accuracies and their intervals are in [0, 1]; a range from `lower` to `upper` counts undecided verdicts as wrong
and as right; bounds of 95 % intervals are `interval_low` and `interval_high`. None: not known, or not applicable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tts.metrics.budget import Budget
from tts.metrics.coverage_law import Extrapolated
from tts.metrics.paired import SIGNIFICANCE
from tts.report.counts import Against, Rates, Reliable
from tts.report.groups import Group
from tts.types import JSON, FinishReason, Spent, Status


@dataclass(frozen=True, slots=True)
class Point:
    """One figure at one k. `tokens` is the mean number that all engines write for k candidates of a problem.

    `budget` is all that they take, of all engines. Where candidates influence each other a point is a run that was made
    for its k, and what is made of all its candidates.

    Candidates that were cut by their limit count as wrong; `cut_lower` and `cut_upper` bound what a larger limit could
    have given (None where nothing was cut, or the figure has no such bounds). `tie_share` is the share of subsets in
    which first place is shared. `sampling_error` is the standard error that comes from drawing subsets; 0 where the
    figure is exact. `redraw_error` is that of these very problems, were their candidates drawn anew; None beyond n / 4,
    and for selectors.
    """

    k: int
    tokens: float | None
    lower: float
    upper: float
    interval_low: float
    interval_high: float
    sampling_error: float
    redraw_error: float | None = None
    tie_share: float | None = None
    cut_lower: float | None = None
    cut_upper: float | None = None
    budget: Budget | None = None

    def amount(self, axis: str) -> float | None:
        """What it takes on an axis: `k`, `tokens` or `flops`; None: not known."""
        if axis == "k":
            return float(self.k)
        value = getattr(self.budget, axis, None)
        return None if value is None else float(value)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure over k: `random`, `pass@k` (the oracle), `pass^k`, `maj@k`, `first`, `best_of_n(scorer)`, …

    `selected` is what each arm's own selector hands in, where arms are compared at equal cost and choose unalike.
    """

    figure: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class StoppingPoint:
    """What a stopping rule at one setting would have cost and reached on an arm's candidates, drawn in random orders.

    `lower` … `upper` and their interval are the accuracy of the vote; `cost_error` (of what it costs on the report's
    axis) and `sampling_error` (of the accuracy) are the standard errors that come from drawing orders.
    """

    setting: float
    budget: Budget
    lower: float
    upper: float
    interval_low: float
    interval_high: float
    cost_error: float
    sampling_error: float


@dataclass(frozen=True, slots=True)
class StoppingLine:
    """A rule that says when enough was drawn, at several settings: what it would have bought, for nothing."""

    rule: str
    points: tuple[StoppingPoint, ...]


@dataclass(frozen=True, slots=True)
class Frontier:
    """A point of the headline that nothing dominates: no other is as cheap and better, or cheaper and as good.

    `at` says which of the arm's: `k = 4`, or a rule's setting.
    """

    arm: str
    at: str
    cost: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Gain:
    """What a selector gains over one sample of its candidates at one k > 1, and what it leaves to a perfect choice.

    The first eight figures are of its accuracy minus pass@1, as in `Contrast`, corrected for all gains of the arm.
    `gap_…` are of pass@k minus its accuracy, `closed…` of the share of the way from pass@1 to pass@k (None: that way is
    below 2 points).
    """

    figure: str
    k: int
    lower: float
    upper: float
    interval_low: float
    interval_high: float
    p_value: float | None
    together_low: float
    together_high: float
    adjusted_p_value: float | None
    gap_lower: float
    gap_upper: float
    gap_interval_low: float
    gap_interval_high: float
    closed: float | None
    closed_low: float | None
    closed_high: float | None


@dataclass(frozen=True, slots=True)
class PeakOfLine:
    """Where a line is highest: at `k`, in 95 % of the resamples of the problems from `low` to `high`.

    `turns_down`: it is higher there than at its end, and not by chance.
    """

    figure: str
    k: int
    low: int
    high: int
    turns_down: bool


@dataclass(frozen=True, slots=True)
class Added:
    """What choosing by a scorer adds to the plain vote over the same k > 1 candidates (columns as in `Contrast`)."""

    figure: str
    k: int
    lower: float
    upper: float
    interval_low: float
    interval_high: float
    p_value: float | None
    together_low: float
    together_high: float
    adjusted_p_value: float | None


@dataclass(frozen=True, slots=True)
class ScorerQuality:
    """How good the word of the recipe's own scorer is (see `tts.metrics.calibration` and `tts.metrics.peak`).

    `auroc` is of two candidates of one problem, over the `num_problems` with right and wrong ones; `pooled_auroc` of
    any two. `calibration_error` and `bins` (number, mean score, share right, its interval) are None and empty where the
    scores are not in [0, 1].
    """

    name: str
    auroc: float | None
    auroc_low: float
    auroc_high: float
    pooled_auroc: float | None
    num_problems: int
    calibration_error: float | None
    bins: tuple[tuple[int, float, float, float, float], ...]
    peaks: tuple[PeakOfLine, ...]
    added: tuple[Added, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an arm took: all that engines read and wrote. Drawing took `seconds`.

    `engines` says the same by the engine's place in the recipe; candidates that were drawn anew are in it.
    `candidate_tokens` are those of the candidates that were handed in, each counted for itself, where that is another
    number; cancelled, truncated and abandoned tokens are part of it.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"abandoned_tokens": 0, "candidate_tokens": None}

    prompt_tokens: int
    completion_tokens: int
    cancelled_tokens: int
    truncated_tokens: int
    engines: Mapping[str, Spent]
    seconds: float | None
    tokens_per_second: float | None
    abandoned_tokens: int = 0
    candidate_tokens: int | None = None

    @property
    def untold_tokens(self) -> int:
        """Tokens of calls that a search gave up before they came."""
        return sum(one.untold_tokens for one in self.engines.values())

    @property
    def thrown_away(self) -> int:
        """Tokens of which nothing was made: of candidates cancelled or abandoned, and of calls that were given up."""
        return self.cancelled_tokens + self.abandoned_tokens + self.untold_tokens

    @property
    def flops(self) -> float | None:
        """What all engines computed; None where the size of a model is unknown."""
        known = [one.flops for one in self.engines.values() if one.flops is not None]
        return sum(known) if known and len(known) == len(self.engines) else None


@dataclass(frozen=True, slots=True)
class Quality:
    """What became of an arm's candidates: how many did what, and how many answers differ (mean over problems)."""

    LATER: ClassVar[Mapping[str, Any]] = {"num_abandoned": 0}

    num_candidates: int
    num_truncated: int
    num_unclosed_thinking: int
    num_no_answer: int
    num_fallback_answers: int
    num_errors: int
    num_undecided: int
    distinct_answers: tuple[float | None, ...]  # expected among k candidates, one per k; None: not known there
    num_abandoned: int = 0

    @property
    def most_distinct(self) -> float | None:
        """How many answers differ at the largest k of which it is known."""
        return next((one for one in reversed(self.distinct_answers) if one is not None), None)

    @property
    def share_cut(self) -> float:
        """The share of candidates that the length limit cut."""
        return self.num_truncated / self.num_candidates if self.num_candidates else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How different an arm's texts are and how surprising: means over problems. `kernel` says what compares texts.

    `vendi` goes by its order q (`"0"`, `"1"`, `"2"`, `"inf"`); `perplexity_model` None: no model scored them.
    """

    kernel: str
    vendi: Mapping[str, float]
    mean_similarity: float | None
    distinct_2: float | None
    num_distinct_texts: float
    perplexity: float | None
    perplexity_model: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """When and where an arm was drawn, as far as is known: seconds since the epoch, names of machines, packages.

    `versions` are those of the last session.
    """

    began: float | None = None
    ended: float | None = None
    hosts: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arm:
    """One recipe's run. `name` is unique in the report; `recipe` is resolved, `statistics` are its plugins'.

    Where candidates influence each other (`whole`) an arm may be several runs, one for each k; `run` and `recipe` are
    then those of the largest, and `views` names each run (none: the arm has one, and its name). `stopping` are rules
    that were replayed. Of a pool, `reliability` is G-Pass at the headline's k, `beyond` coverage that was not drawn.
    `rates` are those of the problems, in the largest run; `groups` are figures by what their rows say.
    """

    LATER: ClassVar[Mapping[str, Any]] = {
        **{"scorer": None, "whole": False, "views": (), "stopping": ()},
        **{"reliability": (), "beyond": (), "rates": None, "groups": ()},
    }

    name: str
    run: str
    recipe: Mapping[str, JSON]
    num_problems: int
    num_graded: int
    lines: tuple[Line, ...]
    cost: Cost
    quality: Quality
    spread: Spread | None
    statistics: Mapping[str, JSON]
    made: Made = field(default_factory=Made)
    gains: tuple[Gain, ...] = ()
    scorer: ScorerQuality | None = None
    whole: bool = False
    views: tuple[str, ...] = ()
    stopping: tuple[StoppingLine, ...] = ()
    reliability: tuple[Reliable, ...] = ()
    beyond: tuple[Extrapolated, ...] = ()
    rates: Rates | None = None
    groups: tuple[Group, ...] = ()

    @property
    def budget(self) -> str:
        """`4,096 tokens`, `16 steps of 512 tokens`: the limit of a candidate, as far as it is known."""
        sampler = self.recipe.get("sampler")
        keys = sampler if isinstance(sampler, Mapping) else {}
        most = keys.get("max_tokens")
        if not isinstance(most, int):
            return "the token limit"
        thought = keys.get("max_thinking_tokens")
        steps = keys.get("max_steps", keys.get("num_steps"))
        if isinstance(thought, int):
            return f"{thought:,} tokens of thinking and {most:,} of answer"
        return f"{steps:,} steps of {most:,} tokens" if isinstance(steps, int) else f"{most:,} tokens"

    def points(self, figure: str) -> list[Point]:
        """Return the points of that figure that are known; none where the arm has no such line."""
        found = (point for line in self.lines if line.figure == figure for point in line.points)
        return [point for point in found if math.isfinite(point.lower) and math.isfinite(point.upper)]

    def point(self, figure: str, k: int) -> Point | None:
        """Return that figure at one k; None where it is not known."""
        return next((point for point in self.points(figure) if point.k == k), None)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Arm `first` minus arm `second` in one figure at one k, paired over problems (see `tts.metrics.paired`).

    Where arms are compared at equal cost `axis` says of what, and there is a `cost` in the
    place of `k` (see `tts.metrics.matched`).

    `p_value` belongs to the interval from `interval_low` to `interval_high`, for this look alone; `adjusted_p_value` to
    that from `together_low` to `together_high`, for all contrasts of the report. None: problems come in fewer than 6
    clusters. `power` is a sentence.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"axis": "k", "cost": None}

    first: str
    second: str
    figure: str
    k: int | None
    num_problems: int
    lower: float
    upper: float
    interval_low: float
    interval_high: float
    p_value: float | None
    together_low: float
    together_high: float
    adjusted_p_value: float | None
    num_wins: int
    num_losses: int
    num_ties: int
    num_open: int
    power: str
    axis: str = "k"
    cost: float | None = None

    @property
    def pair(self) -> str:
        """Who is compared."""
        return f"{self.first} − {self.second}"

    @property
    def told_apart(self) -> bool:
        """Whether chance alone would hardly make such a difference, all contrasts of the report considered."""
        return self.adjusted_p_value is not None and self.adjusted_p_value <= SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second of arm `first` against arm `second`: geometric mean and extremes over the turns they took."""

    first: str
    second: str
    ratio: float
    lowest: float
    highest: float
    num_turns: int


@dataclass(frozen=True, slots=True)
class CandidateView:
    """One candidate as the page shows it. `group` numbers its answer within the arm (None: no answer)."""

    index: int
    text: str
    reasoning: str | None
    finish_reason: FinishReason
    num_tokens: int | None
    sampler: str
    answer: str | None
    rule: str | None
    group: int | None
    status: Status
    reason: str
    detail: str
    scores: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class SearchView:
    """What a page shows of a search: columns, parallel over its steps, and how many more steps there were.

    `depth` and `heads` draw the tree, `fate` says what became of a step (see `tts.runs.search_tree`); `put` is what the
    sampler put in before it, `text` what it says, both cut.
    """

    summary: str
    costs: tuple[str, ...]
    num_left_out: int
    key: tuple[str, ...]
    depth: tuple[int, ...]
    heads: tuple[bool, ...]
    fate: tuple[str, ...]
    facts: tuple[str, ...]
    put: tuple[str, ...]
    text: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArmView:
    """What one arm did on one problem. `selected` is the index of the candidate handed in; None: all abstained.

    `links` are the pairs of groups that are judged equal though they differ: each supports the other in a vote.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"search": None}

    arm: str
    selected: int | None
    status: Status
    reason: str
    candidates: tuple[CandidateView, ...]
    links: tuple[tuple[int, int], ...] = ()
    search: SearchView | None = None

    @property
    def handed_in(self) -> CandidateView | None:
        """The candidate handed in."""
        return next((one for one in self.candidates if one.index == self.selected), None)


@dataclass(frozen=True, slots=True)
class ProblemView:
    """One problem with its reference, as it may be shown, and every arm's candidates."""

    id: str
    kind: str
    prompt: str
    reference: str | None
    arms: tuple[ArmView, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `method` says in sentences how intervals, tests and corrections are made; `warnings` are sentences.

    `headline` names the figure that the job is about: `maj@k`, or `vendi` for texts that nothing verifies. It is told
    at `headline_k`, the largest k of which each problem has two subsets that share no candidate: at k = n a figure is
    one draw a problem. `speeds` is empty where the arms did not take turns.

    `axis` is what accuracy is held against: `k`, or the `tokens` or `flops` of all engines; the `frontier` is the
    headline's on it. `against` holds recipes' rates against those of the baseline or the first.
    """

    LATER: ClassVar[Mapping[str, Any]] = {"axis": "k", "frontier": (), "against": ()}

    title: str
    headline: str
    headline_k: int
    ks: tuple[int, ...]
    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...]
    method: tuple[str, ...]
    warnings: tuple[str, ...]
    problems: tuple[ProblemView, ...]
    speeds: tuple[Speed, ...] = ()
    axis: str = "k"
    frontier: tuple[Frontier, ...] = ()
    against: tuple[Against, ...] = ()

    @property
    def views(self) -> list[str]:
        """The names of all runs, arm by arm."""
        return [name for arm in self.arms for name in arm.views or (arm.name,)]

    @property
    def headline_contrasts(self) -> list[Contrast]:
        """The contrasts to put first: at the headline's k, or each pair's at the most that both spent.

        Where k is 1, every figure is pass@1.
        """
        if self.axis == "k":
            figures = {self.headline, "pass@k"} if self.headline_k == 1 else {self.headline}
            return [one for one in self.contrasts if one.k == self.headline_k and one.figure in figures]
        most = {one.pair: one for one in self.contrasts if one.figure == self.headline}  # the later cost more
        return list(most.values())
