"""Figures: what is drawn, for whom, and that the files are what they say."""

import re
import struct
import sys
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_parts import line, report, with_undecided

from tts.errors import MissingExtraError
from tts.metrics.coverage_law import Extrapolated
from tts.report.chart import COLOURS, Mark, Series, grid, round_range
from tts.report.data import Report
from tts.report.figures import charts, draw, write_figures
from tts.report.png import renderer

MARKS = tuple(Mark(k, 0.2, 0.2, None, "", "") for k in (1, 2))
SVG = "{http://www.w3.org/2000/svg}"


def drawn(made: Report) -> dict[str, ElementTree.Element]:
    return {chart.name: ElementTree.fromstring(draw(chart)) for chart in charts(made)}


def tips(picture: ElementTree.Element) -> list[str]:
    return [title.text or "" for title in picture.findall(f"{SVG}g/{SVG}title")]


def test_two_arms_are_compared_and_each_is_shown_alone() -> None:
    names = [chart.name for chart in charts(report())]
    compared = ["maj-at-k", "pass-at-k", "difference-maj-at-k", "difference-pass-at-k"]
    assert names == [*compared, "arm-1", "arm-2", "gap", "tokens", "distinct-answers"]


def test_one_arm_is_not_compared_with_itself() -> None:
    assert [chart.name for chart in charts(report(arms=("only",)))] == [*("arm-1", "gap", "tokens", "distinct-answers")]


def test_each_mark_says_its_value_and_interval() -> None:
    told = tips(drawn(report(arms=("a", "b")))["maj-at-k"])
    assert told[0].replace("\u00a0", " ") == "a, k = 1: 30.0 % (95 %: 14.0 – 45.0)"
    assert len(told) == 2 * 4


def test_doublings_of_k_are_equally_far_apart() -> None:
    picture = drawn(report())["maj-at-k"]
    middles = [float(circle.get("cx", "")) for circle in picture.findall(f"{SVG}g/{SVG}circle")]
    steps = [after - before for before, after in pairwise(middles)]
    assert max(steps) - min(steps) < 0.2


def test_every_figure_of_shares_has_the_same_vertical_axis() -> None:
    ranges = {chart.y_range for chart in charts(report()) if chart.y_title == "share of problems"}
    assert len(ranges) == 1


def test_what_is_undecided_is_drawn_as_a_range() -> None:
    told = tips(drawn(with_undecided(report()))["maj-at-k"])
    assert told[0].startswith("vanilla, k = 1: 30.0\u00a0–\u00a050.0\u00a0%")


def test_arms_differ_in_marker_and_dashes_and_not_in_colour_alone() -> None:
    text = draw(charts(report())[0])
    assert "<circle" in text
    assert "<rect" in text
    assert "stroke-dasharray" in text


def test_no_colour_is_used_twice_and_chance_alone_is_grey() -> None:
    made = report(arms=("only",))
    arm = made.arms[0]
    more = tuple(line(f"best_of_n({number})", made.ks, 0.4, 0.01 * number) for number in range(4))
    chart = charts(replace(made, arms=(replace(arm, lines=(*arm.lines, *more)),)))[0]
    assert chart.series[0].name == "maj@k"
    strokes = [stroke(series) for series in chart.series]
    assert len(set(strokes)) == len(chart.series) == 9
    assert [series.name for series in chart.series if stroke(series) == COLOURS[-1]] == ["first = random"]


@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 251), min_size=2, max_size=40))
def test_no_two_looks_are_the_same(looks: set[int]) -> None:
    drawn = [draw(replace(charts(report())[0], series=(Series("x", MARKS, look),))) for look in sorted(looks)]
    assert len(set(drawn)) == len(looks)


def test_the_page_has_every_colour_in_both_themes() -> None:
    style = (files("tts.report.page") / "page.css").read_text()
    themes = dict(re.findall(r"--c(\d+): light-dark\((#\w+), #\w+\)", style))
    assert tuple(themes[str(place)] for place in range(len(COLOURS))) == COLOURS
    dark = re.findall(r"--c\d+: light-dark\(#\w+, (#\w+)\)", style)
    assert len(set(dark)) == len(COLOURS)
    for place in range(len(COLOURS)):
        assert f".fill-{place} {{ fill: var(--c{place}); }}" in style
        assert f".stroke-{place} {{ stroke: var(--c{place}); }}" in style


def stroke(series: Series) -> str:
    picture = ElementTree.fromstring(draw(replace(charts(report())[0], series=(series,))))
    return next(path.get("stroke", "") for path in picture.findall(f"{SVG}path") if path.get("stroke-width") == "2")


def test_one_value_of_k_stands_side_by_side() -> None:
    picture = drawn(report(num_candidates=1))["maj-at-k"]
    circle, square = picture.find(f"{SVG}g/{SVG}circle"), picture.find(f"{SVG}g/{SVG}rect")
    assert circle is not None
    assert square is not None
    assert abs(float(circle.get("cx", "")) - float(square.get("x", ""))) > 10


def test_what_is_not_known_is_not_drawn() -> None:
    made = report()
    line = made.arms[0].lines[0]
    hollow = replace(
        line, points=tuple(replace(point, lower=float("nan"), upper=float("nan")) for point in line.points)
    )
    arms = tuple(
        replace(arm, lines=(hollow,), gains=(), quality=replace(arm.quality, distinct_answers=())) for arm in made.arms
    )
    assert charts(replace(made, arms=arms, contrasts=())) == []


def test_a_report_without_arms_or_verdicts_has_no_curves() -> None:
    made = report()
    assert charts(replace(made, arms=(), ks=(), contrasts=())) == []
    arms = tuple(replace(arm, lines=(), gains=()) for arm in made.arms)
    ungraded = replace(made, headline="vendi", arms=arms, contrasts=())
    assert [chart.name for chart in charts(ungraded)] == ["distinct-answers"]


def test_hostile_names_stay_text() -> None:
    name = "</svg><script>alert(1)</script>\0\u202e\ud800 & \"'"
    pictures = drawn(report(arms=(name, "b")))
    for picture in pictures.values():
        assert not picture.findall(f".//{SVG}script")
    assert any("⟨U+0000⟩⟨U+202E⟩⟨U+D800⟩" in "".join(picture.itertext()) for picture in pictures.values())


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.3, 0.4, [0.3, 0.32, 0.34, 0.36, 0.38, 0.4]),
        (0, 5, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_the_axis_names_round_values(low: float, high: float, values: list[float]) -> None:
    assert grid(low, high) == pytest.approx(values)


@pytest.mark.parametrize("values", [[0.5], [0.0], [1.0], [0.999, 1.0], [0.1, 0.9]])
def test_an_axis_is_never_empty_and_holds_its_values(values: list[float]) -> None:
    low, high = round_range(values, most=1.0)
    assert low <= min(values) <= max(values) <= high <= 1.0
    assert low < high
    assert len(grid(low, high)) > 1


@pytest.mark.usefixtures("png")
def test_files_are_svg_and_png(tmp_path: Path) -> None:
    written = write_figures(report(), tmp_path / "figures", renderer())
    assert len(written) == 18
    for path in written:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag == f"{SVG}svg"
        else:
            header = path.read_bytes()[:24]
            assert header.startswith(b"\x89PNG")
            assert struct.unpack(">I", header[16:20]) == (1560,)


def test_without_the_library_the_figures_are_svg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[plot\]'"):
        renderer()
    written = write_figures(report(), tmp_path / "figures", None)
    assert len(written) == 9
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".svg"}


def test_coverage_that_was_not_drawn_is_dashed_and_says_so() -> None:
    made = report(arms=("only",))
    further = (Extrapolated(16, 0.7, 0.72, 0.6, 0.8, 0.66, 0.75), Extrapolated(32, 0.74, 0.78, 0.62, 0.85, 0.66, 0.83))
    picture = drawn(replace(made, arms=(replace(made.arms[0], beyond=further),)))["beyond"]
    told = [tip.replace("\u00a0", " ") for tip in tips(picture)]
    assert told[-1] == (
        "only, extrapolated, k = 32, extrapolated; without a law 66.0 – 83.0: 74.0 – 78.0 % (95 %: 62.0 – 85.0)"
    )
    assert any(line.get("stroke-dasharray") == "3 4" for line in picture.iter(f"{SVG}path"))
    assert "beyond" not in drawn(made)


def test_differences_stand_around_a_line_at_nothing_with_both_intervals() -> None:
    picture = drawn(report())["difference-maj-at-k"]
    assert tips(picture)[0].replace("\u00a0", " ") == (
        "min_p − vanilla, k = 1: +5.0 points (95 %: −1.1 to +11.2; of all looks −3.1 to +13.2)"
    )
    labels = [text.text for text in picture.findall(f"{SVG}text")]
    assert {"0", "−5", "+5"} <= set(labels)
    assert len(picture.findall(f"{SVG}g/{SVG}path[@stroke-width='1.2']")) == 4


def test_of_many_differences_those_from_the_first_recipe_are_drawn_without_bands() -> None:
    made = report(arms=("a", "b"))
    names = [f"arm {number}" for number in range(4)]
    many = tuple(replace(one, first=name) for name in names for one in made.contrasts)
    more = (*many, replace(many[0], second="arm 3"))
    chart = next(one for one in charts(replace(made, contrasts=more)) if one.name == "difference-maj-at-k")
    assert [one.name for one in chart.series] == [f"{name} − a" for name in names]
    assert all(mark.band is None for one in chart.series for mark in one.marks)


def test_the_gap_is_what_a_perfect_choice_would_still_gain() -> None:
    told = [tip.replace("\u00a0", " ") for tip in tips(drawn(report(arms=("only",)))["gap"])]
    assert told[0] == "only, k = 2: 18.0 % (95 %: 7.0 – 34.0)"


def test_every_choice_stands_against_tokens_with_what_nothing_dominates() -> None:
    chart = next(one for one in charts(report(arms=("only",))) if one.name == "tokens")
    lines = {series.name: [mark.lower for mark in series.marks] for series in chart.series}
    assert list(lines) == ["maj@k", "best_of_n(likelihood)", "frontier"]
    assert lines["frontier"] == lines["maj@k"]  # it is never below the other
    assert "flops" not in [one.name for one in charts(report())]


def test_of_too_many_choices_the_headline_alone_stands_against_tokens() -> None:
    chart = next(one for one in charts(report(arms=tuple("abcde"))) if one.name == "tokens")
    assert [series.name for series in chart.series] == [*(f"{name}, maj@k" for name in "abcde"), "frontier"]
