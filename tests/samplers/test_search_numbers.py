"""Worked numbers of the searches: what the papers' rules come to by hand."""

from __future__ import annotations

import gzip
import json
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.samplers.ab_mcts import posterior
from tts.samplers.particle_filter import evenly, multinomial, odds
from tts.samplers.prm_beam import PRMBeam
from tts.samplers.rebase import shares
from tts.samplers.stopping import agreed, leaders, quantile, settled, unanimous
from tts.samplers.thoughts import best, worth
from tts.types import Grouping


def votes(*numbers: int, missing: int = 0) -> Grouping:
    return Grouping(tuple(node for node, number in enumerate(numbers) for _ in range(number)) + (None,) * missing)


@pytest.mark.parametrize(
    ("numbers", "stops"),
    [((4,), True), ((3,), False), ((5, 1), False), ((6, 1), True), ((8, 2), True), ((), False), ((4, 0, 0), True)],
)
def test_the_beta_criterion_stops_where_the_paper_says(numbers: tuple[int, ...], stops: bool) -> None:
    assert settled(votes(*numbers, missing=3), 0.95) is stops


def test_the_beta_criterion_is_the_beta_distributions_tail() -> None:
    from scipy.stats import beta

    for first in range(9):
        for second in range(first + 1):
            tail = float(beta.sf(0.5, first + 1, second + 1))
            for confidence in (tail - 1e-6, tail + 1e-6):
                if 0.5 < confidence < 1:
                    assert settled(votes(first, second), confidence) is (confidence < tail)


def test_a_linked_answer_supports_the_leader_and_is_no_runner_up() -> None:
    assert leaders(Grouping((0, 0, 1, 2), frozenset({(0, 1)}))) == (3, 1)
    assert leaders(Grouping((0, 0, 1, 1))) == (2, 2)
    assert leaders(Grouping((None, None))) == (0, 0)


def test_only_a_whole_window_that_says_one_thing_stops() -> None:
    assert unanimous(votes(5), 5)
    assert not unanimous(votes(4), 5)
    assert not unanimous(votes(4, missing=1), 5)
    assert not unanimous(Grouping((None,) * 5), 5)
    assert unanimous(Grouping((1, 0, 1, 0, 0, 0)), 3)
    assert not unanimous(Grouping((0, 0, 0, 1, 0, 0)), 3)


WARM_UP = (3.1, 5.2, 4.0, 2.2, 6.6, 4.8, 5.9, 3.7, 4.4, 5.0, 2.9, 6.1, 4.1, 3.3, 5.5, 4.6)


@pytest.mark.parametrize(("keep", "floor"), [(0.1, 6.0), (0.9, 3.0), (1.0, 2.2)])
def test_the_floor_is_a_quantile_of_the_warm_ups_least_confidences(keep: float, floor: float) -> None:
    assert quantile(WARM_UP, keep) == pytest.approx(floor)


@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), st.integers(1, 100))
def test_the_quantile_is_numpys_and_one_of_the_values_where_these_are_equal(values: list[float], percent: int) -> None:
    found = quantile(values, percent / 100)
    assert found == pytest.approx(float(np.percentile(values, 100 - percent)), abs=1e-9)
    assert min(values) <= found <= max(values)
    assert quantile([values[0]] * 7, percent / 100) == values[0]


def test_a_consensus_is_of_the_weight_of_those_that_answer() -> None:
    assert agreed(votes(19, 1), [1 / 3] * 20, 0.95)
    assert not agreed(votes(18, 1), [1 / 3] * 19, 0.95)
    assert agreed(votes(1, 1), [6.0, 0.2], 0.95)
    assert not agreed(votes(1, 1), [6.0, 0.4], 0.95)
    assert agreed(votes(2, missing=3), [1.0, None, 9.0, 9.0, None], 0.95)
    assert not agreed(votes(2), [None, 0.0], 0.95)
    assert not agreed(votes(0, missing=2), [3.0, 3.0], 0.95)
    assert not agreed(Grouping(()), [], 0.95)


def test_a_linked_answer_adds_its_weight_to_the_consensus() -> None:
    grouping = Grouping((0, 1, 2), frozenset({(0, 1)}))
    assert agreed(grouping, [5.0, 4.5, 0.5], 0.95)
    assert not agreed(Grouping((0, 1, 2)), [5.0, 4.5, 0.5], 0.95)


@given(st.lists(st.tuples(st.none() | st.integers(0, 3), st.none() | st.integers(0, 9)), max_size=12))
def test_with_equal_answers_linked_or_not_a_consensus_is_found_in_any_order(drawn: list[tuple[int, int]]) -> None:
    def said(rows: list[tuple[int, int]]) -> bool:
        return agreed(Grouping(tuple(node for node, _ in rows)), [weight for _, weight in rows], 0.75)

    weights = Counter[int]()
    for node, weight in drawn:
        weights[-1 if node is None else node] += 0 if node is None else weight or 0
    total = sum(weights.values())
    assert said(drawn) is said(drawn[::-1]) is (total > 0 and max(weights.values()) >= 0.75 * total)


def test_windows_draw_as_many_as_the_sum_over_geometric_stops_says() -> None:
    shares_, window, most = (0.8, 0.2), 5, 40
    stop = sum(share**window for share in shares_)
    number = most // window
    expected = window * (
        sum(stop * (1 - stop) ** turn * (turn + 1) for turn in range(number - 1)) + (1 - stop) ** (number - 1) * number
    )
    assert round(expected, 2) == 14.61
    chance = random.Random(0)
    drawn = []
    for _ in range(4000):
        nodes: list[int] = []
        while len(nodes) < most:
            nodes += chance.choices((0, 1), shares_, k=window)
            if unanimous(Grouping(tuple(nodes)), window):
                break
        drawn.append(len(nodes))
    assert sum(drawn) / len(drawn) == pytest.approx(expected, abs=4 * 10.5 / math.sqrt(4000))


@pytest.mark.parametrize(("temperature", "given"), [(0.1, [8, 0, 0]), (0.2, [6, 2, 0]), (1.0, [4, 3, 1])])
def test_rebase_shares_out_the_width(temperature: float, given: list[int]) -> None:
    assert shares([0.9, 0.7, 0.4], 8, temperature) == given


def test_a_particle_weighs_its_odds() -> None:
    weights = [odds(reward) for reward in (0.9, 0.6, 0.3, 0.1)]
    assert [round(weight / sum(weights), 4) for weight in weights] == [0.8152, 0.1359, 0.0388, 0.0101]
    normalised = [weight / sum(weights) for weight in weights]
    assert round(1 / sum(weight**2 for weight in normalised), 2) == 1.46
    assert evenly(weights, 4, 0.5) == [0, 0, 0, 1]
    assert math.isfinite(odds(0.0))
    assert math.isfinite(odds(1.0))


def test_systematic_places_are_as_even_as_they_can_be_and_multinomial_ones_follow_the_weights() -> None:
    weights = [3.0, 1.0]
    assert Counter(evenly(weights, 8, 0.3)) == {0: 6, 1: 2}
    drawn = Counter(multinomial(random.Random(1), weights, 4000))
    assert drawn[0] / 4000 == pytest.approx(0.75, abs=0.03)


def test_a_posterior_of_rewards_is_a_beta() -> None:
    assert posterior([0.8, 0.6]) == pytest.approx((1.9, 1.1))


def test_the_published_searches_of_game_of_24_keep_what_our_rule_keeps(shared_data: Path) -> None:
    path = shared_data / "tot_game24_search.json.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    steps = [step for problem in json.loads(gzip.decompress(path.read_bytes())) for step in problem["steps"]]
    assert len(steps) == 400
    for step in steps:
        assert best(step["new_ys"], step["values"], 5) == step["select_new_ys"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("It fits.\nsure", 20.0), ("likely.", 1.0), ("**Impossible**", 0.001), ("I am not sure what", 0.0), ("", 0.0)],
)
def test_an_evaluation_is_worth_what_its_last_word_says(text: str, value: float) -> None:
    assert worth(text) == value


def test_of_a_repeated_thought_the_first_alone_is_kept_for_its_value() -> None:
    assert best(["a", "b", "a"], [20.0, 1.0, 20.0], 2) == ["a", "b"]


def test_a_beam_is_made_of_whole_groups() -> None:
    from tts.engines.replay import ReplayEngine

    with pytest.raises(ValueError, match="multiple of beam_width"):
        PRMBeam(reward=ReplayEngine(rewards=(0.5,)), num_candidates=6, beam_width=4)


def test_a_beam_copies_the_best_in_turn_and_a_tree_keeps_its_own_best() -> None:
    """First steps of rewards .9, .8, .2, .1: the beam goes on from 1, 2, 1, 2, each tree from the best of its two."""
    from tts.engines.replay import ReplayEngine
    from tts.samplers.dvts import DVTS
    from tts.testing import converse
    from tts.types import Completion, Problem, Request, RewardRequest, Rewards

    def reply(request: Request) -> Completion:
        if request.prefix:
            return Completion("p", request.key, "end", "stop", 1, 1)
        return Completion("p", request.key, f"{request.key[0]}\n\n", "stop", 1, 1, stop="\n\n")

    def rewards(request: RewardRequest) -> Rewards:
        values = tuple((0.9, 0.8, 0.2, 0.1)[int(step[0]) % 4] if step != "end" else 0.5 for step in request.steps)
        return Rewards("p", request.key, values, 1)

    def trees(
        request: Request,
    ) -> Completion:  # each tree's two children, the better of the second worse than the first's
        if request.prefix:
            return reply(request)
        text = {"0/0": "3", "0/1": "1", "1/0": "2", "1/1": "3"}[request.key[:3]]
        return Completion("p", request.key, f"{text}\n\n", "stop", 1, 1, stop="\n\n")

    keys = {"reward": ReplayEngine(rewards=(0.5,)), "num_candidates": 4, "beam_width": 2}
    problem = Problem("p", "x", "text")
    beam = converse(PRMBeam(**keys), problem, reply, rewards=rewards)
    assert [one.text for one in beam] == ["0\n\nend", "1\n\nend", "0\n\nend", "1\n\nend"]
    dvts = converse(DVTS(**keys), problem, trees, rewards=rewards)
    assert [one.text for one in dvts] == ["1\n\nend"] * 2 + ["2\n\nend"] * 2


def test_searches_by_odds_want_probabilities() -> None:
    from pydantic import ValidationError

    from tts.engines.reward.transformers import TransformersReward
    from tts.samplers.ab_mcts import ABMCTS
    from tts.samplers.particle_filter import ParticleFilter

    raw = TransformersReward(model="some/model", format="outcome", activation="none")
    assert PRMBeam(reward=raw).reward is raw
    for search in (ABMCTS, ParticleFilter):
        with pytest.raises(ValidationError, match="`reward` must give probabilities to this search"):
            search(reward=raw)


def test_what_failed_teaches_a_tree_nothing() -> None:
    from tts.samplers.ab_mcts import Node
    from tts.samplers.steps import Path

    root = Node(Path())
    root.add(Path((), (0.5,)))
    root.children[0].add(Path((), (0.5,), "error"))
    root.children[0].add(Path((), (0.5, 0.75), "stop"))
    assert (root.new, root.below) == ([0.5], [0.5, 0.75])
    assert (root.children[0].new, root.children[0].children[0].below) == ([0.75], [])


@pytest.mark.parametrize("name", ["dvts", "particle_filter", "prm_beam", "rebase"])
def test_a_path_that_failed_is_worse_than_any_and_its_siblings_go_on(name: str) -> None:
    """Every second question about two steps fails; the first steps' rewards are better than all that follow."""
    from tts.components import registry
    from tts.engines.replay import ReplayEngine
    from tts.testing import converse
    from tts.types import Completion, Problem, Request, RewardRequest, Rewards

    def reply(request: Request) -> Completion:
        if len(request.prefix) == 3:
            return Completion("p", request.key, "end", "stop", 1, 1)
        return Completion("p", request.key, f"{request.seed % 97}\n\n", "stop", 1, 1, stop="\n\n")

    def rewards(request: RewardRequest) -> Rewards:
        if len(request.steps) == 2 and int(request.steps[-1]) % 2:
            return Rewards("p", request.key, (), 1, error="overloaded")
        return Rewards("p", request.key, tuple(0.9 - 0.2 * place for place in range(len(request.steps))), 1)

    keys = {"reward": ReplayEngine(rewards=(0.5,)), "num_candidates": 8}
    found = converse(registry.load("samplers", name)(**keys), Problem("p", "x", "text"), reply, rewards=rewards)
    reasons = [one.finish_reason for one in found]
    assert set(reasons[:2]) == {"stop"}
    assert reasons.count("stop") >= 4
