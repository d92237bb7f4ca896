"""What a report says first, in a few sentences."""

from __future__ import annotations

from collections.abc import Iterator

from tts.report.data import Contrast, Report, Speed
from tts.report.wording import NBSP, at_k, decimal, interval, known, p_value, percent_range, plural, points_range


def headline(report: Report) -> list[str]:
    """Return the sentences: the difference of two arms, or one arm between chance and oracle, at `headline_k`."""
    if not report.arms:
        return ["There is no run in this report."]
    found = [*_verdicts(report)] or [*_texts(report)]
    return found or ["Nothing was graded, and no texts were compared: there is no figure to put first."]


def judgement(contrast: Contrast) -> str:
    """Return what to think of a difference, all contrasts of the report considered."""
    return "told apart" if contrast.told_apart else "not told apart from chance"


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
    fitting = [one for one in report.contrasts if one.is_headline(report.headline, k)]
    if fitting and len(report.arms) == 2:
        one = fitting[0]
        bounds = interval(one.together_low, one.together_high, sign=True)
        yield (
            f"{one.first} minus {one.second} in {at_k(one.figure, k)}: {points_range(one.lower, one.upper)} points "
            f"(95{NBSP}% interval {bounds}; adjusted p {p_value(one.adjusted_p_value)}), {judgement(one)}; {one.power}."
        )
    points = [(arm, arm.point(report.headline, k)) for arm in report.arms]
    found = [(arm, point) for arm, point in points if point is not None]
    if len(found) > 1:
        shares = [f"{arm.name} {percent_range(point.lower, point.upper)}" for arm, point in found]
        yield f"{at_k(report.headline, k)}: {', '.join(shares)}, on {plural(found[0][0].num_graded, 'problem')}."
    # Of a single arm also between what it lies: a blind choice and a perfect one.
    elif found:
        arm, point = found[0]
        bounds = interval(point.interval_low, point.interval_high)
        sentence = (
            f"{arm.name} reaches {at_k(report.headline, k)} of {percent_range(point.lower, point.upper)} "
            f"(95{NBSP}% interval {bounds}) on {plural(arm.num_graded, 'problem')}"
        )
        blind, oracle = arm.point("random", k), arm.point("pass@k", k)
        if blind is not None and oracle is not None and k > 1:
            sentence += (
                f"; a single candidate is right {percent_range(blind.lower, blind.upper)} of the time, and a perfect "
                f"choice among {k} would reach {percent_range(oracle.lower, oracle.upper)}"
            )
        yield f"{sentence}."


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
