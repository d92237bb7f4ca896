"""What a report says first, in a few sentences."""

from __future__ import annotations

from collections.abc import Iterator

from tts.report.data import Arm, Contrast, Line, Point, Report, Speed
from tts.report.wording import NBSP, at_k, decimal, interval, known, p_value, percent_range, plural

SIGNIFICANT = 0.05


def headline(report: Report) -> list[str]:
    """Return the sentences: the difference of two arms, or one arm between chance and oracle, at the largest k."""
    if not report.arms:
        return ["There is no run in this report."]
    found = [*_verdicts(report)] or [*_texts(report)]
    return found or ["Nothing was graded, and no texts were compared: there is no figure to put first."]


def last_point(arm: Arm, figure: str) -> Point | None:
    """Return the arm's figure at the largest k; None where it has none that is known."""
    line = next((line for line in arm.lines if line.figure == figure), Line(figure, ()))
    points = [point for point in line.points if known(point.lower) and known(point.upper)]
    return max(points, key=lambda point: point.k, default=None)


def deciding(report: Report) -> Contrast | None:
    """Return the contrast that the headline is about: two arms, the headline figure, the largest k."""
    fitting = [one for one in report.contrasts if one.figure == report.headline]
    return max(fitting, key=lambda one: one.k, default=None) if len(report.arms) == 2 else None


def is_significant(contrast: Contrast) -> bool:
    """Return whether chance alone would hardly make such a difference, all comparisons of the report considered."""
    return known(contrast.adjusted_p_value) and contrast.adjusted_p_value < SIGNIFICANT


def _verdicts(report: Report) -> Iterator[str]:
    points = [(arm, last_point(arm, report.headline)) for arm in report.arms]
    found = [(arm, point) for arm, point in points if point is not None]
    contrast = deciding(report)
    if contrast is not None:
        yield _difference(contrast)
    if len(found) == 1:
        yield _accuracy(report.headline, *found[0])
    elif found:
        shares = [f"{arm.name} {percent_range(point.lower, point.upper)}" for arm, point in found]
        k = max(point.k for _, point in found)
        yield f"{at_k(report.headline, k)}: {', '.join(shares)}, on {plural(found[0][0].num_graded, 'problem')}."


def _accuracy(figure: str, arm: Arm, point: Point) -> str:
    """Return what the headline figure is, and between what it lies: a blind choice and a perfect one."""
    bounds = interval(point.interval_low, point.interval_high)
    sentence = (
        f"{arm.name} reaches {at_k(figure, point.k)} of {percent_range(point.lower, point.upper)} "
        f"(95{NBSP}% interval {bounds}) on {plural(arm.num_graded, 'problem')}"
    )
    blind, oracle = last_point(arm, "random"), last_point(arm, "pass@k")
    if blind is None or oracle is None or point.k == 1:
        return f"{sentence}."
    return (
        f"{sentence}; a single candidate is right {percent_range(blind.lower, blind.upper)} of the time, and a perfect "
        f"choice among {point.k} would reach {percent_range(oracle.lower, oracle.upper)}."
    )


def speed(one: Speed) -> str:
    """Return how fast one arm drew beside another, as a sentence."""
    turns = "in one turn" if one.num_turns == 1 else f"in {one.num_turns} turns ({one.lowest:.2f} to {one.highest:.2f})"
    return f"{one.first} drew {one.ratio:.2f} times the tokens per second of {one.second}, {turns}."


def _difference(contrast: Contrast) -> str:
    """Return the difference with its interval, what to think of it, and what could have been seen."""
    difference = percent_range(contrast.lower, contrast.upper, sign=True).removesuffix(f"{NBSP}%")
    bounds = interval(contrast.interval_low, contrast.interval_high, sign=True)
    judgement = "more than chance explains" if is_significant(contrast) else "not told apart from chance"
    return (
        f"{contrast.first} minus {contrast.second} in {at_k(contrast.figure, contrast.k)}: {difference} points "
        f"(95{NBSP}% interval {bounds}; adjusted p {p_value(contrast.adjusted_p_value)}), {judgement}; "
        f"{contrast.power}."
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
