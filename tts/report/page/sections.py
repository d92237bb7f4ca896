"""The sections of the page, from the headline to the recipes; each is left out where it has nothing to say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from tts.report.chart import Chart, draw
from tts.report.data import Arm, Contrast, Report
from tts.report.figures import charts
from tts.report.headline import SIGNIFICANT, headline, last_point, speed
from tts.report.page.html import Content, Html, details, join, table, tag
from tts.report.wording import (
    NBSP,
    UNKNOWN,
    at_k,
    count,
    decimal,
    interval,
    known,
    p_value,
    percent,
    percent_range,
    plural,
    seconds,
)
from tts.types import JSON


def scope(report: Report) -> Html:
    """Return the line under the title: how much there is in the report."""
    problems = max((arm.num_problems for arm in report.arms), default=0)
    candidates = sum(arm.quality.num_candidates for arm in report.arms)
    parts = [plural(len(report.arms), "recipe"), plural(problems, "problem"), plural(candidates, "candidate")]
    return join(" · ".join(parts))


def sections(report: Report, problems: Sequence[Html]) -> Iterator[Html]:
    """Yield the sections in the order of the page."""
    yield tag("section", *_headline(report), id="headline", aria_label="Headline")
    if report.warnings:
        yield _section("warnings", "Before you conclude", tag("ul", (tag("li", text) for text in report.warnings)))
    drawn = charts(report)
    if drawn:
        yield _section("curves", "Curves", tag("div", map(_figure, drawn), class_="figures"))
    if report.contrasts:
        yield _section("comparison", "Comparison", *_comparison(report))
    yield _section("problems", "Problems", *problems)
    if report.arms:
        yield _section("cost", "Cost", _cost(report.arms), *(tag("p", speed(one)) for one in report.speeds))
        yield _section("quality", "Quality and diversity", *_quality(report))
    if any(arm.statistics for arm in report.arms):
        yield _section("plugins", "Samplers’ own figures", _by_key([arm.statistics for arm in report.arms], report))
    if report.method:
        yield _section("method", "Method", tag("ul", (tag("li", text) for text in report.method)))
    if report.arms:
        yield _section("recipes", "Recipes", *_recipes(report))


def _section(key: str, title: str, *content: Content) -> Html:
    return tag("section", tag("h2", title, id=f"{key}-title"), *content, id=key, aria_labelledby=f"{key}-title")


def _headline(report: Report) -> Iterator[Html]:
    yield from (tag("p", sentence, class_="lead") for sentence in headline(report))
    figures = list(dict.fromkeys(("random", report.headline, "pass@k")))
    rows = [[arm.name, *(_large(arm, figure) for figure in figures)] for arm in report.arms if arm.lines]
    if rows:
        k = max(report.ks)
        heads = ["Recipe", *("one candidate" if figure == "random" else at_k(figure, k) for figure in figures)]
        yield tag("div", table("Share of problems answered rightly, with 95 % intervals.", heads, rows), class_="large")


def _large(arm: Arm, figure: str) -> Html:
    point = last_point(arm, figure)
    if point is None:
        return join(UNKNOWN)
    value = tag("span", percent_range(point.lower, point.upper), class_="value")
    return join(value, tag("span", interval(point.interval_low, point.interval_high), class_="bounds"))


def _figure(chart: Chart) -> Html:
    rows = [
        [series.name, mark.place, mark.value, mark.bounds or UNKNOWN]
        for series in chart.series
        for mark in series.marks
    ]
    numbers = table(chart.title, ["Line", "At", chart.y_title, "95 % interval"], rows)
    svg = Html(draw(chart))
    return tag("figure", svg, tag("figcaption", details("Numbers", numbers)))


def _comparison(report: Report) -> Iterator[Html]:
    """Yield the contrasts of the headline figure, then the others, folded."""
    first = [one for one in report.contrasts if one.figure == report.headline] or list(report.contrasts)
    others = [one for one in report.contrasts if one not in first]
    yield _contrasts(_figures(first), first)
    if others:
        yield details(f"The same for {_figures(others)}", _contrasts(_figures(others), others))


def _figures(contrasts: Sequence[Contrast]) -> str:
    return ", ".join(dict.fromkeys(one.figure for one in contrasts))


def _contrasts(figures: str, contrasts: Sequence[Contrast]) -> Html:
    """Return the table; who is compared stands in its caption where that is one pair."""
    pairs = dict.fromkeys(f"{one.first} − {one.second}" for one in contrasts)
    caption = f"{figures}: {', '.join(pairs)}, paired over the same problems."
    heads = [
        "Figure",
        "Difference",
        f"95{NBSP}% interval",
        "p",
        "p, adjusted",
        "Wins",
        "Losses",
        "Ties",
        "Open",
        "Power",
    ]
    rows = [_contrast(one) for one in contrasts]
    if len(pairs) > 1:
        heads.insert(1, "Recipes")
        rows = [[row[0], f"{one.first} − {one.second}", *row[1:]] for row, one in zip(rows, contrasts, strict=True)]
    return table(caption, heads, rows, words=(0, len(heads) - 1) if len(pairs) == 1 else (0, 1, len(heads) - 1))


def _contrast(one: Contrast) -> list[Content]:
    significant = known(one.adjusted_p_value) and one.adjusted_p_value < SIGNIFICANT
    return [
        at_k(one.figure, one.k),
        percent_range(one.lower, one.upper, sign=True),
        interval(one.interval_low, one.interval_high, sign=True),
        p_value(one.p_value),
        tag("strong" if significant else "span", p_value(one.adjusted_p_value)),
        *map(str, (one.num_wins, one.num_losses, one.num_ties, one.num_open)),
        tag("span", one.power, class_="power"),
    ]


def _cost(arms: Sequence[Arm]) -> Html:
    heads = ["Recipe", "prompt", "completion", "of it truncated", "of it cancelled", "scorers", "time", "tokens/s"]
    rows = [
        [
            arm.name,
            *map(count, (cost.prompt_tokens, cost.completion_tokens, cost.truncated_tokens, cost.cancelled_tokens)),
            count(cost.scorer_tokens),
            seconds(cost.seconds),
            decimal(cost.tokens_per_second),
        ]
        for arm in arms
        for cost in (arm.cost,)
    ]
    return table("Tokens, and the time that drawing took.", heads, rows)


def _quality(report: Report) -> Iterator[Html]:
    heads = ["Recipe", "candidates", "truncated", "thinking never closed", "no answer", "last-number rule", "errors"]
    rows = [[arm.name, *_shares(arm)] for arm in report.arms]
    yield table("What became of the candidates.", [*heads, "undecided"], rows)
    spreads = [(arm.name, arm.spread) for arm in report.arms if arm.spread is not None]
    if not spreads:
        return
    orders = list(dict.fromkeys(order for _, spread in spreads for order in spread.vendi))
    heads = ["Recipe", *(f"Vendi, q = {_order(order)}" for order in orders)]
    heads += ["mean similarity", "distinct-2", "different texts", "perplexity", "compared by"]
    told = [
        [
            name,
            *(decimal(spread.vendi.get(order)) for order in orders),
            *map(decimal, (spread.mean_similarity, spread.distinct_2, spread.num_distinct_texts)),
            _perplexity(spread.perplexity, spread.perplexity_model),
            spread.kernel,
        ]
        for name, spread in spreads
    ]
    yield table(
        "How different the texts of a problem are: means over problems.", heads, told, words=(0, len(heads) - 1)
    )


def _perplexity(value: float | None, model: str | None) -> str:
    return f"{decimal(value)} ({model})" if known(value) and model else decimal(value)


def _order(order: str) -> str:
    return "∞" if order == "inf" else order


def _shares(arm: Arm) -> list[Content]:
    quality = arm.quality
    total = quality.num_candidates
    numbers = (
        quality.num_truncated,
        quality.num_unclosed_thinking,
        quality.num_no_answer,
        quality.num_fallback_answers,
        quality.num_errors,
        quality.num_undecided,
    )
    return [count(total), *(_share(number, total) for number in numbers)]


def _share(number: int, total: int) -> Html:
    share = tag("span", f" {percent(number / total)}", class_="of") if number and total else ""
    return join(count(number), share)


def _recipes(report: Report) -> Iterator[Html]:
    """Yield what differs between the recipes, then each as a whole, folded."""
    if len(report.arms) > 1:
        flat = [_flat(arm.recipe) for arm in report.arms]
        keys = dict.fromkeys(key for one in flat for key in one)
        differing = [key for key in keys if len({one.get(key, UNKNOWN) for one in flat}) > 1]
        rows = [[key, *(one.get(key, UNKNOWN) for one in flat)] for key in differing]
        heads = ["Key", *(arm.name for arm in report.arms)]
        words = range(len(heads))
        yield (
            table("Where the recipes differ.", heads, rows, words=words)
            if rows
            else tag("p", "The recipes are the same in every key.")
        )
    for arm in report.arms:
        text = json.dumps(arm.recipe, indent=2, ensure_ascii=False)
        yield details(f"{arm.name}: {arm.run}", tag("pre", text))


def _by_key(trees: Sequence[Mapping[str, JSON]], report: Report) -> Html:
    """Return a table of nested figures: a row a key, a column an arm."""
    flat = [_flat(tree) for tree in trees]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows = [[key, *(one.get(key, UNKNOWN) for one in flat)] for key in keys]
    return table("As the samplers’ plug-ins report them.", ["Figure", *(arm.name for arm in report.arms)], rows)


def _flat(tree: JSON | Mapping[str, JSON], key: str = "") -> dict[str, str]:
    """Return the leaves of nested mappings by their dotted keys, as text."""
    if not isinstance(tree, Mapping):
        return {key: _leaf(tree)}
    leaves: dict[str, str] = {}
    for name, value in tree.items():
        leaves |= _flat(value, f"{key}.{name}" if key else name)
    return leaves


def _leaf(value: JSON) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return decimal(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
