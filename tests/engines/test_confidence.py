"""Confidence by worked numbers, against its slow twin, and in the embedded engine against the model itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.confidence import (  # noqa: E402  # after the skip
    confidence_figures,
    confidences_for,
    refusal_of,
    token_confidences,
)
from tts.engines.vllm.certainty import MOST_RELEASED, Certainties  # noqa: E402  # as above
from tts.types import ConfidenceFloor  # noqa: E402  # as above


def logits_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log() + 3


def test_a_peaked_distribution_is_more_confident_than_a_flat_one():
    assert token_confidences(logits_of(0.7, 0.2, 0.1)).tolist() == pytest.approx([1.4229], abs=1e-4)
    assert token_confidences(logits_of(1 / 3, 1 / 3, 1 / 3)).tolist() == pytest.approx([math.log(3)], abs=1e-5)


def test_only_the_20_likeliest_tokens_count():
    likeliest = [0.9, *[0.09 / 19] * 19]
    rest = [0.01 / 100] * 100
    expected = -sum(map(math.log, likeliest)) / 20
    assert token_confidences(logits_of(*likeliest, *rest)).tolist() == pytest.approx([expected], rel=1e-5)


def test_the_figures_of_six_tokens_in_windows_of_two():
    figures = confidence_figures((4, 3, 1, 2, 6, 5), 2)  # windows: 3.5, 2, 1.5, 4, 5.5
    assert figures == pytest.approx(
        {"mean_confidence": 3.5, "tail_confidence": 5.5, "least_confidence": 1.5, "bottom_confidence": 1.5}
    )
    assert confidence_figures((4, 3, 1, 2, 6, 5), 2, bottom=0.4)["bottom_confidence"] == pytest.approx(1.75)


def test_a_trace_shorter_than_the_window_is_scored_by_its_mean():
    assert set(confidence_figures((1.0, 2.0, 6.0), 2048).values()) == {3.0}
    assert confidence_figures((), 2048) == {}
    assert confidence_figures((1.0, math.inf), 2048) == {}


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60), st.integers(1, 70))
def test_the_figures_agree_with_their_slow_twin(confidences: list[float], window: int):
    span = min(window, len(confidences))
    means = sorted(sum(confidences[at : at + span]) / span for at in range(len(confidences) - span + 1))
    lowest = means[: max(1, len(means) // 10)]
    assert confidence_figures(confidences, window) == pytest.approx(
        {
            "mean_confidence": sum(confidences) / len(confidences),
            "tail_confidence": sum(confidences[-span:]) / span,
            "least_confidence": means[0],
            "bottom_confidence": sum(lowest) / len(lowest),
        },
        abs=1e-9,
    )


FLOORS = st.builds(ConfidenceFloor, st.integers(1, 5), st.sampled_from((1, 3, 20)), st.sampled_from((0.0, 2.5, 3.0)))


def test_each_row_is_measured_as_its_floor_says():
    logits = torch.randn(4, 30, generator=torch.Generator().manual_seed(0))
    floors = [ConfidenceFloor(8, 20), None, ConfidenceFloor(8, 3), ConfidenceFloor(2, 20)]
    found = confidences_for(logits, floors)
    for row, floor in enumerate(floors):
        if floor is not None:
            assert found[row] == token_confidences(logits[row : row + 1], floor.top_k)[0]
    assert confidences_for(logits, [None] * 4) is None


@pytest.mark.parametrize(
    ("floor", "told"),
    [
        (ConfidenceFloor(0, 20, 1.0), "got 0, 20 and 1.0"),
        (ConfidenceFloor(8, 0, 1.0), "got 8, 0 and 1.0"),
        (ConfidenceFloor(8, 20, -1.0), "threshold from 0 on"),
        (ConfidenceFloor(8, 20, math.nan), "finite threshold"),
    ],
)
def test_a_floor_that_means_nothing_is_refused(floor: ConfidenceFloor, told: str):
    assert told in str(refusal_of(floor))
    assert refusal_of(ConfidenceFloor(8, 20, 0.0)) is None


def drawn_together(floors: list[ConfidenceFloor | None], num_steps: int, **keys: bool):
    """Steps of rows of random logits, of which some sit out now and then; what is kept of them, and what fell when."""
    chance, kept = torch.Generator().manual_seed(num_steps), Certainties(**keys)
    logits: dict[str, list[torch.Tensor]] = {str(row): [] for row in range(len(floors))}
    fell: dict[str, int] = {}
    for step in range(num_steps):
        names = [name for row, name in enumerate(logits) if (step + row) % 4]  # the others are preempted
        numbers = [len(logits[name]) for name in names]
        drawn = torch.randn(len(names), 30, generator=chance)
        for name, row in zip(names, drawn, strict=True):
            logits[name].append(row)
        fallen = kept.add(names, drawn, [floors[int(name)] for name in names], numbers)
        for name, number, is_below in zip(names, numbers, fallen if fallen is not None else (), strict=False):
            if is_below:
                fell.setdefault(name, number)
    return kept, logits, fell


@given(st.lists(st.none() | FLOORS, min_size=1, max_size=12), st.integers(1, 12))
@settings(max_examples=40)
def test_a_row_falls_where_its_own_last_window_is_below_its_floor(floors: list[ConfidenceFloor | None], num: int):
    kept, logits, fell = drawn_together(floors, num)
    for name, rows in logits.items():
        floor = floors[int(name)]
        values = [] if floor is None else [float(token_confidences(row[None], floor.top_k)) for row in rows]
        window = 0 if floor is None else floor.window
        means = [sum(values[end - window : end]) / window for end in range(window, len(values) + 1)] if floor else []
        below = [place + window - 1 for place, mean in enumerate(means) if floor and mean < floor.threshold]
        assert fell.get(name) == (below[0] if below else None)
        figures = kept.take(name, below[0] + 1 if below else len(rows))
        assert ("abandoned" in figures) is bool(below)
        if floor is not None and rows:
            measured = values[: below[0] + 1] if below else values
            assert {one: figures[one] for one in figures if one.endswith("_confidence")} == pytest.approx(
                confidence_figures(measured, window), abs=1e-4
            )


def test_what_vllm_keeps_between_steps_is_what_the_tokens_say():
    for self_certainty, floor in ((True, None), (True, ConfidenceFloor(8)), (False, ConfidenceFloor(8))):
        kept, logits, _ = drawn_together([floor] * 3, 90, self_certainty=self_certainty)
        for name, rows in logits.items():
            expected = {}
            if self_certainty:
                each = [float(one.logsumexp(-1) - one.mean() - math.log(30)) for one in rows]
                expected["self_certainty"] = sum(each) / len(each)
            if floor:
                expected |= confidence_figures([float(token_confidences(one[None])) for one in rows], floor.window)
            assert kept.take(name, len(rows)) == pytest.approx(expected, abs=1e-5)
            assert kept.take(name, len(rows)) == {}


def test_what_a_request_drew_behind_its_end_is_no_figure_of_it():
    kept, floor = Certainties(self_certainty=False), ConfidenceFloor(1, 20, 2.0)
    sure, unsure = torch.zeros(1, 30), torch.zeros(1, 30)
    sure[0, 0] = 9.0
    for number, logits in enumerate((sure, sure, unsure)):
        fallen = kept.add(["a"], logits, [ConfidenceFloor(1, 20, 4.0)], [number])
        assert fallen is not None
        assert bool(fallen[0]) is (number == 2)
    figures = kept.take("a", 2)
    assert "abandoned" not in figures
    assert figures["least_confidence"] == pytest.approx(float(token_confidences(sure)))
    assert not kept.add(["b"], unsure, [floor], [0])[0]


def test_slots_are_given_back_and_figures_of_requests_that_nobody_asks_for_are_let_go():
    kept, floor = Certainties(self_certainty=False), ConfidenceFloor(2, 20, 1.0)
    for number in range(MOST_RELEASED + 70):
        kept.add([str(number)], torch.zeros(1, 30), [floor], [0])
        kept.release(str(number))
    assert len(kept._floors._rings[2]) == 8
    assert len(kept._confidences) <= MOST_RELEASED + 70 - 64
    assert kept.take("0", 1) == {}
    assert "mean_confidence" in kept.take(str(MOST_RELEASED + 69), 1)
