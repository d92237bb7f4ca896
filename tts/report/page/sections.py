"""The templates of the page, and what they ask for beyond the report: the words are `tts.report`'s, the looks theirs.

Every string that a template writes is escaped and made `visible` unless it is Markup, which only this package makes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tts.errors import plural
from tts.report.bars import Bars, Dots, draw_bars, draw_dots
from tts.report.chart import Chart, draw
from tts.report.data import Arm, ArmView, Made, Report
from tts.report.figures import charts
from tts.report.headline import headline, judgement, look, record, speed
from tts.report.rates import bars, dots
from tts.report.wording import (
    COSTS,
    UNKNOWN,
    amount,
    at_k,
    count,
    decimal,
    interval,
    known,
    p_value,
    percent,
    percent_range,
    points,
    points_range,
    seconds,
    shortened,
    visible,
)
from tts.types import COUNTED_WRONG, JSON

WINDOW = 100
"""Problems that stand in the table from the start, with or without JavaScript."""


@cache
def templates() -> Environment:
    """Return the page's templates, a file a section; all take `report`. A name that they do not know is an error."""
    environment = Environment(
        loader=PackageLoader("tts.report.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else visible(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    of_report = (headline, judgement, look, record, speed, charts, bars, dots, svg, scope, made, num_right)
    of_recipe = (by_key, differing, indented)
    numbers = (amount, count, decimal, interval, known, p_value, percent, percent_range, points, points_range, seconds)
    in_words = (at_k, plural, shortened, visible)
    environment.globals |= {function.__name__: function for function in (*of_report, *of_recipe, *numbers, *in_words)}
    environment.globals |= {"unknown": UNKNOWN, "window": WINDOW, "costs": COSTS}
    return environment


def svg(chart: Chart | Bars | Dots) -> Markup:
    """Return the chart as an element of the page."""
    match chart:
        case Bars():
            return Markup(draw_bars(chart))
        case Dots():
            return Markup(draw_dots(chart))
        case _:
            return Markup(draw(chart))


def scope(report: Report) -> str:
    """Return the line under the title: how much there is in the report."""
    problems = max((arm.num_problems for arm in report.arms), default=0)
    candidates = sum(arm.quality.num_candidates for arm in report.arms)
    return " · ".join(
        (plural(len(report.arms), "recipe"), plural(problems, "problem"), plural(candidates, "candidate"))
    )


def made(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what was drawn when, where and by what, by its title: each text with the names of its recipes.

    A text that is true of all recipes stands without names; what is known of none is left out.
    """
    found: dict[str, dict[str, list[str]]] = {"Drawn": {}, "Host": {}, "Model": {}, "Versions": {}}
    for arm in report.arms:
        versions = [f"{package} {version}" for package, version in arm.made.versions.items()]
        texts = (_days(arm.made), ", ".join(arm.made.hosts), _model(arm), ", ".join(versions))
        for title, text in zip(found, texts, strict=True):
            if text:
                found[title].setdefault(text, []).append(arm.name)
    return [
        (title, [(text, "" if len(names) == len(report.arms) else ", ".join(names)) for text, names in by_text.items()])
        for title, by_text in found.items()
        if by_text
    ]


def _days(one: Made) -> str:
    """Return when drawing began and ended, to the minute."""
    if one.began is None or one.ended is None:
        return ""
    began, ended = (datetime.fromtimestamp(when, UTC) for when in (one.began, one.ended))
    until = f"{ended:%H:%M}" if began.date() == ended.date() else f"{ended:%Y-%m-%d %H:%M}"
    return f"{began:%Y-%m-%d %H:%M} to {until} UTC"


def _model(arm: Arm) -> str:
    """Return the model, without the folder that it lies in, and the engine."""
    engine = arm.recipe.get("engine")
    if not isinstance(engine, Mapping):
        return ""
    model, name = engine.get("model"), engine.get("name")
    if not model:
        return str(name or "")
    shown = Path(str(model)).name if Path(str(model)).is_absolute() else str(model)
    return f"{shown} ({name})"


@dataclass(frozen=True, slots=True)
class Right:
    """How many of an arm's candidates are right, maybe a range, and the share to sort by, -1 where there are none."""

    told: str
    share: float


def num_right(view: ArmView) -> Right:
    """Return how many of an arm's candidates are right on one problem."""
    statuses = [one.status for one in view.candidates if one.reason not in COUNTED_WRONG]
    right, undecided = statuses.count("passed"), statuses.count("undecided")
    told = f"{right}–{right + undecided}" if undecided else f"{right}"
    return Right(told, (right + undecided / 2) / len(view.candidates) if view.candidates else -1.0)


def by_key(trees: Iterable[Mapping[str, JSON]]) -> list[tuple[str, list[str]]]:
    """Return the leaves of nested mappings by their dotted keys, each with one text a tree."""
    flat = [_flat(tree) for tree in trees]
    return [(key, [one.get(key, UNKNOWN) for one in flat]) for key in dict.fromkeys(key for one in flat for key in one)]


def differing(rows: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Return the rows in which not all texts are the same."""
    return [(key, texts) for key, texts in rows if len(set(texts)) > 1]


def indented(value: JSON) -> str:
    """Return JSON as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _flat(tree: JSON | Mapping[str, JSON], key: str = "") -> dict[str, str]:
    if isinstance(tree, Mapping):
        leaves = [_flat(value, f"{key}.{name}" if key else name) for name, value in tree.items()]
        return {name: text for one in leaves for name, text in one.items()}
    if tree is None:
        return {key: UNKNOWN}
    if isinstance(tree, float):
        return {key: decimal(tree)}
    return {key: tree if isinstance(tree, str) else json.dumps(tree, ensure_ascii=False)}
