"""From stored runs to a report: streams every run once, with no model unless texts are to be compared by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from tts.errors import UsageError
from tts.metrics.bootstrap import METHOD
from tts.metrics.cost import expected_distinct_answers
from tts.metrics.curves import Curve, curves
from tts.metrics.paired import SIGNIFICANCE
from tts.metrics.resampling import NUM_DRAWS
from tts.metrics.units import units_of
from tts.report import advice
from tts.report.data import Arm, Contrast, Cost, Made, ProblemView, Quality, Report
from tts.report.gather import Gathered, Wanted, gather
from tts.report.lines import NUM_OWN_DRAWS, PRIMARY, contrasts, gained, has_own_curve, line, own_curve
from tts.report.scope import check_ks, choose_problems, distinct_names
from tts.report.speed import speeds
from tts.report.spread import AUTO, MOST_TEXTS, Measure, check_measure, measure
from tts.report.wording import decimal, plural
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
    names = distinct_names(runs)
    if options.baseline is not None and options.baseline not in names:
        raise UsageError(f"`baseline` must be one of {', '.join(names)}, got {options.baseline!r}")
    chosen, warnings = choose_problems(names, runs, options.ks)
    ks = check_ks(runs, chosen, options.ks)
    sizes = sorted(run.num_candidates(one) for run, ids in zip(runs, chosen, strict=True) for one in ids)
    most = sizes[len(sizes) // 20]  # the least n, but for problems that are short and few
    headline_k = max((k for k in ks if 2 * k <= most), default=min(ks))
    compared = measure(options.embeddings, options.perplexity)
    num_texts = min(MOST_TEXTS, max(ks))
    studied = []
    for run, name, ids in zip(runs, names, chosen, strict=True):
        wanted = Wanted(ids, compared, num_texts, options.candidates, ballots=has_own_curve(run.recipe.selector))
        gathered = gather(run, name, wanted, advance)
        studied.append(_studied(run, name, gathered, ks=ks, seed=options.seed))
    arms = tuple(one.arm for one in studied)
    headline = "maj@k" if any(arm.num_graded for arm in arms) else "vendi"

    # Arms are compared on the problems that each two of them could grade.
    found: tuple[Contrast, ...] = ()
    level = SIGNIFICANCE
    clusters = {name: cluster for one in studied for name, cluster in one.gathered.clusters.items()}
    if all(ids == chosen[0] for ids in chosen):
        of_arms = [(one.arm.name, one.curves) for one in studied]
        found, level = contrasts(of_arms, baseline=options.baseline, clusters=clusters, seed=options.seed)

    for run, one in zip(runs, studied, strict=True):
        warnings += [*run.notes, *one.gathered.notes, *advice.on_arm(one.arm, one.gathered.reasons)]
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
        problems=tuple(_problem_views(runs, chosen, studied)) if options.candidates else (),
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

    # What the graded problems show of the selectors.
    graded, drawn = gathered.graded, gathered.drawn
    found = curves(graded, ks, seed=seed) if graded.num_problems else []
    if gathered.ballots:
        found.append(own_curve(selector, gathered.ballots, graded, ks, seed))

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
        distinct_answers=tuple(np.mean(expected_distinct_answers(drawn, ks), axis=1).tolist()),
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
    )
    return _Studied(arm, gathered, found)


def _problem_views(
    runs: Sequence[Stored], chosen: Sequence[Sequence[str]], studied: Sequence[_Studied]
) -> Iterator[ProblemView]:
    """Yield every problem with all arms' candidates; a problem that only some arms have shows those."""
    first_with: dict[str, Stored] = {}
    for run, ids in zip(runs, chosen, strict=True):
        for name in ids:
            first_with.setdefault(name, run)
    for name, run in first_with.items():
        row, arms = run.row(name), tuple(one.gathered.views[name] for one in studied if name in one.gathered.views)
        hidden = "hidden tests" if row.reference.tests is not None else None
        shown = hidden if row.reference.answer is None else row.reference.answer
        yield ProblemView(name, row.problem.kind, row.problem.prompt, shown, arms)


def _method(clusters: Mapping[str, str], compared: Measure, num_texts: int, seed: int) -> Iterator[str]:
    yield (
        "pass@k and pass^k are unbiased estimates from all candidates; maj@k, first and best_of_n are expectations "
        "over all subsets of k candidates, exact; self_consistency is one over "
        f"{NUM_DRAWS:,} random subsets (seed {seed}; a selector of a plugin over {NUM_OWN_DRAWS:,}), with its standard "
        "error in `sampling_error`."
    )
    as_unit = "problems taken as independent"
    if clusters:
        as_unit = f"problems of one cluster as a unit ({len(set(clusters.values()))} clusters)"
    yield f"Intervals: 95 %, {as_unit}; {METHOD}; seed {seed}."
    yield (
        "Where verdicts are undecided (truncated candidates are) a figure is a range: all of them wrong, all right. An "
        "interval reaches from the low end of the one to the high end of the other."
    )
    yield (
        "Gains of a selector are over pass@1 of the same candidates, problem by problem, corrected for all of the "
        "recipe (min-P); their p-value asks whether problems are as likely to gain as to lose."
    )
    yield "Tokens at k: k times a problem's mean completion tokens, then the mean over problems."
    if compared.kernel is not None:
        yield (
            f"Diversity: the first {num_texts} texts of each problem, thinking included, compared by {compared.name}; "
            "means over problems. Perplexity, where measured, is the geometric mean."
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
