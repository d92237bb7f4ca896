"""The mixture: whose turn it is, who gets the credit, and which arms are refused."""

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts.samplers.contrastive import Contrastive
from tts.samplers.esamp import ESamp
from tts.samplers.fire import Fire
from tts.samplers.greedy import Greedy
from tts.samplers.min_p import MinP
from tts.samplers.mixture import Mixture, take_turns
from tts.samplers.temperature import Temperature
from tts.types import Message, Order, Problem, Request


def order(problem_id: str, *indices: int) -> Order:
    messages = (Message("user", problem_id),)
    return Order(Problem(problem_id, "?", "math"), messages, indices, tuple(100 + index for index in indices))


def draw(mixture: Mixture, problem_id: str = "p") -> list[Request]:
    return list(mixture.requests(order(problem_id, *range(mixture.num_candidates))))


def test_the_arms_take_turns_in_their_shares() -> None:
    # Shares 3:1 are due 3n/4 and n/4 after n turns. The second arm may wait until it is more than half a turn behind,
    # which would be at n = 3 (3/4): so it draws the third of every four.
    assert take_turns((Fraction(3), Fraction(1)), 8) == (0, 0, 1, 0, 0, 0, 1, 0)
    assert take_turns((Fraction(1), Fraction(1), Fraction(1)), 6) == (0, 1, 2, 0, 1, 2)
    assert take_turns((Fraction(5),), 3) == (0, 0, 0)


@given(
    shares=st.lists(st.integers(1, 50).map(Fraction), min_size=1, max_size=6).map(tuple),
    num_turns=st.integers(0, 80),
)
def test_every_prefix_holds_each_arm_in_its_share(shares: tuple[Fraction, ...], num_turns: int) -> None:
    turns = take_turns(shares, num_turns)
    assert len(turns) == num_turns
    bound = 1 - Fraction(1, max(1, 2 * len(shares) - 2))
    for length in range(num_turns + 1):
        counts = Counter(turns[:length])
        assert all(abs(counts[i] - length * share / sum(shares)) <= bound for i, share in enumerate(shares))


@given(
    shares=st.lists(st.integers(1, 9).map(Fraction), min_size=1, max_size=4).map(tuple),
    fewer=st.integers(0, 40),
    more=st.integers(0, 40),
)
def test_whose_turn_it_is_depends_on_the_index_alone(shares: tuple[Fraction, ...], fewer: int, more: int) -> None:
    assert take_turns(shares, fewer + more)[:fewer] == take_turns(shares, fewer)


def test_exactly_the_candidates_asked_are_drawn_and_credited() -> None:
    mixture = Mixture(num_candidates=16, arms=(Temperature(temperature=0.7), MinP()), shares=(3, 1))
    for problem in ("p", "q"):
        requests = draw(mixture, problem)
        assert [(r.problem_id, int(r.key), r.seed) for r in requests] == [(problem, i, 100 + i) for i in range(16)]
        assert Counter(r.sampler for r in requests) == {"mixture/temperature": 12, "mixture/min_p": 4}
        assert {(r.sampler, r.decoding.temperature, r.decoding.min_p) for r in requests} == {
            ("mixture/temperature", 0.7, 0.0),
            ("mixture/min_p", 1.0, 0.1),
        }


@given(indices=st.sets(st.integers(0, 19)).flatmap(lambda chosen: st.permutations(sorted(chosen))))
def test_a_resumed_problem_asks_the_same_arms_as_before(indices: list[int]) -> None:
    mixture = Mixture(num_candidates=20, arms=(Temperature(), MinP(), Greedy()), shares=(12, 7, 1))
    whole = {int(request.key): request for request in draw(mixture)}
    assert list(mixture.requests(order("p", *indices))) == [whole[index] for index in indices]


def test_shares_left_out_are_equal() -> None:
    mixture = Mixture(num_candidates=6, arms=(Temperature(), MinP()))
    assert Counter(r.sampler for r in draw(mixture)) == {"mixture/temperature": 3, "mixture/min_p": 3}


def test_arms_of_one_name_are_told_apart_by_their_place() -> None:
    mixture = Mixture(arms=(Temperature(temperature=0.5), MinP(), Temperature(temperature=1.5)), num_candidates=3)
    assert [(r.sampler, r.decoding.temperature) for r in draw(mixture)] == [
        ("mixture/temperature.1", 0.5),
        ("mixture/min_p", 1.0),
        ("mixture/temperature.2", 1.5),
    ]


def test_an_arm_without_max_tokens_takes_the_mixtures() -> None:
    mixture = Mixture(max_tokens=500, arms=(Temperature(), MinP(max_tokens=20)), num_candidates=2)
    assert [r.decoding.max_tokens for r in draw(mixture)] == [500, 20]


def test_a_greedy_arm_fits_where_its_share_is_one_candidate() -> None:
    mixture = Mixture(num_candidates=8, arms=(Greedy(), Temperature()), shares=(1, 7))
    assert Counter(r.sampler for r in draw(mixture)) == {"mixture/greedy": 1, "mixture/temperature": 7}


def test_greedy_arms_with_a_random_first_token_may_draw_several() -> None:
    mixture = Mixture(num_candidates=4, arms=(Fire(temperature=0), Temperature()))
    starts = [(r.sampler, r.decoding.temperature, r.decoding.first_token is not None) for r in draw(mixture)]
    assert starts == [("mixture/fire", 0.0, True), ("mixture/temperature", 0.7, False)] * 2
    assert mixture.requires == {"first_token"}


def test_the_mixture_requires_what_any_arm_requires() -> None:
    assert Mixture(arms=(Temperature(), Temperature(temperature=1.0))).requires == frozenset()
    assert Mixture(arms=(Temperature(), MinP())).requires == {"min_p"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"arms": ()}, "at least 1 item"),
        ({"arms": (Temperature(), Mixture(arms=(MinP(),)))}, "arm 1 must be a sampler that draws each candidate alone"),
        ({"arms": (Temperature(), ESamp())}, "arm 1 must be a sampler that draws each candidate alone .* got ESamp"),
        ({"arms": (Temperature(), Contrastive(amateur="a/b"))}, "arm 1 must be .* got Contrastive"),
        ({"arms": (Temperature(num_candidates=4), MinP())}, "arm 0 must not set `num_candidates`, got 4"),
        ({"arms": (Temperature(max_tokens=30),), "max_tokens": 20}, "arm 0 must set a `max_tokens` of at most 20"),
        ({"arms": (Temperature(), MinP()), "shares": (1,)}, "`shares` must be 2 numbers, one per arm, got 1"),
        ({"arms": (Temperature(), MinP()), "shares": (1, 0)}, "greater than 0"),
        ({"arms": (Temperature(), MinP()), "shares": (1, float("nan"))}, "shares"),
        ({"arms": (Temperature(), MinP()), "shares": (1, float("inf"))}, "shares"),
        ({"arms": (Temperature(), MinP()), "num_candidates": 1}, "arm 1 \\(mixture/min_p\\) draws none"),
        ({"arms": (Temperature(), MinP()), "shares": (99, 1)}, "draws none"),
        ({"arms": (Greedy(), Temperature())}, "must give a greedy arm one candidate, got 4 of 8"),
        ({"arms": ("temperature",)}, "arms"),
    ],
)
def test_a_mixture_that_makes_no_sense_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Mixture(**keys)


def test_the_written_out_mixture_is_no_other_one() -> None:
    mixture = Mixture(max_tokens=500, arms=(Temperature(temperature=0.7), MinP(max_tokens=20)), shares=(3, 1))
    arms = [{key: value for key, value in arm.items() if key != "name"} for arm in mixture.model_dump()["arms"]]
    assert [arm["max_tokens"] for arm in arms] == [500, 20]
    again = Mixture(max_tokens=500, arms=(Temperature(**arms[0]), MinP(**arms[1])), shares=(3, 1))
    assert draw(again) == draw(mixture)


def test_every_recipe_key_is_described() -> None:
    assert all(field.description for field in Mixture.model_fields.values())
