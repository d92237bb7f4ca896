"""Ratios of tokens per second, from turns that two recipes took."""

import pytest

from tts.report.data import Speed
from tts.report.headline import speed
from tts.report.speed import speeds
from tts.runs.records import Session


def turns(*rates: float) -> list[Session]:
    """One session of two seconds a turn, at these rates."""
    return [session(4, round(2 * rate), 2.0, number) for number, rate in enumerate(rates)]


def session(num_candidates: int, num_tokens: int, seconds: float, turn: int | None) -> Session:
    return Session(0.0, seconds, True, num_candidates, num_tokens, seconds, turn=turn)


def test_a_ratio_is_the_geometric_mean_over_turns_with_its_extremes() -> None:
    (found,) = speeds({"plain": turns(100, 50), "esamp": turns(50, 100)})
    assert found == Speed("esamp", "plain", pytest.approx(1.0), 0.5, 2.0, 2)
    assert speed(found) == "esamp drew 1.00 times the tokens per second of plain, in 2 turns (0.50 to 2.00)."


def test_every_two_recipes_have_a_ratio() -> None:
    found = speeds({"a": turns(100), "b": turns(80), "c": turns(40)})
    assert {(one.first, one.second): one.ratio for one in found} == {
        ("b", "a"): pytest.approx(0.8),
        ("c", "a"): pytest.approx(0.4),
        ("c", "b"): pytest.approx(0.5),
    }
    assert speed(found[0]) == "b drew 0.80 times the tokens per second of a, in one turn."


def test_interrupted_turns_and_sessions_without_turns_do_not_count() -> None:
    interrupted = [*turns(100, 100), session(1, 10, 1.0, 1)]
    (found,) = speeds({"a": interrupted, "b": turns(50, 200)})
    assert (found.ratio, found.num_turns) == (pytest.approx(0.5), 1)
    assert speeds({"a": [session(4, 100, 1.0, None)], "b": [session(4, 100, 1.0, None)]}) == ()
    assert speeds({"a": [session(4, 0, 0.0, 0)], "b": turns(10)}) == ()
