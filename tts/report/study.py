"""What there is to say of one arm alone: its curves over k, what each point costs, what became of its candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tts.errors import described, plural
from tts.metrics.budget import Costs, costs_of_subsets, costs_of_whole, joined_costs
from tts.metrics.curves import Curve, Drawn, curves, joined, pass_curve, selected_curve, subsets, whole, whole_curves
from tts.metrics.distinct import expected_distinct_answers
from tts.metrics.majority import majority_odds
from tts.metrics.matched import Buys
from tts.metrics.pool import Pool, class_sizes
from tts.metrics.subsets import Bools
from tts.metrics.units import units_of
from tts.protocols import AskingScorer, Selector
from tts.report.compared import compared_curve
from tts.report.counts import beyond, reliability_of
from tts.report.data import Arm, Cost, Made, Quality
from tts.report.gather import Gathered, name_of
from tts.report.groups import groups_of
from tts.report.lines import SELECTED, figure_of, gained, has_own_curve, line, own_curve
from tts.report.rates import rates_of
from tts.report.scope import ArmRuns, Scope
from tts.report.scorers import scorer_quality
from tts.runs.ledger import added
from tts.runs.records import finite
from tts.runs.stored import Stored


@dataclass(frozen=True, slots=True)
class Studied:
    """An arm with what it was made of, run by run.

    `costs` go by the figure: what a scorer asked is charged to those that it chooses. `own_figure` is what its selector
    hands in, `fixed` are figures that are known at their own points alone. `pool` is what its curves were read off;
    None: a point is a run.
    """

    arm: Arm
    gathered: tuple[Gathered, ...]
    curves: tuple[Curve, ...]
    costs: Mapping[str, Costs]
    own_figure: str
    pool: Pool | None
    clusters: Mapping[str, str]
    fixed: frozenset[str] = frozenset()

    def buys(self, keys: Sequence[Mapping[str, str]], most: int) -> Buys:
        """Return what it buys at what cost, of problems under the names that all arms share; `keys` are its runs'."""
        names = {name: key for of_run in keys for name, key in of_run.items()}
        found = {one.name: _renamed(one, names) for one in self.curves}
        costs = {one.name: self.costs[one.name].renamed(names) for one in self.curves}
        if self.pool is None:
            return Buys(self.arm.name, found, costs)
        return Buys(self.arm.name, found, costs, partial(self._between, names), most, self.fixed)

    def _between(self, names: Mapping[str, str], figure: str, ks: Sequence[int]) -> Curve:
        """Return a figure at any ks."""
        assert self.pool is not None
        wanted = self.own_figure if figure == SELECTED else figure
        if wanted == "pass@k":
            found = pass_curve(self.pool, ks)
        elif wanted == "maj@k":
            found = selected_curve(wanted, majority_odds, subsets(self.pool, ks), votes=True)
        else:
            found = next(one for one in curves(self.pool, ks, asked=self.gathered[0].asked) if one.name == wanted)
        return _renamed(replace(found, name=figure), names)


def _renamed(curve: Curve, names: Mapping[str, str]) -> Curve:
    return replace(curve, problem_ids=tuple(names[one] for one in curve.problem_ids))


def study(arm: ArmRuns, gathered: Sequence[Gathered], about: Scope, *, with_hits: bool, seed: int) -> Studied:
    """Return what there is to say of one arm alone. What goes wrong on the way is in the notes of `gathered`.

    `with_hits`: what a cache saved is on record of all arms, so that it is taken off.
    """
    runs = arm.runs
    selector = runs[-1].recipe.selector
    for name, one in zip(arm.views, gathered, strict=True):
        if one.failures:
            on = plural(len(one.failures), "problem", of=one.drawn.num_problems)
            one.notes.append(f"{name}: judging or selecting failed on {on}, first since {one.failures[0]}")
        if one.counts["uncounted"]:
            of = plural(one.counts["uncounted"], "candidate", of=one.counts["candidates"])
            one.notes.append(f"{name}: no server said how many tokens {of} have: token figures are at least these")
    clusters = {name: cluster for one in gathered for name, cluster in one.clusters.items()}

    # Of whole runs the points are joined; else every k is read off one pool.
    pool = None if arm.whole else gathered[0].graded
    if pool is None:
        named = zip(runs, arm.ks, arm.views, gathered, strict=True)
        found = _joined([_of_whole(run, k, name, one, seed) for run, k, name, one in named])
    else:
        found = curves(pool, about.pool_ks, seed=seed, asked=gathered[0].asked) if pool.num_problems else []
        if gathered[0].ballots:
            found += _own(arm.name, selector, gathered[0], subsets(pool, about.pool_ks), seed)

    # What they cost: the scorer's own tokens where it chooses; one that compares has its point where it compared.
    scorer = name_of(selector.scorer, runs[-1].given_scores)
    own_figure = figure_of(selector, scorer)
    asks = isinstance(selector.scorer, AskingScorer)
    chosen = {one.name for one in found if asks and (one.name == own_figure or one.name.endswith(f"({scorer})"))}
    fixed = frozenset[str]()
    if isinstance(selector.scorer, AskingScorer) and not selector.scorer.pointwise and pool is not None:
        fixed = frozenset({*chosen, SELECTED})
        found = [one.at([k for k in one.ks if k == about.most]) if one.name in chosen else one for one in found]
        smaller, missing = compared_curve(selector, gathered[0], [k for k in about.pool_ks if k < about.most], seed)
        if missing:
            gathered[0].notes.append(
                f"{arm.name}: no point of {own_figure} at k = {', '.join(map(str, missing))}, where some draws need "
                "comparisons that nobody made (the scorer's `every_pair: true` has all made)"
            )
        if smaller:
            whole_draw = [one for one in found if one.name == own_figure and one.ks]
            own = joined([replace(smaller, name=own_figure), *whole_draw])
            found = [own if one.name == own_figure else one for one in found]
        found = [one for one in found if one.ks]
    drawn, all_paid = (_costs(arm, gathered, about, judging=judging, with_hits=with_hits) for judging in (False, True))
    costs = {one.name: all_paid if one.name in chosen else drawn for one in found}

    is_cut = any(one.graded.cut.any() for one in gathered)
    lines = [
        line(curve, costs[curve.name], units_of(curve.problem_ids, clusters), seed, pool=pool, cut=is_cut)
        for curve in found
    ]
    made = Arm(
        name=arm.name,
        run=str(runs[-1].path),
        recipe=dict(runs[-1].origin),
        num_problems=max(one.drawn.num_problems for one in gathered),
        num_graded=max(one.counts["graded"] for one in gathered),
        lines=tuple(lines),
        cost=_cost(runs, gathered),
        quality=_quality(arm, gathered, about),
        spread=gathered[-1].spread,
        statistics=_statistics(arm),
        made=_made(runs),
        gains=gained(found, clusters, seed),
        scorer=scorer_quality(
            scorer, gathered[-1].graded, found, by_vote=gathered[-1].by_vote, clusters=clusters, seed=seed
        )
        if asks and scorer is not None and scorer in gathered[-1].graded.scores and found
        else None,
        whole=arm.whole,
        views=arm.views if len(runs) > 1 else (),
        reliability=reliability_of(pool, about.headline_k, clusters=clusters, seed=seed) if pool is not None else (),
        beyond=beyond(pool, clusters=clusters, seed=seed) if pool is not None else (),
        groups=groups_of(gathered[-1].told, found, own_figure, about.headline_k, clusters) if pool is not None else (),
        rates=rates_of(gathered[-1].graded) if gathered[-1].graded.num_problems else None,
    )
    return Studied(made, tuple(gathered), tuple(found), costs, own_figure, pool, clusters, fixed)


def _joined(parts: Sequence[Sequence[Curve]]) -> list[Curve]:
    """Return the curves of several runs, the points of each figure joined."""
    names = dict.fromkeys(curve.name for part in parts for curve in part)
    return [joined([curve for part in parts for curve in part if curve.name == name]) for name in names]


def _costs(arm: ArmRuns, gathered: Sequence[Gathered], about: Scope, *, judging: bool, with_hits: bool) -> Costs:
    """Return what each point costs; `judging`: with what its scorer asked."""
    parts = []
    for run, k, one in zip(arm.runs, arm.ks, gathered, strict=True):
        paid = one.paid if judging else one.drawing
        if not arm.whole:
            return costs_of_subsets(about.pool_ks, _sizes(one.graded), paid, with_hits=with_hits)
        parts.append(costs_of_whole(k, _sizes(one.graded, _complete(run, one.graded)), paid, with_hits=with_hits))
    return joined_costs(parts)


def _complete(run: Stored, pool: Pool) -> Bools:
    """Tell of which problems all is there that a run was to draw: by its end line, where it is a search."""
    over = [run.is_complete(one) and run.failure(one) is None for one in pool.problem_ids]
    return np.array(over, dtype=bool) & (pool.sizes > 0)


def _sizes(pool: Pool, of: Bools | None = None) -> dict[str, int]:
    named = zip(pool.problem_ids, pool.sizes.tolist(), [True] * pool.num_problems if of is None else of, strict=True)
    return {name: size for name, size, wanted in named if wanted}


def _of_whole(run: Stored, k: int, name: str, gathered: Gathered, seed: int) -> list[Curve]:
    """Return the curves of one run that was made for its k, a point each."""
    pool = gathered.graded
    if not pool.num_problems:
        return []
    complete = _complete(run, pool)
    found = whole_curves(pool, k, complete, seed=seed, asked=gathered.asked)
    return found + (
        _own(name, run.recipe.selector, gathered, whole(pool, k, complete), seed) if gathered.ballots else []
    )


def _own(name: str, selector: Selector, gathered: Gathered, drawn: Drawn, seed: int) -> list[Curve]:
    """Return the curve of a selector without a formula; none, and a note, where it fails."""
    if not has_own_curve(selector):
        return []
    try:
        return [own_curve(selector, gathered.ballots, drawn, seed)]
    except Exception as error:  # of the selector, a plugin's: the other figures stand
        gathered.notes.append(f"{name}: the selector has no curve, since it failed: {described(error)}")
        return []


def _cost(runs: Sequence[Stored], gathered: Sequence[Gathered]) -> Cost:
    """Return what drawing took; how long is known only where every candidate's session is."""
    counts = sum((one.counts for one in gathered), Counter[str]())
    sessions = [session for run in runs for session in run.sessions()]
    seconds = sum(session.drawing_seconds for session in sessions)
    all_known = sum(session.num_candidates for session in sessions) == counts["candidates"]
    engines = added([one.engines for one in gathered])
    written = sum(spent.written_tokens for spent in engines.values())
    return Cost(
        prompt_tokens=sum(spent.prompt_tokens for spent in engines.values()),
        completion_tokens=written,
        cancelled_tokens=counts["cancelled_tokens"],
        truncated_tokens=counts["truncated_tokens"],
        engines=engines,
        seconds=seconds if all_known else None,
        tokens_per_second=sum(session.num_tokens for session in sessions) / seconds if seconds else None,
        abandoned_tokens=counts["abandoned_tokens"],
        candidate_tokens=None if counts["candidate_tokens"] == written else counts["candidate_tokens"],
    )


def _quality(arm: ArmRuns, gathered: Sequence[Gathered], about: Scope) -> Quality:
    """Return what became of the candidates, those of ungraded problems among them."""
    counts = sum((one.counts for one in gathered), Counter[str]())
    if arm.whole:
        of_k = {k: _distinct(one.drawn) for k, one in zip(arm.ks, gathered, strict=True)}
    else:
        expected = expected_distinct_answers(gathered[0].drawn, about.pool_ks)
        of_k = dict(zip(about.pool_ks, np.nanmean(expected, axis=1).tolist(), strict=True))
    return Quality(
        num_candidates=counts["candidates"],
        num_truncated=counts["truncated"],
        num_unclosed_thinking=counts["unclosed_thinking"],
        num_no_answer=counts["no_answer"],
        num_fallback_answers=counts["fallback"],
        num_errors=counts["errors"],
        num_undecided=counts["undecided"],
        distinct_answers=tuple(finite(of_k.get(k)) for k in about.ks),
        num_abandoned=counts["abandoned"],
    )


def _distinct(pool: Pool) -> float:
    """Return how many answers differ among all candidates of a problem, the mean over those that have any."""
    alike = class_sizes(pool.classes)
    numbers = (1 / np.where(alike > 0, alike, np.inf)).sum(axis=1)[pool.sizes > 0]
    return float(numbers.mean()) if numbers.size else float("nan")


def _statistics(arm: ArmRuns) -> dict[str, Any]:
    """Return what plugins told of each run."""
    if len(arm.runs) == 1:
        return dict(arm.runs[0].statistics)
    named = zip(arm.ks, arm.runs, strict=True)
    return {f"{plugin}, k = {k}": figures for k, run in named for plugin, figures in run.statistics.items()}


def _made(runs: Sequence[Stored]) -> Made:
    sessions = [session for run in runs for session in run.sessions()]
    return Made(
        began=min((one.began for one in sessions), default=None),
        ended=max((one.ended for one in sessions), default=None),
        hosts=tuple(dict.fromkeys(str(one.host["name"]) for one in sessions if one.host)),
        versions=next((one.versions for one in reversed(sessions) if one.versions), {}),
    )
