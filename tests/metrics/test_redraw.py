"""The error over draws, against leaving out each candidate one by one, and against candidates drawn anew."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from pool_parts import labelled

from tts.metrics.curves import curves
from tts.metrics.majority import majority_odds
from tts.metrics.pool import PoolRow, pool
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
    assert redraw_errors("best_of_n", cases, [1]) == [None]
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


def test_of_votes_it_equals_leaving_every_candidate_out_linked_answers_and_problems_of_other_sizes_too() -> None:
    chance = random.Random(5)

    def row(place: int) -> PoolRow:
        size, links = chance.choice((8, 9, 12)), frozenset({(0, 1), (1, 2)}) if chance.random() < 0.3 else frozenset()
        classes = [chance.choice((None, 0, 0, 1, 1, 2, 3)) for _ in range(size)]
        right = {node for node in range(4) if chance.random() < 0.4}
        statuses = ["passed" if node in right else "failed" for node in classes]
        return PoolRow(f"p{place}", statuses, classes, [1] * size, [1] * size, links=links)

    def without(one: PoolRow, place: int) -> PoolRow:
        statuses, classes = list(one.statuses), list(one.classes)
        del statuses[place], classes[place]
        return replace(
            one, statuses=statuses, classes=classes, num_tokens=[1] * len(classes), num_prompt_tokens=[1] * len(classes)
        )

    rows = [row(place) for place in range(40)]
    for k in (1, 2):
        squares = 0.0
        for one in rows:
            pools = [pool([without(one, place)]) for place in range(len(one.statuses))]
            left = [float(majority_odds(cases, k).accuracy(cases)[0][0]) for cases in pools]
            squares += (len(left) - 1) / len(left) * sum((value - np.mean(left)) ** 2 for value in left)
        [found] = redraw_errors("maj@k", pool(rows), [k])
        assert found == pytest.approx(math.sqrt(squares) / len(rows))
