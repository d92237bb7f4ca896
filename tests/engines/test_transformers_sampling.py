"""The filters against a slow twin, and the sampler against the probabilities it must draw from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.transformers.sampling import (  # noqa: E402  # after the skip
    Filters,
    block_size,
    draw,
    noise_size,
    noise_source,
    race,
)
from tts.types import Decoding  # noqa: E402  # as above

CPU = torch.device("cpu")


def kept_slowly(logits: list[float], decoding: Decoding) -> dict[int, float]:
    """The filters as the definition reads: token id → renormalised probability of each token kept."""
    highest = max(logits)
    weights = {i: math.exp((logit - highest) / decoding.temperature) for i, logit in enumerate(logits)}
    weights = {i: w for i, w in weights.items() if w >= decoding.min_p}
    if decoding.top_k:
        ranked = sorted(weights.values(), reverse=True)
        weights = {i: w for i, w in weights.items() if w >= ranked[: decoding.top_k][-1]}
    if decoding.top_p < 1:
        total, mass = sum(weights.values()), 0.0
        for edge in sorted(weights.values(), reverse=True):
            mass += edge
            if mass >= decoding.top_p * total:
                break
        weights = {i: w for i, w in weights.items() if w >= edge}
    total = sum(weights.values())
    return {i: w / total for i, w in weights.items()}


# Logits on a grid and filter values off it: no comparison is so close that rounding decides it.
logit_rows = st.lists(st.integers(-16, 16).map(lambda n: n / 4), min_size=7, max_size=7)
decodings = st.builds(
    Decoding,
    max_tokens=st.just(1),
    temperature=st.sampled_from([0.5, 1.0, 2.0]),
    min_p=st.sampled_from([0.0, 0.0123, 0.31, 0.77]),
    top_k=st.integers(0, 9),
    top_p=st.sampled_from([0.10003, 0.50007, 0.90001, 1.0]),
)


@given(st.lists(st.tuples(logit_rows, decodings), min_size=1, max_size=5))
def test_filters_equal_their_slow_twin_also_when_every_row_has_its_own(rows):
    logits = torch.tensor([row for row, _ in rows])
    weights = Filters.of([decoding for _, decoding in rows], CPU).weights(logits)
    for (row, decoding), fast in zip(rows, weights / weights.sum(-1, keepdim=True), strict=True):
        slow = kept_slowly(row, decoding)
        assert {i for i, w in enumerate(fast.tolist()) if w > 0} == set(slow)
        assert all(fast[i].item() == pytest.approx(p, rel=1e-4) for i, p in slow.items())


@pytest.mark.parametrize(
    ("decoding", "kept"),
    [
        (Decoding(1, min_p=0.5), {0, 1}),
        (Decoding(1, top_k=2), {0, 1}),
        (Decoding(1, top_k=3), {0, 1, 2, 3}),  # the third and the fourth tie: both stay
        (Decoding(1, top_p=0.79), {0, 1}),
        (Decoding(1, top_p=0.81), {0, 1, 2, 3}),  # as above
        (Decoding(1, top_k=1, top_p=0.01), {0}),
        (Decoding(1, top_k=2, top_p=0.5), {0}),  # 0.5 is 0.625 of what top_k kept
        (Decoding(1, top_k=99), {0, 1, 2, 3}),
    ],
)
def test_filters_keep_what_was_worked_out_by_hand(decoding, kept):
    logits = torch.tensor([0.5, 0.3, 0.1, 0.1]).log().unsqueeze(0)
    weights = Filters.of([decoding], CPU).weights(logits)
    assert set(weights[0].nonzero().flatten().tolist()) == kept


def test_a_nucleus_larger_than_the_part_sorted_first_is_found():
    logits = torch.zeros(2, 5000)
    logits[:, 0] = 0.001
    weights = Filters.of([Decoding(1, top_p=0.9), Decoding(1, top_p=0.0001)], CPU).weights(logits)
    assert weights[0].count_nonzero() == 5000  # all others tie
    assert weights[1].count_nonzero() == 1


def test_greedy_takes_the_lowest_id_among_equals_whatever_the_noise():
    logits = torch.tensor([[0.0, 2.0, 2.0, 1.0], [3.0, 3.0, 3.0, 3.0]])
    filters = Filters.of([Decoding(1, temperature=0), None], CPU)
    noise = torch.rand(2, noise_size(4))
    assert draw(logits, filters, noise).tokens.tolist() == [1, 0]


def test_logprobs_and_self_certainty_are_those_of_the_raw_model():
    probabilities = torch.tensor([[0.5, 0.25, 0.125, 0.125]])
    filters = Filters.of([Decoding(1, temperature=0, top_k=1)], CPU)
    (token, logprob, certainty) = draw(probabilities.log() + 7, filters, torch.ones(1, noise_size(4))).to_host()[0]
    assert token == 0
    assert logprob == pytest.approx(math.log(0.5))
    # KL(U||p) = -log 4 - (log .5 + log .25 + 2 log .125) / 4 = -2 log 2 + 9/4 log 2
    assert certainty == pytest.approx(math.log(2) / 4, rel=1e-5)


def test_a_uniform_model_has_no_self_certainty():
    filters = Filters.of([None], CPU)
    certainty = draw(torch.full((1, 50), 3.0), filters, torch.ones(1, noise_size(50))).to_host()[0][2]
    assert certainty == pytest.approx(0, abs=1e-5)


def drawn(weights: torch.Tensor, num_draws: int, seed: int) -> torch.Tensor:
    noise = np.empty((num_draws, noise_size(len(weights))), dtype=np.float32)
    noise_source(seed).standard_exponential(dtype=np.float32, out=noise)
    return race(weights.expand(num_draws, -1), torch.from_numpy(noise))


@pytest.mark.parametrize("vocabulary", [1, 2, 3, 4, 5, 10, 17, 100])
def test_the_race_draws_every_token_and_nothing_else(vocabulary):
    assert set(drawn(torch.ones(vocabulary), 100 * vocabulary, seed=1).tolist()) == set(range(vocabulary))
    assert block_size(vocabulary) ** 2 >= vocabulary


def test_the_race_never_draws_a_token_of_weight_zero():
    weights = torch.zeros(50)
    weights[[3, 49]] = torch.tensor([1e-6, 1.0])
    assert set(drawn(weights, 5000, seed=2).tolist()) <= {3, 49}


def test_the_race_draws_in_proportion_to_the_weights():
    """Chi-square over 40 tokens: false alarm in 1 of 10,000 seeds (the seed is fixed, so in none)."""
    weights = torch.arange(1, 41, dtype=torch.float32)
    num_draws = 200_000
    counts = torch.bincount(drawn(weights, num_draws, seed=3), minlength=40).double()
    expected = weights.double() / weights.sum() * num_draws
    statistic = ((counts - expected) ** 2 / expected).sum().item()
    assert statistic < 81.0  # the 1 - 1e-4 quantile for 39 degrees of freedom is 80.7


def test_the_noise_of_a_row_depends_on_its_seed_alone():
    first, again, other = (noise_source(seed).standard_exponential(5) for seed in (11, 11, 12))
    assert (first == again).all()
    assert (first != other).any()
    noise_source(-1)
    noise_source(2**70)
