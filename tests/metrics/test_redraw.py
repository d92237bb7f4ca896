"""The error over draws, against leaving out each candidate one by one, and against candidates drawn anew."""

import math

import numpy as np
import pytest
from pool_parts import labelled

from tts.metrics.curves import curves
from tts.metrics.pool import pool
from tts.metrics.redraw import FIGURES, redraw_errors

MARKS = ("+--++---", "++++++++", "--------", "+++++++--", "-+------++")


def value(marks: str, name: str, k: int) -> float:
    return next(float(one.lower[0, 0]) for one in curves(pool([labelled("p", marks)]), [k]) if one.name == name)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("k", [1, 2])
def test_it_equals_leaving_every_candidate_out(name: str, k: int) -> None:
    squares = 0.0
    for marks in MARKS:
        left = [value(marks[:place] + marks[place + 1 :], name, k) for place in range(len(marks))]
        squares += (len(marks) - 1) / len(marks) * sum((one - np.mean(left)) ** 2 for one in left)
    cases = pool(labelled(f"p{place}", marks) for place, marks in enumerate(MARKS))
    assert redraw_errors(name, cases, [k]) == [pytest.approx(math.sqrt(squares) / len(MARKS))]


def test_pass_at_1_has_the_binomial_error() -> None:
    # Shares 1/4 and 1/2 of four: √(3/16 / 3 + 1/4 / 3) / 2.
    cases = pool([labelled("a", "+---"), labelled("b", "++--")])
    assert redraw_errors("pass@k", cases, [1]) == [pytest.approx(math.sqrt(3 / 48 + 1 / 12) / 2)]


def test_beyond_a_quarter_of_the_candidates_it_is_not_told() -> None:
    cases = pool([labelled("a", "+---+---"), labelled("b", "++--++---")])
    assert [one is None for one in redraw_errors("pass@k", cases, [1, 2, 3])] == [False, False, True]
    assert redraw_errors("maj@k", cases, [1]) == [None]
    assert redraw_errors("pass@k", pool([]), [1]) == [None]


def test_it_is_the_spread_of_figures_drawn_anew() -> None:
    # 300 runs of the same 30 problems: the standard deviation of a figure is uncertain by 4 %, the mean error by less.
    rng = np.random.default_rng(3)
    skill = rng.beta(1.0, 1.5, 30)
    found, errors = [], []
    for _ in range(300):
        marks = ["".join("+" if hit else "-" for hit in rng.random(16) < rate) for rate in skill]
        cases = pool(labelled(f"p{place}", mark) for place, mark in enumerate(marks))
        found.append(cases.passed.mean(axis=1).mean())
        errors.append(redraw_errors("pass@k", cases, [1])[0])
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(found), rel=0.2)
