"""The filters against a slow twin, and against what was worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.filters import Filters, at_token  # noqa: E402  # after the skip
from tts.types import Decoding, FirstToken  # noqa: E402  # as above

CPU = torch.device("cpu")


def kept_slowly(logits: list[float], decoding: Decoding) -> dict[int, float]:
    """The filters as the definition reads: token id → renormalised probability of each token kept."""
    highest, mean = max(logits), sum(logits) / len(logits)
    sigma = math.sqrt(sum((logit - mean) ** 2 for logit in logits) / len(logits))
    possible = dict(enumerate(logits))
    temperature = decoding.temperature
    if decoding.first_token:
        temperature = decoding.first_token.temperature
        edge = sorted(logits, reverse=True)[: decoding.first_token.top_k][-1]
        possible = {i: logit for i, logit in possible.items() if logit >= edge}
    if decoding.top_n_sigma:
        possible = {i: logit for i, logit in possible.items() if logit >= highest - decoding.top_n_sigma * sigma}
    weights = {i: math.exp((logit - highest) / (temperature or 1)) for i, logit in possible.items()}
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
    temperature=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    top_n_sigma=st.sampled_from([0.0, 0.30003, 1.00007, 2.30001]),
    first_token=st.none() | st.builds(FirstToken, st.sampled_from([0.7, 30.0]), st.integers(1, 9)),
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
        (Decoding(1, first_token=FirstToken(30.0, 1)), {0}),
        (Decoding(1, first_token=FirstToken(30.0, 2), top_p=0.5), {0}),  # nearly 1 : 1, so the likelier one is enough
        (Decoding(1, min_p=0.9, first_token=FirstToken(30.0, 2)), {0, 1}),  # 0.6 at temperature 30 is 0.98
        (Decoding(1, temperature=0, min_p=0.5), {0, 1}),  # as at temperature 1
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


@pytest.mark.parametrize("temperature", [0.1, 1.0, 50.0])
def test_top_n_sigma_keeps_the_same_at_every_temperature(temperature):
    # Mean 4, deviations 4, 2, 0, -6: sigma is sqrt(56 / 4) = 3.742, so 1 sigma reaches 4.258 and 1.2 sigma 3.51.
    logits = torch.tensor([[8.0, 6.0, 4.0, -2.0]] * 3)
    decodings = [Decoding(1, temperature=temperature, top_n_sigma=n) for n in (1.0, 1.2, 0.0)]
    kept = Filters.of(decodings, CPU).weights(logits) > 0
    assert kept.tolist() == [[True, True, False, False], [True, True, True, False], [True, True, True, True]]


def test_top_n_sigma_leaves_out_what_is_ruled_out_already():
    logits = torch.tensor([[8.0, 6.0, 4.0, -2.0, -math.inf], [1.0, 1.0, 1.0, 1.0, -math.inf]])
    weights = Filters.of([Decoding(1, top_n_sigma=1.0)] * 2, CPU).weights(logits)
    assert (weights > 0).tolist() == [[True, True, False, False, False], [True, True, True, True, False]]


def test_only_the_first_token_is_drawn_as_a_first_one():
    decodings = [Decoding(9, temperature=0.0, first_token=FirstToken(30.0, 2), top_k=3), Decoding(9, temperature=0.5)]
    logits = torch.tensor([[0.5, 0.3, 0.1, 0.1]] * 2).log()
    first, second = (Filters.of([at_token(d, n) for d in decodings], CPU) for n in (0, 1))
    assert (first.random, second.random) == ((True, True), (False, True))
    assert (first.greedy.flatten().tolist(), second.greedy.flatten().tolist()) == ([False, False], [True, False])
    expected = torch.tensor([[1.0, 0.6 ** (1 / 30), 0.0, 0.0], [1.0, 0.36, 0.04, 0.04]])
    torch.testing.assert_close(first.weights(logits), expected)
    assert (second.weights(logits)[0] > 0).all()  # top_k 3 keeps the tie with the third
