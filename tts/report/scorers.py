"""How good the word of an arm's own scorer is, and what to say of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from tts.metrics.calibration import reliability, separation
from tts.metrics.curves import Curve
from tts.metrics.peak import PLAIN_VOTE, added, peak
from tts.metrics.pool import Pool, picked
from tts.report.data import Added, Arm, PeakOfLine, ScorerQuality
from tts.report.lines import looked
from tts.report.wording import at_k, count
from tts.runs.records import finite


def scorer_quality(
    name: str, pool: Pool, curves: Sequence[Curve], *, by_vote: Collection[str], clusters: Mapping[str, str], seed: int
) -> ScorerQuality:
    """Return what the graded problems show of the scorer `name`, whose lines are among the curves.

    Its own word is that on the problems in which the plain vote did not choose in its place (`by_vote`).
    """
    pool = picked(pool, [row for row, one in enumerate(pool.problem_ids) if one not in by_vote])
    told = separation(pool, name, clusters=clusters, seed=seed)
    diagram = reliability(pool, name)
    own = [curve for curve in curves if curve.name.endswith(f"({name})")]
    votes = [curve for curve in curves if curve.name == PLAIN_VOTE]
    return ScorerQuality(
        name=name,
        auroc=finite(told.within.lower),
        auroc_low=told.within.interval_low,
        auroc_high=told.within.interval_high,
        pooled_auroc=finite(told.pooled),
        num_problems=told.num_problems,
        calibration_error=None if diagram is None else diagram.error,
        bins=tuple((one.number, one.mean_score, one.share_right, one.low, one.high) for one in diagram.bins)
        if diagram
        else (),
        peaks=tuple(
            PeakOfLine(one.figure, one.k, one.low, one.high, one.turns_down)
            for one in (peak(curve, clusters=clusters, seed=seed) for curve in own if len(curve.ks) > 1)
        ),
        added=tuple(
            Added(one.figure, one.k, **looked(one.look)) for one in added([*votes, *own], clusters=clusters, seed=seed)
        ),
    )


def on_scorer(arm: Arm, k: int) -> Iterator[str]:
    """Yield what a careful colleague would say of an arm's scorer; `k` is the headline's."""
    scorer = arm.scorer
    if scorer is None:
        return
    for one in scorer.peaks:
        if one.turns_down:
            yield (
                f"{arm.name}: {one.figure} is highest at k = {one.k} (95 % interval {one.low} to {one.high}) and "
                f"lower beyond, not by chance: more candidates give {scorer.name} more to be wrong about "
                "(over-optimisation). Draw fewer, or weigh votes by it (selector self_consistency)"
            )
    if scorer.auroc is not None and scorer.num_problems and scorer.auroc_low <= 0.5:
        yield (
            f"{arm.name}: {scorer.name} is not told apart from a blind scorer: of a right and a wrong candidate of one "
            f"problem it prefers the right one in {100 * scorer.auroc:.0f} % (95 % interval "
            f"{100 * scorer.auroc_low:.0f} to {100 * scorer.auroc_high:.0f} %, {scorer.num_problems} problems)"
        )
    for cell in scorer.added:
        if cell.k == k and cell.upper < 0 and cell.adjusted_p_value is not None and cell.adjusted_p_value <= 0.05:
            figure = at_k(cell.figure, k)
            yield f"{arm.name}: {figure} is worse than the plain vote, not by chance: leave the scorer out"
    paid = [spent for place, spent in arm.cost.engines.items() if place.startswith("selector.scorer")]
    if paid and arm.num_problems:
        read = sum(spent.prompt_tokens for spent in paid) / arm.num_problems
        written = sum(spent.written_tokens for spent in paid) / arm.num_problems
        yield (
            f"{arm.name}: scorers read {count(read)} and wrote {count(written)} tokens a problem; of the lines, those "
            "that choose by a scorer count them"
        )
