"""The choices of beam search: worked numbers, and brute force over whole languages of a few words."""

from __future__ import annotations

import math
from itertools import product

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from hypothesis import given, settings  # noqa: E402  # after the skip
from hypothesis import strategies as st  # noqa: E402  # as above

from tts.plugins.beam.search import Finished, expansions  # noqa: E402  # as above


def logs(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows).log()


def test_two_beams_find_what_greedy_misses() -> None:
    """P(a) .6, P(b) .4; after a .5/.5, after b .9/.1: greedy ends at .30, two beams at b·.9 = .36."""
    first = expansions(logs([0.6, 0.4]), [0.0], 2)
    assert [one.token for one in first] == [0, 1]
    second = expansions(logs([0.5, 0.5], [0.9, 0.1]), [one.total for one in first], 2)
    assert (second[0].beam, second[0].token) == (1, 0)
    assert [math.exp(one.total) for one in second] == pytest.approx([0.36, 0.30])
    assert (second[1].beam, second[1].token) == (0, 0)  # of equal ones the lower id


@pytest.mark.parametrize(("penalty", "token", "ranked"), [(0.5, 0, -1.011), (0.7, 1, -1.204)])
def test_a_second_group_leaves_the_first_ones_token_when_lambda_is_above_log_2(penalty, token, ranked) -> None:
    """p = (.6, .3, .1), groups of one: ln .6 − λ against ln .3; the score stays that of the model."""
    [one] = expansions(logs([0.6, 0.3, 0.1]), [0.0], 1, penalty * torch.tensor([1.0, 0.0, 0.0]))
    assert one.token == token
    assert one.total == pytest.approx(math.log((0.6, 0.3)[token]))
    assert one.total - penalty * (token == 0) == pytest.approx(ranked, abs=1e-3)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.integers(1, 3), st.integers(2, 5), st.integers(1, 12), st.integers(0, 2**20))
def test_expansions_are_the_best_of_all(num_beams: int, vocabulary: int, number: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logprobs = torch.randn(num_beams, vocabulary, generator=generator).log_softmax(-1)
    totals = torch.randn(num_beams, generator=generator).tolist()
    penalty = torch.rand(vocabulary, generator=generator)
    found = expansions(logprobs, totals, number, penalty)
    told = {
        (beam, token): totals[beam] + logprobs[beam, token].item()
        for beam, token in product(range(num_beams), range(vocabulary))
    }
    wanted = sorted(told, key=lambda place: -(told[place] - penalty[place[1]].item()))[:number]
    assert [(one.beam, one.token) for one in found] == wanted
    assert [one.total for one in found] == pytest.approx([told[place] for place in wanted], abs=1e-5)


@pytest.mark.parametrize(("power", "order"), [(0.0, "ab"), (1.0, "ba"), (2.0, "ba")])
def test_the_length_penalty_is_an_exponent(power: float, order: str) -> None:
    """a: log-probability −3 in 2 tokens; b: −4 in 4."""
    finished = Finished[str](2, power)
    finished.add("a", -3.0, 2)
    assert not finished.is_final(-100.0, 9)  # one text is missing
    finished.add("b", -4.0, 4)
    assert "".join(text for _, text in finished.texts) == order
    worst = finished.texts[-1][0]
    assert finished.is_final(worst * 3**power - 1e-6, 3)
    assert not finished.is_final(worst * 3**power + 1e-6, 3)


def test_only_the_best_are_kept_and_of_equal_ones_the_earlier() -> None:
    finished = Finished[str](2, 1.0)
    for text, total in (("a", -2.0), ("b", -1.0), ("c", -2.0), ("d", -9.0)):
        finished.add(text, total, 1)
    assert [text for _, text in finished.texts] == ["b", "a"]
