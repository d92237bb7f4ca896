"""What a careful colleague would say about a report: sentences, each with the key to change."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from tts.errors import plural
from tts.report.data import Arm, Report
from tts.report.headline import MOST_PAIRS, chance, look
from tts.report.wording import NBSP, at_k, count, percent
from tts.types import COUNTED_WRONG

NOTABLE = 0.05  # share of candidates from which a warning is due
MUCH_FALLBACK = 0.25
UNLIKE = 1.5  # ratio of the tokens a candidate beyond which equal k is not equal cost
WIDE = 0.2  # width of a 95 % interval beyond which a figure says little
MOST_KEYS = 6
LONGEST_VALUES = 60
IGNORED = ("description", "seed", "problems", "sampler.num_candidates", "selector")
"""Keys that may differ between two recipes that are compared: every selector is applied to both."""


def on_arm(arm: Arm, reasons: Counter[str]) -> Iterator[str]:
    """Yield what is worth knowing of one arm; `reasons` counts why its verdicts are undecided."""
    quality, max_tokens, context = arm.quality, _now(arm, "sampler", "max_tokens"), _now(arm, "engine", "max_model_len")

    # What became of its candidates.
    if quality.num_truncated > NOTABLE * quality.num_candidates:
        yield (
            f"{arm.name}: {_share(quality.num_truncated, arm)} of the candidates were cut by the length limit and "
            f"count as wrong: figures are of what is reached within {arm.budget}; raise sampler.max_tokens{max_tokens}"
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
    if quality.num_abandoned:
        yield (
            f"{arm.name}: {_share(quality.num_abandoned, arm)} of the candidates were abandoned, since their "
            "confidence fell below the floor: they have no vote and count as wrong, and their tokens are paid for"
        )
    if quality.num_errors:
        how = (
            f" with tts solve --run {arm.run} --retry-errors" if "engine" in arm.recipe else ""
        )  # else of another tool
        failed = plural(quality.num_errors, "candidate")
        yield f"{arm.name}: the engine failed on {failed}, undecided for that: draw them anew{how}"

    # What could not be judged, and what has no reference to be judged by.
    rest = {name: number for name, number in reasons.items() if name not in {*COUNTED_WRONG, "engine_error"}}
    if sum(rest.values()) > NOTABLE * quality.num_candidates:
        told = ", ".join(f"{number} {name}" for name, number in sorted(rest.items()))
        yield (
            f"{arm.name}: {_share(sum(rest.values()), arm)} of the candidates have no verdict ({told}), so figures are "
            "ranges. See task.verifier for its limits; `tts grade` judges anew"
        )
    if 0 < arm.num_graded < arm.num_problems:
        without = plural(arm.num_problems - arm.num_graded, "problem", of=arm.num_problems)
        yield f"{arm.name}: no accuracy counts {without}, for want of a reference"


def _share(number: int, arm: Arm) -> str:
    return f"{100 * number / max(1, arm.quality.num_candidates):.0f} %"


def _now(arm: Arm, section: str, key: str) -> str:
    """Return what the arm's recipe says, to stand behind the key's name; nothing where it does not say."""
    keys = arm.recipe.get(section)
    value = keys.get(key) if isinstance(keys, Mapping) else None
    return "" if value is None else f" (now {value})"


def on_claim(report: Report) -> Iterator[str]:
    """Yield where the problems are too few for what the figures seem to say at the headline's k or cost."""
    headline, k = report.headline, report.headline_k
    for arm in report.arms:
        for point in [point for line in arm.lines if line.figure == headline for point in line.points if point.k == k]:
            width = point.interval_high - point.interval_low
            if width > WIDE:
                yield (
                    f"{arm.name}: with {plural(arm.num_graded, 'problem')} the 95 % interval of {at_k(headline, k)} is "
                    f"{100 * width:.0f} points wide: take more problems (PROBLEMS, --limit) before you claim much"
                )
    looks = report.headline_contrasts
    unsettled = [one for one in looks if (one.lower > 0 or one.upper < 0) and not one.told_apart]
    if len(unsettled) > MOST_PAIRS:
        where = look(unsettled[0]) if report.axis == "k" else f"{headline} at equal cost"
        yield (
            f"{len(unsettled)} of {len(looks)} pairs of recipes differ in {where} and are not "
            "told apart from chance. Take more problems (PROBLEMS, --limit)"
        )
        return
    for one in unsettled:
        yield (
            f"{one.first} and {one.second} are not told apart from chance in {look(one)} ({chance(one)}); "
            f"{one.power}. Take more problems (PROBLEMS, --limit)"
        )


def on_fairness(report: Report) -> Iterator[str]:
    """Yield which recipes differ in so much that nobody can tell what made a difference, and what unlike ones spend."""
    arms = report.arms
    pairs: dict[str, list[str]] = {}
    for first, second in combinations(arms, 2):
        changed = list(differing_keys(first.recipe, second.recipe))
        if len(changed) > 1:
            # Of two recipes the values, too; deeper than a section's keys nobody reads on.
            with_values = len(arms) == 2
            told = list(dict.fromkeys(_told(*change, with_values=with_values) for change in changed))
            more = [f"{len(told) - MOST_KEYS} more"] if len(told) > MOST_KEYS else []
            keys = ("; " if with_values else ", ").join([*told[:MOST_KEYS], *more])
            pairs.setdefault(keys, []).append(f"{first.name} and {second.name}")
    if pairs:
        all_told = "; ".join(f"{', '.join(names)} in {keys}" for keys, names in pairs.items())
        yield (
            "Recipes that are compared differ in more than one thing, so a difference in figures is due to any of "
            f"them: {all_told}. Give them the same keys but one"
        )
    budgets = {arm.name: arm.budget for arm in arms}
    if len(set(budgets.values())) > 1:
        limits = ", ".join(f"{name} {budget}" for name, budget in budgets.items())
        yield f"Recipes that are compared have unlike limits a candidate ({limits}): each is measured within its own"
    cut = {arm.name: arm.quality.share_cut for arm in arms}
    if cut and max(cut.values()) - min(cut.values()) > NOTABLE:
        shares = ", ".join(f"{name} {percent(share)}" for name, share in cut.items())
        yield (
            f"Of recipes that are compared unlike shares were cut by the length limit ({shares}): what they differ by "
            "can be lengths"
        )
    spent = {arm.name: arm.cost.completion_tokens / max(1, arm.quality.num_candidates) for arm in arms}
    if report.axis == "k" and spent and max(spent.values()) > UNLIKE * min(spent.values()):
        numbers = ", ".join(f"{name} {count(tokens)}" for name, tokens in spent.items())
        yield (
            f"Recipes that are compared write unlike numbers of tokens a candidate ({numbers}), so at the same k they "
            "do not cost the same: compare them at equal tokens (--axis tokens)"
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


def _told(key: str, one: Any, two: Any, *, with_values: bool) -> str:
    """Return a key as far as a recipe's sections go, and its two values where they are short."""
    short = ".".join(key.split(".")[:2])
    values = " and ".join(json.dumps(value, ensure_ascii=False) for value in (one, two))
    return f"{short}: {values}" if with_values and short == key and len(values) <= LONGEST_VALUES else short


def said_once(arms: Sequence[Arm], sentences: Sequence[str]) -> list[str]:
    """Return the sentences, as one those that say the same of several recipes, or of several pairs of them.

    They say the same where nothing but numbers and run folders differs; these stand in the order of the recipes. What
    is in quotes, such as the name of a problem, is no number.
    """
    runs = "|".join(re.escape(arm.run) for arm in sorted(arms, key=lambda arm: -len(arm.run)) if arm.run)
    changing = re.compile(rf"(?:{runs or '(?!)'}|\b\d+(?:[.,\u202f]\d+)*)(?=(?:[^']*'[^']*')*[^']*$)")
    names = [arm.name for arm in arms]
    subjects = {f"{name}: ": name for name in names}
    subjects |= {f"{one} and {two} ": f"{one} and {two}" for one in names for two in names if one != two}
    found: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for sentence in sentences:
        start = max((one for one in subjects if sentence.startswith(one)), key=len, default="")
        said = sentence[len(start) :]
        kind = start[-2:] if start.endswith(": ") else " " if start else sentence
        found.setdefault((kind, *changing.split(said)), []).append((subjects.get(start, ""), said))
    grouped = []
    for (kind, *between), members in found.items():
        if len(members) == 1 or kind not in (": ", " "):
            subject, said = members[0]
            grouped.append(f"{subject}{kind}{said}" if subject else said)
            continue
        values = zip(*(changing.findall(said) for _, said in members), strict=True)
        told = [each[0] if len(set(each)) == 1 else f"{NBSP}/{NBSP}".join(each) for each in values]
        said = "".join(part for pair in zip(between, [*told, ""], strict=True) for part in pair)
        separator = ", " if kind == ": " else "; "
        grouped.append(f"{separator.join(dict.fromkeys(subject for subject, _ in members))}{kind}{said}")
    return grouped
