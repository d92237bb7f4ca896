"""What a report says first, in a few sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tts.errors import plural
from tts.metrics.paired import FEWEST_MOVED
from tts.report.data import Arm, Contrast, Report, Speed
from tts.report.wording import (
    COSTS,
    NBSP,
    amount,
    at_k,
    decimal,
    interval,
    known,
    p_value,
    percent,
    percent_range,
    points_range,
)

FEW_CUT = 0.01  # share of candidates beyond which it is said what the cut ones could have changed
MUCH_CUT = 0.2
MOST_PAIRS = 3  # of recipes, that are told each in words


def headline(report: Report) -> list[str]:
    """Return the sentences: the differences of arms, or one arm between chance and oracle, at `headline_k`."""
    if not report.arms:
        return ["There is no run in this report."]
    found = [*_verdicts(report), *_sensitivity(report), *_ties(report)] or [*_texts(report)]
    if report.headline == "selected":
        found.append("Selected is what each recipe's own selector hands in.")
    return found or ["Nothing was graded, and no texts were compared: there is no figure to put first."]


def judgement(contrast: Contrast) -> str:
    """Return what to think of a difference, all contrasts of the report considered."""
    return "told apart" if contrast.told_apart else "not told apart from chance"


def look(contrast: Contrast) -> str:
    """Return what is compared, and where: `maj@8`, or `maj@k at 1 234 tokens`."""
    if contrast.k is not None:
        return at_k(contrast.figure, contrast.k)
    return f"{contrast.figure} at {amount(contrast.cost, contrast.axis)}"


def chance(contrast: Contrast) -> str:
    """Return the p-value as words, or why there is none."""
    p = contrast.adjusted_p_value
    return f"no p-value: fewer than {FEWEST_MOVED} clusters" if p is None else f"adjusted p {p_value(p)}"


def record(contrast: Contrast) -> str:
    """Return on how many problems the first arm was better, worse, the same, and not to be told: `11–7–12–0`."""
    counts = (contrast.num_wins, contrast.num_losses, contrast.num_ties, contrast.num_open)
    return "–".join(map(str, counts))


def speed(one: Speed) -> str:
    """Return how fast one arm drew beside another, as a sentence."""
    turns = "in one turn" if one.num_turns == 1 else f"in {one.num_turns} turns ({one.lowest:.2f} to {one.highest:.2f})"
    return f"{one.first} drew {one.ratio:.2f} times the tokens per second of {one.second}, {turns}."


def _verdicts(report: Report) -> Iterator[str]:
    # Of two arms the difference, with its interval, what to think of it, and what could have been seen.
    k = report.headline_k
    fitting = report.headline_contrasts
    if fitting and len(report.arms) == 2:
        one = fitting[0]
        yield (
            f"{one.first} minus {one.second} in {look(one)}: {points_range(one.lower, one.upper)} points "
            f"on {plural(one.num_problems, 'problem')} ({_doubt(one)}), {judgement(one)}; {one.power}."
        )
    # Of more, which pairs are told apart, the largest difference first.
    elif fitting:
        apart = sorted((one for one in fitting if one.told_apart), key=lambda one: -abs(one.lower + one.upper))
        told = [
            f"{one.first} minus {one.second} {points_range(one.lower, one.upper)} points ({_doubt(one)})"
            for one in apart[:MOST_PAIRS]
        ]
        more = [f"{len(apart) - MOST_PAIRS} more"] if len(apart) > MOST_PAIRS else []
        rest = [f"{one.first} and {one.second}" for one in fitting if not one.told_apart]
        not_told = f"; not told apart from chance: {', '.join(rest)}" if 0 < len(rest) <= MOST_PAIRS and apart else ""
        sizes = [one.num_problems for one in fitting]
        fewest, most = min(sizes), max(sizes)
        on = plural(most, "problem") if fewest == most else f"{fewest} to {plural(most, 'problem')} in common"
        where = look(fitting[0]) if report.axis == "k" else f"{report.headline} at equal {COSTS[report.axis]}"
        if report.axis != "k" and any(one.k is not None for one in fitting):
            where += " (of the same candidates where they have no cost in common)"
        yield (
            f"In {where} on {on} {len(apart) or 'none'} of {plural(len(fitting), 'pair')} of "
            f"recipes {'is' if len(apart) < 2 else 'are'} told apart{': ' if apart else ' from chance'}"
            f"{', '.join([*told, *more])}{not_told}."
        )
    points = [(arm, arm.point(report.headline, k)) for arm in report.arms]
    found = [(arm, point) for arm, point in points if point is not None]
    if len(found) > 1:
        shares = [f"{arm.name} {percent_range(point.lower, point.upper)}" for arm, point in found]
        numbers = dict.fromkeys(plural(arm.num_graded, "problem") for arm, _ in found)
        yield (
            f"{at_k(report.headline, k)}{_within(report.arms)}: {', '.join(shares)}, on {' and '.join(numbers)}"
            f"{_beware([arm for arm, _ in found])}."
        )
    # Of a single arm also between what it lies: a blind choice and a perfect one.
    elif found:
        arm, point = found[0]
        bounds = interval(point.interval_low, point.interval_high)
        sentence = (
            f"{arm.name} reaches {at_k(report.headline, k)} of {percent_range(point.lower, point.upper)}"
            f"{_within([arm])} (95{NBSP}% interval {bounds}) on {plural(arm.num_graded, 'problem')}"
        )
        blind, oracle = arm.point("random", k), arm.point("pass@k", k)
        if blind is not None and oracle is not None and k > 1:
            sentence += (
                f"; a single candidate is right {percent_range(blind.lower, blind.upper)} of the time, and a perfect "
                f"choice among {k} would reach {percent_range(oracle.lower, oracle.upper)}"
            )
        yield f"{sentence}{_beware([arm])}."


def _doubt(one: Contrast) -> str:
    bounds = interval(one.together_low, one.together_high, sign=True)
    return f"95{NBSP}% interval {bounds}; {chance(one)}"


def _beware(arms: Sequence[Arm]) -> str:
    """Return what stands in the headline where so much was cut that it may be the lengths that are measured."""
    much = [f"{percent(arm.quality.share_cut)} of {arm.name}'s" for arm in arms if arm.quality.share_cut > MUCH_CUT]
    return f"; beware: {' and '.join(much)} candidates were cut and count as wrong" if much else ""


def _within(arms: Sequence[Arm]) -> str:
    """Return ` within 4,096 tokens` where something was cut: what was not finished in them is wrong."""
    if not any(arm.quality.num_truncated for arm in arms):
        return ""
    budgets = {arm.budget for arm in arms}
    return f" within {budgets.pop()}" if len(budgets) == 1 else ", each within its own budget"


def _sensitivity(report: Report) -> Iterator[str]:
    """Yield what cut candidates could have changed, for each arm of which more than a few were cut."""
    for arm in report.arms:
        share = arm.quality.share_cut
        coverage, vote = (arm.point(figure, report.headline_k) for figure in ("pass@k", "maj@k"))
        if share <= FEW_CUT or coverage is None or coverage.cut_upper is None:
            continue
        cut = f"the {percent(share)} of {arm.name}'s candidates that were cut"
        sentence = (
            f"If {cut} and count as wrong had been right, {at_k('pass@k', coverage.k)} would be up to "
            f"{percent(coverage.cut_upper)}"
        )
        if vote is not None and vote.cut_lower is not None and vote.k > 1:
            sentence += (
                f"; if all of them had voted for the strongest wrong answer, or for the right one, "
                f"{at_k('maj@k', vote.k)} would be {percent(vote.cut_lower)} or {percent(vote.cut_upper)}"
            )
        yield f"{sentence}."


def _ties(report: Report) -> Iterator[str]:
    told = []
    for arm in [arm for arm in report.arms if not arm.whole]:
        point = arm.point(report.headline, report.headline_k)
        if point is not None and point.tie_share:
            told.append(percent(point.tie_share) + (f" ({arm.name})" if len(report.arms) > 1 else ""))
    if told:
        yield (
            f"{at_k(report.headline, report.headline_k)} is the mean over all subsets; in {' and '.join(told)} of them "
            "answers tie for first place, and each counts for its share."
        )


def _texts(report: Report) -> Iterator[str]:
    for arm in report.arms:
        spread = arm.spread
        if spread is None or not known(spread.vendi.get("1")):
            continue
        sentence = f"The texts of {arm.name} are worth {decimal(spread.vendi['1'])} different ones (Vendi score"
        if known(spread.perplexity):
            yield f"{sentence}; perplexity {decimal(spread.perplexity)} under {spread.perplexity_model})."
        else:
            yield f"{sentence}, compared by {spread.kernel})."
