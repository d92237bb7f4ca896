"""The slow reference by hand: what it mixes, when it learns, and how far."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.plugins.esamp.reference import ReferenceDistiller, squared_error  # noqa: E402  # after the skip


def test_the_loss_is_the_mean_over_rows_of_the_squared_distance() -> None:
    prediction, h_last = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    assert squared_error(prediction, h_last).item() == (4 + 25) / 2


def test_without_its_blocks_it_predicts_the_input_and_mixing_moves_away_from_that() -> None:
    reference = ReferenceDistiller(2, 3)
    with torch.no_grad():
        for _, down in reference.blocks:
            down.zero_()
    h_first, h_last = torch.tensor([[1.0, 1.0], [0.0, 2.0]]), torch.tensor([[3.0, 1.0], [0.0, 2.0]])
    mixed = reference.step(h_first, h_last, torch.tensor([[0.5], [0.5]]))
    assert mixed.tolist() == [[4.0, 1.0], [0.0, 2.0]]  # (3, 1) + 0.5 · (2, 0); the second row is predicted exactly
    assert reference.losses == [2.0]


@pytest.mark.parametrize("train_every", [1, 4])
def test_the_first_update_moves_weights_by_the_learning_rate_times_the_root_of_its_steps(train_every: int) -> None:
    """Adam's first step is rate · g / (|g| + ε): the rate, where the gradient is far above ε = 1e-4."""
    reference = ReferenceDistiller(4, 3, learning_rate=1e-3, train_every=train_every)
    before = reference.blocks[1][1].detach().clone()
    for step in range(train_every):
        assert torch.equal(reference.blocks[1][1], before)
        reference.step(torch.ones(2, 4), torch.full((2, 4), 9.0), beta=step / 8)
    moved = (reference.blocks[1][1] - before).abs()
    assert moved.max().item() == pytest.approx(train_every**0.5 * 1e-3, rel=0.01)
    assert (len(reference.losses), reference.num_trained) == (train_every, 2 * train_every)


def test_from_the_mean_only_the_deviation_is_predicted_and_a_step_enters_the_mean_after_it() -> None:
    reference = ReferenceDistiller(2, 3, from_mean=True, train_every=9)
    with torch.no_grad():
        for _, down in reference.blocks:
            down.zero_()
    h_first = torch.tensor([[1.0, 1.0]])
    assert reference.step(h_first, torch.tensor([[4.0, 0.0]]), 0.5).tolist() == [[6.0, 0.0]]  # away from 0
    assert reference.step(h_first, torch.tensor([[4.0, 6.0]]), 0.5).tolist() == [[4.0, 9.0]]  # away from (4, 0)
    assert reference.mean.tolist() == [4.0, 3.0]
    assert reference.losses == reference.losses_of_mean == [16.0, 36.0]
