"""What a careful colleague would say about a report: sentences, each with the key to change."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from tts.report.data import Arm, Contrast

NOTABLE = 0.05  # share of candidates from which a warning is due
MUCH_FALLBACK = 0.25
WIDE = 0.2  # width of a 95 % interval beyond which a figure says little
IGNORED = ("description", "seed", "problems", "sampler.num_candidates", "selector")
"""Keys that may differ between two recipes that are compared: every selector is applied to both."""


def on_arm(arm: Arm, reasons: Counter[str]) -> Iterator[str]:
    """Yield what is worth knowing of one arm; `reasons` counts why its verdicts are undecided."""
    quality, max_tokens, context = arm.quality, _now(arm, "sampler", "max_tokens"), _now(arm, "engine", "max_model_len")

    # What became of its candidates.
    if quality.num_truncated > NOTABLE * quality.num_candidates:
        yield (
            f"{arm.name}: {_share(quality.num_truncated, arm)} of the candidates were cut by the length limit, neither "
            f"right nor wrong: raise sampler.max_tokens{max_tokens}"
            + (f", and engine.max_model_len{context} with it" if context else "")
        )
    if quality.num_unclosed_thinking > NOTABLE * quality.num_candidates:
        yield (
            f"{arm.name}: {_share(quality.num_unclosed_thinking, arm)} of the candidates never close their thinking, "
            f"so they have no answer: raise sampler.max_tokens{max_tokens}, or see "
            "engine.thinking_tags and engine.chat_template_kwargs"
        )
    if arm.num_graded and quality.num_fallback_answers > MUCH_FALLBACK * quality.num_candidates:
        yield (
            f"{arm.name}: {_share(quality.num_fallback_answers, arm)} of the answers were found only because they "
            "stood last, which may be no answer at all: ask for \\boxed{} in task.template, or take a better model"
        )
    if quality.num_errors:
        yield (
            f"{arm.name}: {quality.num_errors} candidates failed in the engine and count as undecided: "
            f"draw them anew with tts solve --run {arm.run} --retry-errors"
        )

    # What could not be judged, and what has no reference to be judged by.
    rest = {name: number for name, number in reasons.items() if name not in ("truncated", "engine_error")}
    if sum(rest.values()) > NOTABLE * quality.num_candidates:
        told = ", ".join(f"{number} {name}" for name, number in sorted(rest.items()))
        yield (
            f"{arm.name}: {_share(sum(rest.values()), arm)} of the candidates have no verdict ({told}), so figures are "
            "ranges. See task.verifier for its limits; `tts grade` judges anew"
        )
    if 0 < arm.num_graded < arm.num_problems:
        without = arm.num_problems - arm.num_graded
        yield f"{arm.name}: {without} of {arm.num_problems} problems have no reference: no accuracy counts them"


def _share(number: int, arm: Arm) -> str:
    return f"{100 * number / max(1, arm.quality.num_candidates):.0f} %"


def _now(arm: Arm, section: str, key: str) -> str:
    """Return what the arm's recipe says, to stand behind the key's name; nothing where it does not say."""
    keys = arm.recipe.get(section)
    value = keys.get(key) if isinstance(keys, Mapping) else None
    return "" if value is None else f" (now {value})"


def on_claim(arms: Sequence[Arm], contrasts: Sequence[Contrast], headline: str) -> Iterator[str]:
    """Yield where the problems are too few for what the figures seem to say."""
    for arm in arms:
        for point in [line.points[-1] for line in arm.lines if line.figure == headline]:
            width = point.interval_high - point.interval_low
            if width > WIDE:
                yield (
                    f"{arm.name}: with {arm.num_graded} problems the 95 % interval of {headline} at k={point.k} is "
                    f"{100 * width:.0f} points wide: take more problems (PROBLEMS, --limit) before you claim much"
                )
    for contrast in contrasts:
        differs = contrast.lower > 0 or contrast.upper < 0
        last = contrast.k == max(one.k for one in contrasts)
        if contrast.figure == headline and last and differs and contrast.adjusted_p_value > 0.05:
            yield (
                f"{contrast.first} and {contrast.second} differ in {headline} at k={contrast.k} by no more than chance "
                f"could make them (p = {contrast.adjusted_p_value:.2f} after correction); {contrast.power}. "
                "Take more problems (PROBLEMS, --limit)"
            )


def on_fairness(arms: Sequence[Arm]) -> Iterator[str]:
    """Yield where two recipes differ in more than one thing, so that nobody can tell which made the difference."""
    for first, second in combinations(arms, 2):
        changed = list(differing_keys(first.recipe, second.recipe))
        if len(changed) > 1:
            told = "; ".join(f"{key}: {_told(one)} and {_told(two)}" for key, one, two in changed)
            yield (
                f"{first.name} and {second.name} differ in more than one thing, so a difference in figures is due to "
                f"any of them ({told}): give both the same keys but one"
            )


def differing_keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key, first value, second value) where both recipes have the key, and not the same value for it.

    A key that only one component has (ESamp's beta, say) belongs to the choice of that component.
    """
    own = tuple(f"{key}." for key in IGNORED)
    yield from (change for change in _differing("", first, second) if not f"{change[0]}.".startswith(own))


def _differing(path: str, first: Any, second: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(first, dict) and isinstance(second, dict):
        for key in first:
            if key in second:
                yield from _differing(f"{path}.{key}" if path else key, first[key], second[key])
    elif first != second:
        yield path, first, second


def _told(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
