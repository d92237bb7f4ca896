"""From stored runs to a report: streams every run once, with no model unless texts are to be compared by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from tts.errors import UsageError, plural
from tts.metrics.bootstrap import METHOD
from tts.metrics.matched import Buys
from tts.metrics.resampling import NUM_DRAWS
from tts.protocols import AskingScorer, SearchingSampler
from tts.report import advice
from tts.report.compared import Rescores
from tts.report.data import ArmView, Contrast, ProblemView, Report
from tts.report.gather import Wanted, gather
from tts.report.lines import NUM_OWN_DRAWS, PRIMARY, SELECTED, contrasts, has_own_curve
from tts.report.rates import against, shares_of
from tts.report.scope import ArmRuns, arms_of, scope
from tts.report.scorers import on_scorer
from tts.report.speed import speeds
from tts.report.spending import frontier, lacks, selecting, with_stopping_rules
from tts.report.spread import AUTO, MOST_TEXTS, Measure, check_measure, measure
from tts.report.study import Studied, study
from tts.report.wording import COSTS, amount, decimal
from tts.runs.opening import open_stored
from tts.runs.stored import Stored


@dataclass(frozen=True, slots=True)
class Options:
    """What to find out. `ks` empty: powers of two as far as the candidates go.

    `embeddings` is `auto`, `ngrams`, `none` or a model (see `tts.report.spread`); `perplexity` a causal model or None.
    `candidates` False leaves the texts out of the report, which is then small however large the run. With a `baseline`,
    the name of an arm, every other arm is compared with that one alone.
    `notes` are sentences for `method`: what the caller knows of how the runs were made. `axis` is what accuracy is held
    against: `k`, `tokens` or `flops`; empty: k where every arm draws in one go
    and no scorer asks a model, else tokens.
    """

    ks: tuple[int, ...] = ()
    seed: int = 0
    embeddings: str = AUTO
    perplexity: str | None = None
    candidates: bool = True
    baseline: str | None = None
    notes: tuple[str, ...] = ()
    axis: str = ""


def report_of(
    paths: Sequence[Path | str],
    ks: Sequence[int] = (),
    *,
    problems: str | None = None,
    seed: int = 0,
    embeddings: str = AUTO,
    perplexity: str | None = None,
    candidates: bool = True,
    baseline: str | None = None,
    axis: str = "",
) -> Report:
    """Return the report of run folders, folders that `tts bench` wrote, or files of candidates; they are only read.

    `problems` names the problems that go with a file of candidates. See `Options`. Raises UsageError where a problem
    has fewer than max(ks) candidates.
    """
    runs = open_stored([Path(path) for path in paths], problems)
    try:
        return analyse(runs, Options(tuple(ks), seed, embeddings, perplexity, candidates, baseline, axis=axis))
    finally:
        for run in runs:
            run.close()


def analyse(runs: Sequence[Stored], options: Options, *, advance: Callable[[], None] = lambda: None) -> Report:
    """Return the report of open runs. `advance` is called after each problem of each run, for a progress display;
    what it raises ends the work.
    """
    if not runs:
        raise UsageError("`runs` must be at least one run, got none")
    check_measure(options.embeddings, options.perplexity)
    about = scope(arms_of(runs, options.baseline), options.ks)
    made, keys = about.arms, about.keys
    compared = measure(options.embeddings, options.perplexity)
    num_texts = min(MOST_TEXTS, max(about.ks))
    with_hits = all(isinstance(run.recipe.sampler, SearchingSampler) for run in runs)
    studied = []
    for arm in made:
        gathered = []
        for name, run in zip(arm.views, arm.runs, strict=True):
            scorer: object = run.recipe.selector.scorer
            own = has_own_curve(run.recipe.selector) or isinstance(scorer, Rescores)
            wanted = Wanted(tuple(run.asked_ids), compared, num_texts, options.candidates, ballots=own)
            gathered.append(gather(run, name, wanted, advance))
        studied.append(study(arm, gathered, about, with_hits=with_hits, seed=options.seed))
    axis = _axis(options.axis, made, studied)
    figures, headline = list(PRIMARY), "maj@k" if any(one.arm.num_graded for one in studied) else "vendi"
    alike = list(_alike(studied))
    same = {frozenset(pair) for pair, differ in alike if differ == ["selector"]}
    choose_unlike = {one.own_figure for one in studied if one.curves} != {headline}
    if (axis != "k" or same) and headline == PRIMARY[1] and choose_unlike:
        headline = figures[1] = SELECTED
        studied = [selecting(one) for one in studied]
    if axis != "k":
        studied = [with_stopping_rules(one, run.runs[0], options.seed) for one, run in zip(studied, made, strict=True)]
    arms = tuple(one.arm for one in studied)

    # Arms are compared on the problems that each two of them could grade.
    clusters = {
        of_run[name]: cluster
        for of_arm, one in zip(keys, studied, strict=True)
        for of_run, gathered in zip(of_arm, one.gathered, strict=True)
        for name, cluster in gathered.clusters.items()
    }
    bought = [one.buys(of_arm, about.most) for one, of_arm in zip(studied, keys, strict=True) if one.curves]
    found, level = contrasts(
        bought, axis=axis, figures=figures, baseline=options.baseline, same=same, clusters=clusters, seed=options.seed
    )

    warnings = list(about.warnings)
    for arm, one in zip(made, studied, strict=True):
        for run, of_run in zip(arm.runs, one.gathered, strict=True):
            warnings += [*run.notes, *of_run.notes]
        warnings += advice.on_arm(one.arm, sum((of_run.reasons for of_run in one.gathered), Counter()))
        warnings += on_scorer(one.arm, about.headline_k)
    report = Report(
        title=", ".join(arm.name for arm in made),
        headline=headline,
        headline_k=about.headline_k,
        ks=about.ks,
        arms=arms,
        contrasts=found,
        method=(
            *options.notes,
            *_how_compared(found, level, options.baseline, axis),
            *_on_the_same(arm.name for arm in arms if any(arm.name in pair for pair in same)),
            *_method(made, clusters, compared, num_texts, options.seed),
            *_how_spent(axis, with_hits=with_hits),
        ),
        warnings=(),
        problems=tuple(_problem_views(made, keys, studied)) if options.candidates else (),
        speeds=speeds({arm.name: [one for run in arm.runs for one in run.sessions()] for arm in made}),
        axis=axis,
        frontier=frontier(arms, headline, axis),
        against=against(
            {
                one.arm.name: shares_of(one.gathered[-1].graded, of_arm[-1])
                for one, of_arm in zip(studied, keys, strict=True)
            },
            options.baseline,
        ),
    )
    warnings += [*advice.on_claim(report), *advice.on_fairness(report), *_uncompared(report, bought, options.baseline)]
    warnings += [
        f"{first} and {second} hold the same candidates (the same recipe and seed?), so comparing them says nothing: "
        "give one of them another seed"
        for (first, second), differ in alike
        if not differ
    ]
    if not options.candidates:
        warnings.append("the candidates themselves were left out of this report, as asked")
    return replace(report, warnings=tuple(advice.said_once(arms, warnings)))


def _axis(asked: str, made: Sequence[ArmRuns], studied: Sequence[Studied]) -> str:
    """Return the axis that is asked for; else tokens where an arm searches or its scorer asks a model, else k.

    Raises UsageError where an arm has nothing to show on an axis that is asked for.
    """
    if asked == "k":
        return asked
    axis = asked or "tokens"
    unknown = [one.arm.name for one in studied if lacks(one.arm, axis)]
    if asked and unknown:
        what = "how many tokens each call wrote" if axis == "tokens" else "how large each of its models is"
        raise UsageError(
            f"`--axis {asked}` must have arms whose cost is known, got {', '.join(unknown)}, of which it is not on "
            f"record {what}: take --axis {'k' if axis == 'tokens' else 'tokens'}"
        )
    recipes = [run.recipe for arm in made for run in arm.runs]
    asks = any(
        isinstance(one.sampler, SearchingSampler) or isinstance(one.selector.scorer, AskingScorer) for one in recipes
    )
    return axis if asked or (asks and not unknown) else "k"


def _uncompared(report: Report, bought: Sequence[Buys], baseline: str | None) -> Iterator[str]:
    """Yield which arms have no cost in common, so that they are in no comparison at equal cost."""
    if report.axis == "k":
        return
    anywhere = {frozenset((one.first, one.second)) for one in report.contrasts}
    at_cost = {frozenset((one.first, one.second)) for one in report.contrasts if one.k is None}
    for first, second in combinations(bought, 2):
        named = {first.name, second.name}
        figure = SELECTED if named in anywhere else PRIMARY[0]  # arms of the same candidates are compared at k
        if named in at_cost or not (baseline is None or baseline in named) or figure not in first.curves:
            continue
        common = first.shared(second, figure)
        if common:
            ends = [(one.name, one.reach(figure, report.axis, common)) for one in (first, second)]
            reaches = ", ".join(
                f"{name} {' to '.join(dict.fromkeys(amount(cost, report.axis) for cost in reach))}"
                for name, reach in ends
            )
            where = f" at equal {COSTS[report.axis]}" if named in anywhere else ""
            yield (
                f"{first.name} and {second.name} are not compared{where}: no cost is known at which both have a figure "
                f"({reaches} a problem): give --k values at which they cost as much"
                + (", or the cheaper one more candidates in a recipe of its own" if named in anywhere else "")
            )


def _alike(studied: Sequence[Studied]) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """Yield which two arms hold the same candidates, and in which later stages they differ."""
    for first, second in combinations(studied, 2):
        digests = [{gathered.digest.digest() for gathered in one.gathered} for one in (first, second)]
        if digests[0] & digests[1]:
            one, other = first.arm.recipe, second.arm.recipe
            differ = [stage for stage in ("selector", "task") if one.get(stage) != other.get(stage)]
            yield (first.arm.name, second.arm.name), differ


def _on_the_same(arms: Iterable[str]) -> Iterator[str]:
    """Yield what is compared of arms that hold the same candidates and choose unlike."""
    names = list(arms)
    if names:
        yield (
            f"{', '.join(names)} choose among the same candidates: they are compared in what each hands in, problem by "
            "problem, at every k; and at equal cost where that is the axis, what their scorers read and wrote included."
        )


def _problem_views(
    made: Sequence[ArmRuns], keys: Sequence[Sequence[Mapping[str, str]]], studied: Sequence[Studied]
) -> Iterator[ProblemView]:
    """Yield every problem with all arms' candidates; a problem that only some arms have shows those."""
    first_with: dict[str, tuple[str, Stored]] = {}
    views: dict[str, list[ArmView]] = {}
    for arm, of_arm, one in zip(made, keys, studied, strict=True):
        for run, of_run, gathered in zip(arm.runs, of_arm, one.gathered, strict=True):
            for name, key in of_run.items():
                first_with.setdefault(key, (name, run))
                views.setdefault(key, []).append(gathered.views[name])
    for key, (name, run) in first_with.items():
        row, arms = run.row(name), tuple(views[key])
        hidden = "hidden tests" if row.reference.tests is not None else None
        shown = hidden if row.reference.answer is None else row.reference.answer
        yield ProblemView(name, row.problem.kind, row.problem.prompt, shown, arms)


def _method(
    made: Sequence[ArmRuns], clusters: Mapping[str, str], compared: Measure, num_texts: int, seed: int
) -> Iterator[str]:
    whole = [arm.name for arm in made if arm.whole]
    if whole:
        yield (
            f"Candidates of {', '.join(whole)} influence each other, so a part of them is no smaller draw: each point "
            "is a run that was made for its k, over the problems whose end is on record, and what is made of all its "
            "candidates, however many a problem has."
        )
    yield (
        "pass@k and pass^k are unbiased estimates from all candidates; maj@k, first and best_of_n are expectations "
        "over all subsets of k candidates, exact; self_consistency is one over "
        f"{NUM_DRAWS:,} random subsets (seed {seed}; one without a formula over {NUM_OWN_DRAWS:,}), with its standard "
        "error in `sampling_error`, as is maj@k where too many answers are linked. Where answers share first place "
        "each counts for its share; `tie_share` is how often that is."
    )
    if any(isinstance(arm.runs[-1].recipe.selector.scorer, AskingScorer) for arm in made):
        yield (
            "Where a scorer that asks could tell nothing of more than half of a subset's candidates with an answer, "
            "the plain vote of that subset chooses, as in a run; of a problem of whose candidates it told some alone, "
            "subsets are drawn (see `sampling_error`)."
        )
    yield (
        "Candidates that the length limit cut count as wrong: figures and comparisons are of what is reached within "
        "the budget. `cut_lower` and `cut_upper` bound what a larger one could have given: for pass@k and pass^k if "
        "all cut candidates had been right, for maj@k if all had voted for the strongest wrong answer, or for the "
        "right one."
    )
    as_unit = "problems taken as independent"
    if clusters:
        together = f"{plural(len(set(clusters.values())), 'cluster')} of {plural(len(clusters), 'problem')}"
        as_unit = f"problems of one cluster as a unit ({together})"
    yield f"Intervals: 95 %, {as_unit}; {METHOD}; seed {seed}."
    yield (
        "Where other verdicts are undecided a figure is a range: all of them wrong, all right; so is a problem that "
        "was not drawn as far as k. An interval reaches from the low end of the one to the high end of the other."
    )
    yield (
        "Gains of a selector are over pass@1 of the same candidates, problem by problem, corrected for all of the "
        "recipe (min-P); their p-value asks whether problems are as likely to gain as to lose."
    )
    yield "Tokens at k: k times a problem's mean completion tokens, then the mean over problems."
    if compared.kernel is not None:
        yield (
            f"Diversity: the first {plural(num_texts, 'text')} of each problem, thinking included, compared by "
            f"{compared.name}; means over problems. Perplexity, where measured, is the geometric mean."
        )


def _how_compared(found: Sequence[Contrast], level: float, baseline: str | None, axis: str) -> Iterator[str]:
    if not found:
        return
    who = "every two arms" if baseline is None else f"every arm with {baseline}"
    at = f"k = {', '.join(str(k) for k in sorted({one.k for one in found if one.k is not None}))}"
    if axis != "k":
        at = f"equal {COSTS[axis]}, wherever one of two arms has a point inside the range that both cover"
    figures = dict.fromkeys(one.figure for one in found)
    named = " and ".join(one for one in (*PRIMARY, SELECTED) if one in figures or (axis == "k" and one in PRIMARY))
    yield (
        f"Comparisons: {named} at {at}, {who}, fixed beforehand "
        f"({plural(len(found), 'look')}). Signs are flipped problem by problem, for all looks at once; a look is "
        f"told apart at p ≤ {decimal(level)}, which keeps the chance of any false alarm at 5 % (min-P). Intervals "
        "are for all looks together."
    )
    if axis != "k":
        yield (
            "At a cost between two points of an arm its value is their mixture, problem by problem: what taking the "
            "dearer one with a fixed chance reaches at that cost. The neighbours are two runs, or k and k + 1 of a "
            "pool. Nothing is extrapolated."
        )


def _how_spent(axis: str, *, with_hits: bool) -> Iterator[str]:
    if axis == "k":
        return
    saved = (
        "without what a cache saved, which is on record of all arms"
        if with_hits
        else "each prompt in full, since what a cache saved is not on record of candidates that are drawn in one go"
    )
    yield (
        f"{COSTS[axis].capitalize()} a problem are those of all engines, read and written, {saved}; what was given "
        "up or drawn anew is among them. Of a pool, k of n candidates take k / n of it."
    )
    yield (
        "Stopping rules are replayed on random orders of a recipe's own candidates (see `sampling_error`): what they "
        "would have bought for nothing, had nothing been drawn ahead of their decision. They take part in the frontier "
        "and in no comparison."
    )
