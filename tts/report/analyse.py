"""From stored runs to a report: streams every run once, with no model unless texts are to be compared by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from tts.errors import UsageError, plural
from tts.metrics.bootstrap import METHOD
from tts.metrics.cost import expected_distinct_answers
from tts.metrics.curves import Curve, curves
from tts.metrics.resampling import NUM_DRAWS
from tts.metrics.units import units_of
from tts.protocols import AskingScorer
from tts.report import advice
from tts.report.data import Arm, ArmView, Contrast, Cost, Made, ProblemView, Quality, Report
from tts.report.gather import Gathered, Wanted, gather, name_of
from tts.report.lines import NUM_OWN_DRAWS, PRIMARY, contrasts, gained, has_own_curve, line, own_curve
from tts.report.scope import distinct_names, scope
from tts.report.scorers import on_scorer, scorer_quality
from tts.report.speed import speeds
from tts.report.spread import AUTO, MOST_TEXTS, Measure, check_measure, measure
from tts.report.wording import decimal
from tts.runs.opening import open_stored
from tts.runs.stored import Stored


@dataclass(frozen=True, slots=True)
class Options:
    """What to find out. `ks` empty: powers of two as far as the candidates go.

    `embeddings` is `auto`, `ngrams`, `none` or a model (see `tts.report.spread`); `perplexity` a causal model or None.
    `candidates` False leaves the texts out of the report, which is then small however large the run. With a `baseline`,
    the name of an arm, every other arm is compared with that one alone.
    `notes` are sentences for `method`: what the caller knows of how the runs were made.
    """

    ks: tuple[int, ...] = ()
    seed: int = 0
    embeddings: str = AUTO
    perplexity: str | None = None
    candidates: bool = True
    baseline: str | None = None
    notes: tuple[str, ...] = ()


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
) -> Report:
    """Return the report of run folders, folders that `tts bench` wrote, or files of candidates; they are only read.

    `problems` names the problems that go with a file of candidates. See `Options`. Raises UsageError where a problem
    has fewer than max(ks) candidates.
    """
    runs = open_stored([Path(path) for path in paths], problems)
    try:
        return analyse(runs, Options(tuple(ks), seed, embeddings, perplexity, candidates, baseline))
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
    names = distinct_names([(run.name, run.path.name) for run in runs], options.baseline)
    about = scope(names, runs, options.ks)
    ks, warnings = about.ks, list(about.warnings)
    headline_k = max((k for k in ks if 2 * k <= about.fewest), default=min(ks))
    compared = measure(options.embeddings, options.perplexity)
    num_texts = min(MOST_TEXTS, max(ks))
    studied = []
    for run, name in zip(runs, names, strict=True):
        own = has_own_curve(run.recipe.selector)
        wanted = Wanted(tuple(run.asked_ids), compared, num_texts, options.candidates, ballots=own)
        gathered = gather(run, name, wanted, advance)
        studied.append(_studied(run, name, gathered, ks=ks, seed=options.seed))
    arms = tuple(one.arm for one in studied)
    headline = "maj@k" if any(arm.num_graded for arm in arms) else "vendi"

    # Arms are compared on the problems that each two of them could grade.
    clusters = {
        keys[name]: cluster
        for keys, one in zip(about.keys, studied, strict=True)
        for name, cluster in one.gathered.clusters.items()
    }
    of_arms = [
        (
            one.arm.name,
            [replace(curve, problem_ids=tuple(map(keys.__getitem__, curve.problem_ids))) for curve in one.curves],
        )
        for keys, one in zip(about.keys, studied, strict=True)
    ]
    found, level = contrasts(of_arms, baseline=options.baseline, clusters=clusters, seed=options.seed)

    for run, one in zip(runs, studied, strict=True):
        warnings += [*run.notes, *one.gathered.notes, *advice.on_arm(one.arm, one.gathered.reasons)]
        warnings += on_scorer(one.arm, headline_k)
        if run.recipe.sampler.interacting:
            warnings += advice.on_subsets(one.arm, run.recipe.sampler.num_candidates)
    warnings += [*advice.on_claim(arms, found, headline, headline_k), *advice.on_fairness(arms)]
    for first, second in combinations(studied, 2):
        if first.gathered.digest.digest() == second.gathered.digest.digest():
            warnings.append(
                f"{first.arm.name} and {second.arm.name} hold the same candidates (the same recipe and seed?), "
                "so comparing them says nothing: give one of them another seed"
            )
    if not options.candidates:
        warnings.append("the candidates themselves were left out of this report, as asked")
    return Report(
        title=", ".join(names),
        headline=headline,
        headline_k=headline_k,
        ks=ks,
        arms=arms,
        contrasts=found,
        method=(
            *options.notes,
            *_how_compared(found, level, options.baseline),
            *_method(clusters, compared, num_texts, options.seed),
        ),
        warnings=tuple(advice.said_once(arms, warnings)),
        problems=tuple(_problem_views(runs, about.keys, studied)) if options.candidates else (),
        speeds=speeds({name: run.sessions() for name, run in zip(names, runs, strict=True)}),
    )


@dataclass(frozen=True, slots=True)
class _Studied:
    arm: Arm
    gathered: Gathered
    curves: Sequence[Curve]


def _studied(run: Stored, name: str, gathered: Gathered, *, ks: tuple[int, ...], seed: int) -> _Studied:
    """Return what there is to say of one run alone."""
    counts, selector = gathered.counts, run.recipe.selector
    own_name, scorer = name_of(selector.scorer, run.given_scores), selector.scorer

    if gathered.failures:
        on = plural(len(gathered.failures), "problem", of=gathered.drawn.num_problems)
        gathered.notes.append(f"{name}: judging or selecting failed on {on}, first since {gathered.failures[0]}")

    if counts["uncounted"]:
        of = plural(counts["uncounted"], "candidate", of=counts["candidates"])
        gathered.notes.append(f"{name}: no server said how many tokens {of} have: token figures are at least these")

    # What the graded problems show of the selectors.
    graded, drawn = gathered.graded, gathered.drawn
    found = curves(graded, ks, seed=seed) if graded.num_problems else []
    if isinstance(scorer, AskingScorer) and not scorer.pointwise:  # its word is on all candidates together
        whole = [k for k in ks if k == graded.sizes.max(initial=0)]
        found = [one.at(whole) if one.name.endswith(f"({own_name})") else one for one in found]
        found = [one for one in found if one.ks]
    if gathered.ballots:
        try:
            found.append(own_curve(selector, gathered.ballots, graded, ks, seed))
        except Exception as error:  # of the selector, a plugin's: the other figures stand
            gathered.notes.append(
                f"{name}: the selector has no curve, since it failed: {type(error).__name__}: {error}"
            )
    units = units_of(graded.problem_ids, gathered.clusters)

    # What drawing took; how long is known only where every candidate's session is.
    sessions = run.sessions()
    seconds = sum(session.drawing_seconds for session in sessions)
    all_known = sum(session.num_candidates for session in sessions) == counts["candidates"]
    cost = Cost(
        prompt_tokens=counts["prompt_tokens"],
        completion_tokens=counts["completion_tokens"],
        cancelled_tokens=counts["cancelled_tokens"],
        truncated_tokens=counts["truncated_tokens"],
        engines=gathered.engines,
        seconds=seconds if all_known else None,
        tokens_per_second=sum(session.num_tokens for session in sessions) / seconds if seconds else None,
        abandoned_tokens=counts["abandoned_tokens"],
    )

    # What became of the candidates, those of ungraded problems among them.
    quality = Quality(
        num_candidates=counts["candidates"],
        num_truncated=counts["truncated"],
        num_unclosed_thinking=counts["unclosed_thinking"],
        num_no_answer=counts["no_answer"],
        num_fallback_answers=counts["fallback"],
        num_errors=counts["errors"],
        num_undecided=counts["undecided"],
        distinct_answers=tuple(np.nanmean(expected_distinct_answers(drawn, ks), axis=1).tolist()),
        num_abandoned=counts["abandoned"],
    )
    arm = Arm(
        name=name,
        run=str(run.path),
        recipe=dict(run.origin),
        num_problems=drawn.num_problems,
        num_graded=counts["graded"],
        lines=tuple(line(curve, graded, units, seed) for curve in found),
        cost=cost,
        quality=quality,
        spread=gathered.spread,
        statistics=dict(run.statistics),
        made=Made(
            began=min((one.began for one in sessions), default=None),
            ended=max((one.ended for one in sessions), default=None),
            hosts=tuple(dict.fromkeys(str(one.host["name"]) for one in sessions if one.host)),
            versions=next((one.versions for one in reversed(sessions) if one.versions), {}),
        ),
        gains=gained(found, gathered.clusters, seed),
        scorer=scorer_quality(own_name, graded, found, gathered.clusters, seed)
        if own_name is not None and isinstance(scorer, AskingScorer) and own_name in graded.scores and found
        else None,
    )
    return _Studied(arm, gathered, found)


def _problem_views(
    runs: Sequence[Stored], keys: Sequence[Mapping[str, str]], studied: Sequence[_Studied]
) -> Iterator[ProblemView]:
    """Yield every problem with all arms' candidates; a problem that only some arms have shows those."""
    first_with: dict[str, tuple[str, Stored]] = {}
    views: dict[str, list[ArmView]] = {}
    for run, of_run, one in zip(runs, keys, studied, strict=True):
        for name, key in of_run.items():
            first_with.setdefault(key, (name, run))
            views.setdefault(key, []).append(one.gathered.views[name])
    for key, (name, run) in first_with.items():
        row, arms = run.row(name), tuple(views[key])
        hidden = "hidden tests" if row.reference.tests is not None else None
        shown = hidden if row.reference.answer is None else row.reference.answer
        yield ProblemView(name, row.problem.kind, row.problem.prompt, shown, arms)


def _method(clusters: Mapping[str, str], compared: Measure, num_texts: int, seed: int) -> Iterator[str]:
    yield (
        "pass@k and pass^k are unbiased estimates from all candidates; maj@k, first and best_of_n are expectations "
        "over all subsets of k candidates, exact; self_consistency is one over "
        f"{NUM_DRAWS:,} random subsets (seed {seed}; one without a formula over {NUM_OWN_DRAWS:,}), with its standard "
        "error in `sampling_error`, as is maj@k where too many answers are linked. Where answers share first place "
        "each counts for its share; `tie_share` is how often that is."
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


def _how_compared(found: Sequence[Contrast], level: float, baseline: str | None) -> Iterator[str]:
    if found:
        ks = ", ".join(str(k) for k in sorted({one.k for one in found}))
        who = "every two arms" if baseline is None else f"every arm with {baseline}"
        yield (
            f"Comparisons: {' and '.join(PRIMARY)} at k = {ks}, {who}, fixed beforehand "
            f"({plural(len(found), 'look')}). Signs are flipped problem by problem, for all looks at once; a look is "
            f"told apart at p ≤ {decimal(level)}, which keeps the chance of any false alarm at 5 % (min-P). Intervals "
            "are for all looks together."
        )
