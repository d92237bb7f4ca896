"""ESamp as a recipe's sampler: what it tells the engine once, and what with each request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from tts.plugins.esamp.settings import ESampSettings
from tts.protocols import GuidingSampler
from tts.samplers.esamp import ESamp
from tts.samplers.temperature import Temperature
from tts.types import FirstToken, Guidance, Message, Order, Problem

ORDERS = [
    Order(Problem("p", "1+1?", "math"), (Message("user", "1+1?"),), (0, 1, 2), (7, 8, 9)),
    Order(Problem("q", "2+2?", "math"), (Message("user", "2+2?"),), (0,), (5,)),
]


def test_the_requests_are_temperatures_with_guidance() -> None:
    keys: dict[str, Any] = {"temperature": 0.9, "max_tokens": 50, "min_p": 0.05, "stop": ("END",)}
    sampler, plain = ESamp(beta=0.5, num_candidates=3, **keys), Temperature(num_candidates=3, **keys)
    for order in ORDERS:
        expected = [replace(request, sampler="esamp") for request in plain.requests(order)]
        assert [replace(request, guidance=None) for request in sampler.requests(order)] == expected


def test_the_candidates_of_one_problem_are_one_group() -> None:
    guidances = [[request.guidance for request in ESamp(beta=0.5).requests(order)] for order in ORDERS]
    assert guidances == [[Guidance("p", 3, 0.5)] * 3, [Guidance("q", 1, 0.5)]]


def test_the_plugin_is_the_settings_and_nothing_else() -> None:
    sampler = ESamp(beta=0.1, scope="shared", layer=2, kl_every=4, num_candidates=64, temperature=0.6)
    assert isinstance(sampler, GuidingSampler)
    assert sampler.plugin.name == "esamp"
    assert sampler.plugin.settings == ESampSettings(beta=0.1, scope="shared", layer=2, kl_every=4).model_dump()
    assert ESampSettings.from_dict(sampler.plugin.settings).beta == 0.1


def test_it_asks_for_an_engine_that_hosts_it_and_for_what_its_filters_need() -> None:
    assert ESamp().requires == {"esamp"}
    assert ESamp(top_n_sigma=1.0, first_token_temperature=30.0).requires == {"esamp", "top_n_sigma", "first_token"}


def test_its_candidates_depend_on_each_other() -> None:
    assert ESamp.interacting
    assert not Temperature.interacting


def test_the_first_token_may_be_fires() -> None:
    decodings = {request.decoding for request in ESamp(first_token_temperature=30.0).requests(ORDERS[0])}
    assert [decoding.first_token for decoding in decodings] == [FirstToken(30.0, 16)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("beta", -0.1),
        ("beta", float("nan")),
        ("beta", "strong"),
        ("scope", "problem"),
        ("filter", "both"),
        ("layer", 0),
        ("layer", 1.5),
        ("learning_rate", 0.0),
        ("train_every", 0),
        ("num_slots", 0),
        ("control", "nothing"),
        ("temperature", -1.0),
        ("betta", 0.25),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=key):
        ESamp(**{key: value})


def test_every_recipe_key_is_described() -> None:
    assert all(field.description for field in ESamp.model_fields.values())
