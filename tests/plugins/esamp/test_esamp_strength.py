"""β from a target KL: by hand, on made-up states through a head, and what must not matter to it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.plugins.esamp.core import ESampCore, StepRow  # noqa: E402  # after the skip
from tts.plugins.esamp.fusion import kl_divergence  # noqa: E402  # as above
from tts.plugins.esamp.settings import ESampSettings  # noqa: E402  # as above
from tts.plugins.esamp.strength import Strengths, is_due, variance_of_difference  # noqa: E402  # as above

D, V = 32, 200


def test_the_variance_is_that_under_the_references_probabilities() -> None:
    reference = torch.tensor([[math.log(3), 0.0, -torch.inf]])
    new = reference + torch.tensor([[2.0, -2.0, 0.0]])  # means 1, squares 4
    assert variance_of_difference(new, reference).tolist() == pytest.approx([4 - 1])


def test_beta_by_hand() -> None:
    """Differences of length² 4 and 2, the third row is not guided; Var_p(new − reference) was 0.3 at β = 0.5."""
    strengths, given_beta = Strengths(2, target=0.06), torch.tensor([[[0.5], [0.5], [0.0]]])
    difference = torch.tensor([[[2.0, 0.0], [1.0, 1.0], [9.0, 9.0]]])
    assert torch.equal(strengths.beta([1], difference, given_beta), given_beta)  # nothing was measured yet
    strengths.measure(1, torch.tensor([0.2, 0.4]))
    c = 0.3 / (0.25 * 3)
    expected = math.sqrt(2 * 0.06 / (c * 3))
    assert strengths.beta([1], difference, given_beta).flatten().tolist() == pytest.approx([expected, expected, 0])
    assert strengths.beta([1], difference / 100, given_beta).amax() == 1  # at most
    strengths.measure(1, torch.tensor([math.nan]))
    assert strengths.beta([1], difference, given_beta).amax().item() == pytest.approx(expected)
    strengths.reset(1)
    assert torch.equal(strengths.beta([1], difference, given_beta), given_beta)


def test_measured_are_some_of_the_first_steps_and_then_each_mth() -> None:
    assert [step for step in range(1, 40) if is_due(step, 16)] == [1, 2, 3, 5, 9, 16, 32]
    assert [step for step in range(1, 40) if is_due(step, 0)] == [1, 2, 3, 5, 9]


HEAD = torch.randn(V, D, generator=torch.Generator().manual_seed(9)) / D**0.5


def decode(groups: dict[str, int], num_steps: int, seed: int, **settings: Any) -> dict[str, torch.Tensor]:
    """Each group's KL `[num_steps, num_rows]`; `groups` are their numbers of rows, whose states depend on the name."""
    chosen = ESampSettings(**{"width": 8, "num_slots": 4, "train_every": 1, "kl_every": 8} | settings)
    core = ESampCore(chosen, D, 8)
    names = [(f"{group}{i}", group) for group, count in groups.items() for i in range(count)]
    for name, group in names:
        core.join(name, group)
    noise = {group: torch.Generator().manual_seed(seed + ord(group)) for group in groups}
    found = []
    for _ in range(num_steps):
        states = [torch.randn(2, count, D, generator=noise[group]) for group, count in groups.items()]
        h_first, h_last = torch.cat(states, dim=1)
        h_last = torch.stack([2 * torch.tanh(HEAD[:D] @ h) for h in h_first]) + h_last
        mixed = core.step([StepRow(name, 5, 3) for name, _ in names], h_first, h_last)
        logits, reference = torch.stack([h @ HEAD.T for h in mixed]), torch.stack([h @ HEAD.T for h in h_last])
        if core.measures_strength:
            core.measure_strength(logits, reference)
        found.append(kl_divergence(logits, reference))
    kl = torch.stack(found)
    at = {group: [i for i, (_, other) in enumerate(names) if other == group] for group in groups}
    return {group: kl[:, places] for group, places in at.items()}


@given(target=st.sampled_from([0.02, 0.05, 0.1]), seed=st.integers(0, 1000), control=st.sampled_from(["none", "mean"]))
@settings(derandomize=True, max_examples=8, deadline=None)
def test_the_kl_is_near_its_target_whatever_the_states_and_the_arm(target: float, seed: int, control: str) -> None:
    kl = decode({"a": 4}, 60, seed, target_kl=target, control=control)["a"]
    assert target / 2 < kl[10:].mean().item() < target * 1.5


def test_a_group_depends_on_itself_alone_and_a_run_repeats() -> None:
    """Also where its neighbour began later and is measured in other steps: here, with other numbers of rows."""
    alone = decode({"a": 3}, 30, 0, target_kl=0.05)["a"]
    assert torch.equal(decode({"a": 3}, 30, 0, target_kl=0.05)["a"], alone)
    assert torch.equal(decode({"b": 2, "a": 3}, 30, 0, target_kl=0.05)["a"], alone)


def test_at_beta_0_nothing_moves() -> None:
    assert not decode({"a": 3}, 20, 0, target_kl=0.05, beta=0.0)["a"].any()
