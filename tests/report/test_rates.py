"""Problems by their share of right candidates, and recipe against recipe: counted by hand, drawn, and in the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from report_parts import report
from stored_parts import boxed, draw, write_problems
from test_counts import pool_of

from tts.report.analyse import report_of
from tts.report.bars import draw_bars, draw_dots
from tts.report.counts import BINS, Against, Rates
from tts.report.page import page
from tts.report.rates import against, bars, dots, rates_of

SVG = "{http://www.w3.org/2000/svg}"


def test_none_and_all_stand_alone_and_the_edges_belong_below() -> None:
    # 0 of 5; 1 of 5 is a fifth exactly; 2 of 4 and 3 of 5 share a bin; 5 of 6 is less than all; one has no candidates.
    found = rates_of(pool_of("fffff", "pffff", "ppff", "pppff", "pppppf", "pp", ""))
    assert dict(zip(BINS, found.numbers, strict=True)) == {
        "0": 1, "to 20 %": 1, "to 40 %": 0, "to 60 %": 2, "to 80 %": 0, "< 100 %": 1, "100 %": 1
    }  # fmt: skip
    assert found.numbers == found.upper_numbers


def test_undecided_candidates_are_wrong_and_right() -> None:
    found = rates_of(pool_of("pu", "uu"))
    assert (found.numbers[0], found.numbers[3]) == (1, 1)
    assert found.upper_numbers[-1] == 2


def test_recipes_are_held_against_the_first_or_the_baseline_on_shared_problems() -> None:
    shares = {"a": {"x": 0.5, "y": 0.0, "z": 1.0}, "b": {"x": 1.0, "y": 1.0, "w": 0.0}, "c": {"v": 1.0}}
    assert against(shares, None) == (Against("a", "b", ((0.0, 1.0, 1), (0.5, 1.0, 1))),)
    assert [(one.first, one.second) for one in against(shares, "b")] == [("b", "a")]
    assert against({}, None) == ()


def test_stored_runs_have_rates_and_the_page_shows_them(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", {"a": "1", "b": "2"})
    first = draw(tmp_path / "first", problems, {"a": boxed("1", "3"), "b": boxed("3", "3")})
    second = draw(tmp_path / "second", problems, {"a": boxed("1", "1"), "b": boxed("2", "4")})
    found = report_of([first, second], embeddings="none")
    assert [arm.rates and arm.rates.numbers for arm in found.arms] == [(1, 0, 0, 1, 0, 0, 0), (0, 0, 0, 1, 0, 0, 1)]
    [pair] = found.against
    assert pair.points == ((0.0, 0.5, 1), (0.5, 1.0, 1))
    assert "has more right candidates on 2 problems, fewer on 0, as many on 0" in page(found)


@pytest.mark.parametrize("arms", [("only",), ("one", "two & <three>")])
def test_every_bar_and_dot_says_its_number(arms: tuple[str, ...]) -> None:
    made = report(arms=arms)
    rates = Rates((3, 0, 1, 0, 0, 0, 2), (3, 0, 1, 0, 0, 0, 2))
    made = replace(
        made,
        arms=tuple(replace(arm, rates=rates) for arm in made.arms),
        against=(Against(arms[0], arms[-1], ((0.0, 0.0, 5), (0.25, 1.0, 1))),),
    )
    histogram = bars(made)
    assert histogram is not None
    picture = ElementTree.fromstring(draw_bars(histogram))
    told = [title.text for title in picture.findall(f"{SVG}g/{SVG}title")]
    assert len(told) == len(arms) * len(BINS)
    assert told[0] == f"{arms[0]}, 0: 3 problems"
    [pair] = dots(made)
    scatter = ElementTree.fromstring(draw_dots(pair))
    assert "0 %" in (scatter.findtext(f"{SVG}g/{SVG}title") or "")
    assert len(scatter.findall(f"{SVG}g/{SVG}circle")) == 2
