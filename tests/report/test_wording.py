"""Numbers as people read them, and sentences made of them."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
from report_parts import report, with_undecided

from tts.errors import plural
from tts.report.csv_files import write_csv
from tts.report.headline import headline
from tts.report.wording import (
    UNKNOWN,
    at_k,
    count,
    decimal,
    interval,
    p_value,
    percent,
    percent_range,
    points_range,
    seconds,
    shortened,
    visible,
)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (percent(0.5671), "56.7 %"),
        (percent(-0.0001, sign=True), "0.0 %"),
        (percent_range(0.5, 0.5), "50.0 %"),
        (percent_range(0.5, 0.5671), "50.0 – 56.7 %"),
        (percent_range(-0.031, 0.1, sign=True), "−3.1 to +10.0 %"),
        (percent(0.4625), "46.3 %"),
        (percent(0.46249999999999997), "46.3 %"),
        (percent(-0.0325, sign=True), "−3.3 %"),
        (points_range(0.05, 0.05), "+5.0"),
        (points_range(-0.031, 0.1), "−3.1 to +10.0"),
        (interval(0.401, 0.72), "40.1 – 72.0"),
        (count(1234567), "1\u202f234\u202f567"),
        (decimal(0.012345), "0.0123"),
        (decimal(-3.0), "−3"),
        (p_value(0.0004), "< 0.001"),
        (p_value(0.049), "0.049"),
        (p_value(0.0625), "0.063"),
        (p_value(1.0), "1.00"),
        (seconds(4.25), "4.2 s"),
        (seconds(200), "3 min 20 s"),
        (seconds(7500), "2 h 5 min"),
        (plural(1, "arm"), "1 arm"),
        (plural(0, "arm"), "0 arms"),
        (plural(1, "arm", of=2), "1 of 2 arms"),
        (plural(1, "arm", of=1), "1 of 1 arm"),
        (at_k("maj@k", 8), "maj@8"),
        (at_k("pass^k", 8), "pass^8"),
        (at_k("selected", 8), "selected@8"),
        (at_k("best_of_n(likelihood)", 8), "best_of_n(likelihood) of 8"),
        (shortened("a  b\nc", 10), "a b c"),
        (shortened("abcdef", 4), "abc…"),
        (visible("a\u202eb\0\ud800\n中"), "a⟨U+202E⟩b⟨U+0000⟩⟨U+D800⟩\n中"),
    ],
)
def test_numbers_and_names_read_well(told: str, expected: str) -> None:
    assert told.replace("\u00a0", " ") == expected


@pytest.mark.parametrize("tell", [percent, count, decimal, p_value, seconds])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_known_is_a_dash(tell: object, value: float | None) -> None:
    assert callable(tell)
    assert tell(value) == UNKNOWN


def test_one_arm_stands_between_chance_and_oracle() -> None:
    (sentence,) = headline(report(arms=("only",)))
    assert "only reaches maj@8 of 45.0 %" in sentence.replace("\u00a0", " ")
    assert "perfect choice among 8" in sentence


def test_two_arms_lead_with_their_difference_and_what_it_is_worth() -> None:
    first, second = headline(report())
    assert first.startswith("min_p minus vanilla in maj@8: +5.0 points")
    assert "not told apart from chance" in first
    assert "vanilla 45.0" in second
    made = report()
    clear = replace(made, contrasts=tuple(replace(one, adjusted_p_value=0.01) for one in made.contrasts))
    assert ", told apart; with 30 problems" in headline(clear)[0]


def test_undecided_verdicts_make_the_headline_a_range() -> None:
    assert "45.0 – 65.0 %" in headline(with_undecided(report(arms=("only",))))[0].replace("\u00a0", " ")


def test_texts_that_nothing_verifies_lead_with_their_diversity() -> None:
    made = report()
    arms = tuple(replace(arm, lines=()) for arm in made.arms)
    told = headline(replace(made, headline="vendi", arms=arms, contrasts=()))
    assert [sentence.split(" are worth ")[1][:3] for sentence in told] == ["5.2", "5.2"]
    silent = replace(made, arms=tuple(replace(arm, spread=None) for arm in arms), contrasts=())
    assert "no figure to put first" in headline(silent)[0]


def test_csv_files_hold_every_record_and_no_text(tmp_path: Path) -> None:
    made = report()
    rows = {path.stem: list(csv.DictReader(path.read_text().splitlines())) for path in write_csv(made, tmp_path)}
    assert {name: len(found) for name, found in rows.items()} == {
        "curves": 2 * 6 * 4,
        "gains": 2 * 3,
        "reliability": 0,
        "beyond": 0,
        "groups": 0,
        "comparisons": 8,
        "speeds": 1,
        "arms": 2,
        "problems": 12,
        "candidates": 96,
    }
    first = made.problems[0].arms[0].candidates[0]
    assert rows["candidates"][0]["answer"] == (first.answer or "")
    assert "text" not in rows["candidates"][0]
    assert rows["arms"][0]["perplexity"] == ""


def test_of_several_recipes_the_headline_says_which_are_told_apart() -> None:
    made = report(arms=("one", "two", "three"))
    (look,) = [one for one in made.headline_contrasts if one.pair == "two − one"]
    looks = [
        replace(look, first=first, second=second, lower=gain, upper=gain, adjusted_p_value=p)
        for first, second, gain, p in (
            ("two", "one", 0.2, 0.01),
            ("three", "one", 0.3, 0.01),
            ("three", "two", 0.1, 0.4),
        )
    ]
    told = headline(replace(made, contrasts=tuple(looks)))[0].replace("\xa0", " ")
    assert told.startswith(
        "In maj@8 on 30 problems 2 of 3 pairs of recipes are told apart: three minus one +30.0 points (95 % interval"
    )
    assert told.endswith("; not told apart from chance: three and two.")
    none = headline(replace(made, contrasts=tuple(looks[2:] * 36)))[0]
    assert none == "In maj@8 on 30 problems none of 36 pairs of recipes is told apart from chance."
    shared = [replace(one, num_problems=size) for one, size in zip(looks, (4, 9, 6), strict=True)]
    assert "on 4 to 9 problems in common 2 of 3" in headline(replace(made, contrasts=tuple(shared)))[0]
    many = headline(replace(made, contrasts=tuple(looks[:1] * 36)))[0]
    assert many.count("two minus one") == 3
    assert many.endswith(", 33 more.")


def test_where_there_is_no_p_value_it_is_said_why() -> None:
    made = report()
    found = replace(made, contrasts=tuple(replace(one, adjusted_p_value=None) for one in made.contrasts))
    assert "; no p-value: fewer than 6 clusters), not told apart from chance;" in headline(found)[0]
