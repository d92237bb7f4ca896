"""What the samplers without interaction share: their keys, their limits, their requests."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from tts.samplers.fire import Fire
from tts.samplers.greedy import Greedy
from tts.samplers.independent import IndependentSampler
from tts.samplers.min_p import MinP
from tts.samplers.temperature import Temperature
from tts.samplers.top_n_sigma import TopNSigma
from tts.types import Decoding, FirstToken, Message, Order, Problem

SAMPLERS: list[type[IndependentSampler]] = [Greedy, Temperature, MinP, TopNSigma, Fire]
ORDERS = [
    Order(Problem("p", "1+1?", "math"), (Message("user", "1+1?"),), (0, 1, 2), (7, 8, 9)),
    Order(Problem("q", "2+2?", "math"), (Message("user", "2+2?"),), (3, 1), (5, 6)),
    Order(Problem("r", "3+3?", "math"), (Message("user", "3+3?"),), (), ()),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.problem.id)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_index_ordered_gets_one_request_with_its_own_seed(sampler: type[IndependentSampler], order: Order) -> None:
    requests = list(sampler().requests(order))
    assert tuple(int(request.key) for request in requests) == order.indices
    assert tuple(request.seed for request in requests) == order.seeds
    assert {request.problem_id for request in requests} <= {order.problem.id}
    assert {request.messages for request in requests} <= {order.messages}


@pytest.mark.parametrize(
    ("sampler", "label"),
    [*zip(SAMPLERS, ["greedy", "temperature", "min_p", "top_n_sigma", "fire"], strict=True)],
)
def test_the_credit_goes_to_the_samplers_recipe_name(sampler: type[IndependentSampler], label: str) -> None:
    assert {request.sampler for request in sampler().requests(ORDERS[0])} == {label}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_all_filters_compose_in_every_sampler(sampler: type[IndependentSampler]) -> None:
    filters = {"top_p": 0.9, "top_k": 40, "min_p": 0.05, "top_n_sigma": 1.5, "first_token_temperature": 9.0}
    decoding = sampler(max_tokens=9, stop=("\n\n", "END"), **filters).decoding()
    assert (decoding.max_tokens, decoding.stop) == (9, ("\n\n", "END"))
    assert (decoding.top_p, decoding.top_k, decoding.min_p, decoding.top_n_sigma) == (0.9, 40, 0.05, 1.5)
    assert decoding.first_token == FirstToken(9.0, 16)


def test_the_temperature_reaches_the_engine() -> None:
    assert Temperature(temperature=1.3).decoding().temperature == 1.3
    assert Greedy().decoding() == Decoding(max_tokens=1024, temperature=0.0)
    assert MinP().decoding() == Decoding(max_tokens=1024, temperature=1.0, min_p=0.1)
    assert TopNSigma().decoding() == Decoding(max_tokens=1024, temperature=1.0, top_n_sigma=1.0)
    assert Fire().decoding() == Decoding(max_tokens=1024, temperature=0.7, first_token=FirstToken(30.0, 16))


def test_only_a_filter_that_is_on_asks_the_engine_for_filters() -> None:
    assert Temperature().requires == frozenset()
    assert Temperature(top_k=5).requires == {"top_k"}
    assert Temperature(top_p=0.99).requires == {"top_p"}
    assert Temperature(min_p=0.01).requires == {"min_p"}
    assert Temperature(top_n_sigma=2).requires == {"top_n_sigma"}
    assert MinP().requires == {"min_p"}
    assert TopNSigma().requires == {"top_n_sigma"}


def test_only_a_first_token_of_its_own_asks_the_engine_for_it() -> None:
    assert Fire().requires == {"first_token"}
    assert Fire(min_p=0.05).requires == {"min_p", "first_token"}
    assert Temperature(first_token_temperature=2.0, first_token_top_k=5).requires == {"first_token"}
    assert Temperature(first_token_top_k=5).decoding().first_token is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_candidates", 0),
        ("num_candidates", -1),
        ("num_candidates", True),
        ("num_candidates", "8"),
        ("num_candidates", 2.0),
        ("max_tokens", 0),
        ("stop", ["a", ""]),
        ("stop", "END"),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_p", math.nan),
        ("top_k", -1),
        ("min_p", -0.1),
        ("min_p", 1.0),
        ("min_p", math.nan),
        ("top_n_sigma", -0.5),
        ("top_n_sigma", math.inf),
        ("first_token_temperature", 0.0),
        ("first_token_temperature", math.nan),
        ("first_token_top_k", 0),
        ("temperature", -1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "hot"),
        ("temprature", 1.0),
    ],
)
@pytest.mark.parametrize("sampler", [Temperature, MinP, TopNSigma, Fire])
def test_a_value_out_of_range_is_refused(sampler: type[IndependentSampler], key: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=key):
        sampler(**{key: value})


@pytest.mark.parametrize("sampler", [Temperature, MinP, TopNSigma])
def test_several_copies_of_one_text_are_refused(sampler: type[Temperature]) -> None:
    with pytest.raises(ValidationError, match="must be above 0 to draw 4 candidates"):
        sampler(temperature=0, num_candidates=4)
    assert sampler(temperature=0, num_candidates=1).decoding().temperature == 0


def test_a_greedy_rest_after_a_random_first_token_writes_several_texts() -> None:
    for sampler in (
        Fire(temperature=0, num_candidates=4),
        Temperature(temperature=0, first_token_temperature=2.0, num_candidates=4),
    ):
        assert not sampler.repeats
        assert {r.decoding.temperature for r in sampler.requests(ORDERS[0])} == {0.0}
        assert {r.decoding.first_token is not None for r in sampler.requests(ORDERS[0])} == {True}


def test_fire_without_its_fire_is_refused() -> None:
    with pytest.raises(ValidationError, match="first_token_temperature"):
        Fire(first_token_temperature=None)


def test_greedy_draws_one_candidate() -> None:
    assert Greedy().num_candidates == 1
    with pytest.raises(ValidationError, match=r"num_candidates\n.*must be 1"):
        Greedy(num_candidates=2)


@pytest.mark.parametrize(("sampler", "key"), [(MinP, "min_p"), (TopNSigma, "top_n_sigma")])
def test_a_filters_sampler_without_its_filter_is_refused(sampler: type[IndependentSampler], key: str) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        sampler(**{key: 0})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_recipe_key_is_described(sampler: type[IndependentSampler]) -> None:
    assert all(field.description for field in sampler.model_fields.values())
