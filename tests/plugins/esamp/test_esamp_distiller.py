"""The bank of distillers against autograd, and what must not matter: slot numbers, neighbours, empty cells."""

from __future__ import annotations

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from torch._subclasses import FakeTensorMode  # noqa: E402  # after the skip

from tts.plugins.esamp.controls import VocabularyKL  # noqa: E402  # as above
from tts.plugins.esamp.distiller import (  # noqa: E402  # as above
    DistillerBank,
    Term,
    rms_normalised,
    squared_error,
)
from tts.plugins.esamp.reference import ReferenceDistiller  # noqa: E402  # as above
from tts.plugins.esamp.reference import squared_error as reference_squared_error  # noqa: E402  # as above

D, W, RATE = 16, 8, 4e-3


NO_MEAN = torch.zeros(1, 1, D)


def bank_of(
    num_slots: int = 1, *, input_norm: bool = True, batched: bool = False, rate: float = RATE, from_mean: bool = False
) -> DistillerBank:
    how = {"input_norm": input_norm, "from_mean": from_mean, "batched": batched}
    return DistillerBank(num_slots, D, W, learning_rate=rate, **how)


def random(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def rows_of(step: int, slot: int, num_rows: int, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """h¹ and h^L [K, d]; the second can be learnt from the first."""
    h_first = random(num_rows, D, seed=1000 * step + slot, scale=scale)
    return h_first, torch.tanh(h_first @ random(D, D, seed=slot)) + 1


def learn(bank: DistillerBank, slot: int, h_first: torch.Tensor, h_last: torch.Tensor) -> float:
    """One step of one slot; the loss before it."""
    slots = [slot]
    prediction = bank.predict(slots, h_first[None], NO_MEAN)
    loss, d_prediction = squared_error(prediction.h, h_last[None], torch.ones(1, len(h_first)))
    bank.train(slots, prediction, d_prediction, torch.tensor([True]))
    return loss.item()


def weights_of(bank: DistillerBank, slot: int) -> list[torch.Tensor]:
    return [weight.slots[slot].value for block in bank._blocks for weight in block]


def assert_same(bank: DistillerBank, slot: int, reference: ReferenceDistiller) -> None:
    ours = torch.cat([weight.flatten() for weight in weights_of(bank, slot)])
    theirs = torch.cat([weight.flatten() for block in reference.blocks for weight in block]).detach()
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=2e-5)


def falls(losses: list[float]) -> bool:
    """Whether each quarter's mean is below the one before it."""
    quarter = len(losses) // 4
    means = [sum(losses[i * quarter : (i + 1) * quarter]) / quarter for i in range(4)]
    return all(after < before for before, after in pairwise(means))


HEAD = random(11, D, seed=5)


def vocabulary_kl(prediction: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
    reference = (h_last @ HEAD.double().T).log_softmax(-1)
    learned = (prediction @ HEAD.double().T).log_softmax(-1)
    return torch.nn.functional.kl_div(learned, reference, reduction="batchmean", log_target=True)


@pytest.mark.parametrize("objective", ["squared_error", "vocabulary"])
@pytest.mark.parametrize(("input_norm", "batched"), [(True, False), (False, True)])
@pytest.mark.parametrize("scale", [0.01, 3.0])  # gradients that are clipped seldom, and always
@torch.inference_mode()
def test_the_bank_learns_as_autograd_and_torchs_adam_do(
    objective: str, input_norm: bool, batched: bool, scale: float
) -> None:
    """Three slots worked on together for 60 steps: each with its own rows, empty cells, and steps where it is idle."""
    num_slots, num_cells = 3, 5
    bank = bank_of(num_slots, input_norm=input_norm, batched=batched)
    ours, loss = {
        "squared_error": (squared_error, reference_squared_error),
        "vocabulary": (VocabularyKL(HEAD), vocabulary_kl),
    }[objective]
    with torch.inference_mode(False):
        references = [
            ReferenceDistiller(D, W, learning_rate=RATE, input_norm=input_norm, loss=loss) for _ in range(num_slots)
        ]
    for step in range(60):
        counts = [1 + (step + slot) % num_cells for slot in range(num_slots)]
        trains = [(step + slot) % 4 > 0 for slot in range(num_slots)]
        h_first, h_last, mask = torch.zeros(3, 5, D), torch.zeros(3, 5, D), torch.zeros(3, 5)
        with torch.inference_mode(False):
            rows = [rows_of(step, slot, count, scale) for slot, count in enumerate(counts)]
        for slot, (first, last) in enumerate(rows):
            h_first[slot, : len(first)], h_last[slot, : len(last)] = first, last
            mask[slot, : len(first)] = float(trains[slot])
        prediction = bank.predict(range(3), h_first, NO_MEAN)
        losses, d_prediction = ours(prediction.h, h_last, mask)
        bank.train(range(3), prediction, d_prediction, torch.tensor(trains))
        for slot, reference in enumerate(references):
            with torch.inference_mode(False), torch.enable_grad():
                predicted = reference.predict(rows[slot][0]).detach()
                if trains[slot]:
                    reference.step(*rows[slot], beta=0.25)
                expected = reference.losses[-1] if trains[slot] else 0.0
            torch.testing.assert_close(prediction.h[slot, : counts[slot]].double(), predicted, rtol=1e-4, atol=1e-4)
            assert losses[slot].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    for slot, reference in enumerate(references):
        assert_same(bank, slot, reference)


def test_the_loss_is_the_mean_over_rows_of_the_squared_distance() -> None:
    prediction = torch.tensor([[[1.0, 2.0], [0.0, 0.0], [9.0, 9.0]], [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]])
    h_last = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    mask = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    loss, gradient = squared_error(prediction, h_last, mask)
    assert loss.tolist() == [(4 + 25) / 2, 0.0]
    assert gradient[0].tolist() == [[0.0, 2.0], [-3.0, -4.0], [0.0, 0.0]]
    assert not gradient[1].any()


def test_the_input_is_scaled_to_a_root_mean_square_of_one() -> None:
    rows = rms_normalised(torch.tensor([[3.0, -4.0], [300.0, 400.0], [0.0, 0.0]]))
    root = (12.5) ** 0.5
    torch.testing.assert_close(rows, torch.tensor([[3 / root, -4 / root], [3 / root, 4 / root], [0, 0]]))


def test_the_gradients_norm_is_known_before_the_gradients() -> None:
    terms = [Term(None, random(2, 7, 5, seed=i), random(2, 9, 5, seed=i + 9)) for i in range(4)]
    formed = [a @ b.mT for _, a, b in terms]
    expected = torch.stack([torch.cat([g[slot].flatten() for g in formed]).norm() for slot in range(2)])
    for batched in (False, True):
        torch.testing.assert_close(bank_of(batched=batched)._norm(terms), expected)


@torch.inference_mode()
def test_a_slots_number_and_its_neighbours_change_nothing() -> None:
    alone, crowded = bank_of(), bank_of(3)
    for step in range(20):
        h_first, h_last = rows_of(step, 0, 4)
        learn(crowded, 0, *rows_of(step, 8, 2))
        assert learn(alone, 0, h_first, h_last) == learn(crowded, 2, h_first, h_last)
    assert all(map(torch.equal, weights_of(alone, 0), weights_of(crowded, 2)))


@torch.inference_mode()
def test_a_slot_that_is_used_again_is_as_good_as_new() -> None:
    used, new = bank_of(2), bank_of(2)
    for step in range(10):
        learn(used, 1, *rows_of(step, 3, 4))
    used.reset(1)
    for step in range(10):
        rows = rows_of(step, 0, 3)
        assert learn(used, 1, *rows) == learn(new, 1, *rows)


@torch.inference_mode()
@pytest.mark.parametrize("slot", [0, 1])
def test_the_loss_falls_on_what_can_be_learnt(slot: int) -> None:
    bank = bank_of(2, rate=4e-4)
    losses = [learn(bank, slot, *rows_of(step, slot, 16)) for step in range(400)]
    assert falls(losses)


@torch.inference_mode()
def test_every_row_has_a_prediction_of_its_own() -> None:
    bank = bank_of()
    for step in range(50):
        learn(bank, 0, *rows_of(step, 0, 8))
    predicted = bank.predict([0], rows_of(99, 0, 8)[0][None], NO_MEAN).h[0]
    assert torch.pdist(predicted).min() > 0.1


@torch.inference_mode()
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_rows_that_are_no_finite_numbers_teach_nothing(bad: float) -> None:
    bank, other = bank_of(), bank_of()
    for step in range(6):
        h_first, h_last = rows_of(step, 0, 3)
        if step == 3:
            spoilt = h_last.clone()
            spoilt[1, 2] = bad
            learn(bank, 0, h_first, spoilt)
        assert learn(bank, 0, h_first, h_last) == learn(other, 0, h_first, h_last)


def test_the_device_is_never_asked_anything() -> None:
    """A fake tensor has no numbers: whatever needs one, as a host that waits for its device does, raises."""
    with FakeTensorMode(), torch.no_grad():
        bank = bank_of(2, batched=True)
        prediction = bank.predict(range(2), torch.zeros(2, 3, D), torch.zeros(2, 1, D))
        loss, d_prediction = squared_error(prediction.h, torch.zeros(2, 3, D), torch.zeros(2, 3))
        bank.train(range(2), prediction, d_prediction, torch.zeros(2) > 0)
        bank.reset(1)
        with pytest.raises(Exception, match="_local_scalar_dense"):
            loss[0].item()


def test_memory_is_that_of_weights_moments_and_scratch() -> None:
    weights = 2 * 3 * D * W
    assert bank_of(4).memory_bytes == 4 * (3 * 4 * weights + weights + weights // 2)
