"""What a report says first, in a few sentences."""

from __future__ import annotations

from collections.abc import Iterator

from tts.report.data import Arm, Contrast, Point, Report, Speed
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
    return max(arm.points(figure), key=lambda point: point.k, default=None)


def is_significant(contrast: Contrast) -> bool:
    """Return whether chance alone would hardly make such a difference, all comparisons of the report considered."""
    return known(contrast.adjusted_p_value) and contrast.adjusted_p_value < SIGNIFICANT


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
    fitting = [one for one in report.contrasts if one.figure == report.headline]
    if fitting and len(report.arms) == 2:
        last = max(fitting, key=lambda one: one.k)
        difference = percent_range(last.lower, last.upper, sign=True).removesuffix(f"{NBSP}%")
        bounds = interval(last.interval_low, last.interval_high, sign=True)
        judgement = "more than chance explains" if is_significant(last) else "not told apart from chance"
        yield (
            f"{last.first} minus {last.second} in {at_k(last.figure, last.k)}: {difference} points "
            f"(95{NBSP}% interval {bounds}; adjusted p {p_value(last.adjusted_p_value)}), {judgement}; {last.power}."
        )
    points = [(arm, last_point(arm, report.headline)) for arm in report.arms]
    found = [(arm, point) for arm, point in points if point is not None]
    if len(found) > 1:
        shares = [f"{arm.name} {percent_range(point.lower, point.upper)}" for arm, point in found]
        k = max(point.k for _, point in found)
        yield f"{at_k(report.headline, k)}: {', '.join(shares)}, on {plural(found[0][0].num_graded, 'problem')}."
    # Of a single arm also between what it lies: a blind choice and a perfect one.
    elif found:
        arm, point = found[0]
        bounds = interval(point.interval_low, point.interval_high)
        sentence = (
            f"{arm.name} reaches {at_k(report.headline, point.k)} of {percent_range(point.lower, point.upper)} "
            f"(95{NBSP}% interval {bounds}) on {plural(arm.num_graded, 'problem')}"
        )
        blind, oracle = last_point(arm, "random"), last_point(arm, "pass@k")
        if blind is not None and oracle is not None and point.k > 1:
            sentence += (
                f"; a single candidate is right {percent_range(blind.lower, blind.upper)} of the time, and a perfect "
                f"choice among {point.k} would reach {percent_range(oracle.lower, oracle.upper)}"
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
