"""DeepConf online: when it draws whole candidates, what floor the others get, and when it stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tts.errors import CallError
from tts.samplers.deepconf import DeepConf
from tts.testing import converse
from tts.types import Candidate, Completion, ConfidenceFloor, Decoding, Problem, Request

PROBLEM = Problem("p", "What is 3 + 7?", "math")
WARM_UP = (3.1, 5.2, 4.0, 2.2, 6.6, 4.8, 5.9, 3.7, 4.4, 5.0, 2.9, 6.1, 4.1, 3.3, 5.5, 4.6)
REST = (7.0, 5.9, 6.0, 2.0, 6.5, 6.2, 3.5, 8.0)


def drawn(
    sampler: DeepConf, answers: Callable[[int], str] = str, least: Callable[[int], float | None] | None = None
) -> tuple[tuple[Candidate, ...], dict[int, Decoding]]:
    """The candidates, and how each was asked for: an engine that holds the floor."""
    asked: dict[int, Decoding] = {}
    confidences = least or (lambda index: (*WARM_UP, *REST)[index])

    def reply(request: Request) -> Completion:
        index, floor = int(request.key), request.decoding.floor
        asked[index] = request.decoding
        value = confidences(index)
        stats = {} if value is None else {"least_confidence": value}
        assert floor is not None
        fell = value is not None and value < floor.threshold
        text, finish = ("so", "abandoned") if fell else (answers(index), "stop")
        return Completion("p", request.key, text, finish, 3, 5, engine_stats=stats)

    return converse(sampler, PROBLEM, reply, orders=6), asked


@pytest.mark.parametrize(("keep", "floor"), [(0.1, 6.0), (0.9, 3.0)])
def test_sixteen_are_drawn_whole_and_the_others_down_to_their_quantile(keep: float, floor: float) -> None:
    keys = {"confidence_window": 7, "confidence_top_k": 3, "temperature": 0.6, "top_p": 0.95}
    candidates, asked = drawn(DeepConf(num_candidates=24, keep=keep, window=8, **keys))
    assert len(candidates) == 24  # no two agree
    assert {asked[index].floor for index in range(16)} == {ConfidenceFloor(7, 3, 0.0)}
    [later] = {asked[index].floor for index in range(16, 24)}
    assert later is not None
    assert (later.window, later.top_k, later.threshold) == (7, 3, pytest.approx(floor))
    assert {(one.temperature, one.top_p) for one in asked.values()} == {(0.6, 0.95)}
    ends = ["abandoned" if value < floor else "stop" for value in REST]
    assert [one.finish_reason for one in candidates] == ["stop"] * 16 + ends


def test_it_stops_behind_the_first_ones_where_these_agree() -> None:
    candidates, asked = drawn(DeepConf(num_candidates=24), lambda _: "10")
    assert len(candidates) == len(asked) == 16


def test_it_stops_as_soon_as_one_answer_has_the_weight() -> None:
    candidates, _ = drawn(
        DeepConf(num_candidates=400, warmup=4, keep=1.0), lambda index: "9" if index == 2 else "10", lambda _: 2.0
    )
    assert len(candidates) == 20  # 19 of 20 are 0.95


def test_abandoned_ones_weigh_nothing_and_a_weight_is_the_least_confidence() -> None:
    least = [5.0, 5.0, 0.5, *[1.0] * 5]
    sampler = DeepConf(num_candidates=8, warmup=3, keep=0.5, consensus=0.95)
    one_against, _ = drawn(sampler, lambda index: "9" if index == 2 else "10", lambda index: least[index])
    assert len(one_against) == 3  # 10 of 10.5
    heavier = [5.0, 5.0, 1.0, *[1.0] * 5]
    abandoned, _ = drawn(sampler, lambda index: "9" if index == 2 else "10", lambda index: heavier[index])
    assert [one.finish_reason for one in abandoned] == ["stop"] * 3 + ["abandoned"] * 5


def test_a_candidate_that_was_cut_or_failed_does_not_vote() -> None:
    def reply(request: Request) -> Completion:
        index = int(request.key)
        stats = {"least_confidence": 2.0}
        finish = ("stop", "length", "error")[index % 3]
        error = "overloaded" if finish == "error" else None
        return Completion("p", request.key, f"{index % 3}", finish, 3, 5, engine_stats=stats, error=error)  # type: ignore[arg-type]

    found = converse(DeepConf(num_candidates=9, warmup=6), PROBLEM, reply, orders=4)
    assert len(found) == 6
    assert [one.finish_reason for one in found] == ["stop", "length", "error"] * 2


def test_without_any_confidence_there_is_no_floor_and_the_search_says_so() -> None:
    with pytest.raises(CallError, match="none of the first candidates tells its confidence"):
        drawn(DeepConf(num_candidates=24), least=lambda _: None)


def test_fewer_candidates_than_the_first_ones_are_all_whole() -> None:
    candidates, asked = drawn(DeepConf(num_candidates=5))
    assert len(candidates) == 5
    assert {one.floor for one in asked.values()} == {ConfidenceFloor(2048, 20, 0.0)}


def test_it_needs_an_engine_that_holds_a_floor() -> None:
    assert DeepConf().requires == {"floor"}
    assert DeepConf(top_p=0.95).requires == {"floor", "top_p"}
