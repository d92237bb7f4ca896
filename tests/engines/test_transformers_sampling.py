"""The sampler against the probabilities it must draw from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.filters import Filters  # noqa: E402  # after the skip
from tts.engines.transformers.sampling import (  # noqa: E402  # as above
    block_size,
    draw,
    fill_with_exponentials,
    noise_size,
    noise_source,
    race,
)
from tts.types import Decoding  # noqa: E402  # as above

CPU = torch.device("cpu")


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
    fill_with_exponentials(noise, noise_source(seed))
    return race(weights.expand(num_draws, -1), torch.from_numpy(noise))


@pytest.mark.parametrize("vocabulary", [1, 2, 3, 4, 5, 10, 17, 100])
def test_the_race_draws_every_token_and_nothing_else(vocabulary):
    assert set(drawn(torch.ones(vocabulary), 100 * vocabulary, seed=1).tolist()) == set(range(vocabulary))
    assert block_size(vocabulary) ** 2 >= vocabulary


def test_the_race_never_draws_a_token_of_weight_zero():
    weights = torch.zeros(50)
    weights[[3, 49]] = torch.tensor([1e-6, 1.0])
    assert set(drawn(weights, 5000, seed=2).tolist()) <= {3, 49}


@pytest.mark.parametrize("noise", [0.0, 2.0**-149, math.inf])
@pytest.mark.parametrize("heat", [0, 1])
def test_a_noise_of_any_value_lets_no_token_of_weight_zero_win(noise, heat):
    """Nine tokens, blocks of three: where the one allowed token is, and where a noise is out of the ordinary."""
    for allowed in range(9):
        weights = torch.zeros(1, 9)
        weights[0, allowed] = 1.0
        for place in range(3):
            row = torch.ones(1, 6)
            row[0, 3 * heat + place] = noise
            assert race(weights, row).item() == allowed


def test_a_noise_of_zero_lets_a_token_win_that_has_a_weight():
    assert race(torch.tensor([[1.0, 1e-30, 0.0, 1.0]]), torch.tensor([[1.0, 1.0, 1.0, 0.0]])).item() == 1
    assert race(torch.tensor([[1.0, 0.0, 1e-30, 0.0]]), torch.tensor([[1.0, 0.0, 1.0, 0.0]])).item() == 2


NOISES = st.sampled_from([0.0, 2.0**-149, 1e-38, 2.0**-23, 1.0, 90.0, math.inf])
WEIGHTS = st.sampled_from([0.0, 0.0, 0.0, 2.0**-149, 1e-40, 1e-20, 0.5])


@settings(max_examples=300, derandomize=True)
@given(st.data(), st.integers(1, 30))
def test_whatever_the_weights_and_the_noise_the_winner_has_a_weight(data, vocabulary):
    weights = data.draw(st.lists(WEIGHTS, min_size=vocabulary, max_size=vocabulary))
    weights[data.draw(st.integers(0, vocabulary - 1))] = 1.0  # the likeliest
    size = noise_size(vocabulary)
    noise = data.draw(st.lists(NOISES, min_size=size, max_size=size))
    assert weights[race(torch.tensor([weights]), torch.tensor([noise])).item()] > 0


def test_a_row_without_a_weight_gives_its_first_token_and_one_with_a_nan_the_nan():
    weights = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, math.nan, 0.0]])
    assert race(weights, torch.ones(2, noise_size(5))).tolist() == [0, 3]


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("keys", [{}, {"min_p": 0.1}, {"top_k": 2}, {"top_p": 0.5}, {"top_n_sigma": 1.0}])
def test_logits_that_are_no_numbers_show_in_the_log_probability(wrong, keys):
    logits = torch.tensor([[0.0, 1.0, wrong, 2.0, 0.5]])
    drawn = draw(logits, Filters.of([Decoding(1, **keys)], CPU), torch.ones(1, noise_size(5)))
    assert not math.isfinite(drawn.logprobs.item())


NARROW = [
    {"top_k": 1},
    {"min_p": 1.0},
    {"top_p": 1e-30},
    {"top_n_sigma": 1e-6},
    {"temperature": 1e-30},
    {"temperature": 1e30, "top_k": 1, "min_p": 1.0, "top_p": 1e-30, "top_n_sigma": 1e-6},
]


@pytest.mark.parametrize("keys", NARROW, ids=" ".join)
def test_of_a_million_draws_with_the_narrowest_filters_none_leaves_the_likeliest_token(keys):
    """A draw over 100 tokens takes 20 exponentials: among these 2·10⁷ about 2.4 come out of the generator as 0."""
    logits = torch.from_numpy(np.random.default_rng(1).normal(size=100).astype(np.float32))
    weights = Filters.of([Decoding(1, **keys)], CPU).weights(logits.unsqueeze(0))[0]
    noise = np.empty((1_000_000, noise_size(100)), dtype=np.float32)
    fill_with_exponentials(noise, noise_source(4))
    for zero in range(20):
        noise[zero, zero] = 0.0  # at each place once, whatever came out
    tokens = race(weights.expand(len(noise), -1), torch.from_numpy(noise))
    assert tokens.unique().tolist() == [logits.argmax().item()]


def test_an_exponential_is_never_zero_and_otherwise_the_generators_own():
    """A draw over SmolLM2's 49,152 tokens takes 444 exponentials; of a thousand draws of this seed one has a 0."""
    plain, noise = np.empty((2, 1000, 444), dtype=np.float32)
    noise_source(33).standard_exponential(dtype=np.float32, out=plain)
    fill_with_exponentials(noise, noise_source(33))
    assert (plain == 0).sum() == 1
    assert (noise[plain == 0] > 0).all()
    assert (noise[plain == 0] <= 2.0**-23).all()
    assert (noise == plain)[plain > 0].all()


def test_a_hundred_thousand_draws_follow_the_softmax_of_the_logits_in_float64():
    """Chi-square over 60 tokens of very different likelihood, the rarest together: false alarm in 1 of 10,000 seeds."""
    logits = np.random.default_rng(6).normal(scale=2.5, size=1000)
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    weights = Filters.of([Decoding(1)], CPU).weights(torch.from_numpy(logits.astype(np.float32)).unsqueeze(0))[0]
    num_draws = 100_000
    tokens = torch.cat([drawn(weights, num_draws // 10, seed) for seed in range(10)])
    counts = np.bincount(tokens.numpy(), minlength=1000)
    order = np.argsort(-probabilities)
    apart, rest = order[:59], order[59:]
    seen = np.append(counts[apart], counts[rest].sum())
    expected = np.append(probabilities[apart], probabilities[rest].sum()) * num_draws
    assert ((seen - expected) ** 2 / expected).sum() < 109.0  # the 1 - 1e-4 quantile for 59 degrees of freedom is 108.2


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
