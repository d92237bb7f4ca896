"""Confidence by worked numbers, against its slow twin, and in the embedded engine against the model itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.confidence import confidence_figures, token_confidences  # noqa: E402  # after the skip
from tts.engines.vllm.certainty import Certainties  # noqa: E402  # as above


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


def test_what_vllm_keeps_between_steps_is_what_the_tokens_say():
    steps = [torch.randn(2, 30, generator=torch.Generator().manual_seed(step)) for step in range(70)]
    for self_certainty, window in ((True, None), (True, 8), (False, 8)):
        kept = Certainties(self_certainty=self_certainty, window=window)
        for logits in steps:
            kept.add(["a", "b"], logits)
        for row, name in enumerate("ab"):
            expected = {}
            if self_certainty:
                each = [float(one[row].logsumexp(-1) - one[row].mean() - math.log(30)) for one in steps]
                expected["self_certainty"] = sum(each) / len(each)
            if window:
                expected |= confidence_figures([float(token_confidences(one)[row]) for one in steps], window)
            assert kept.take(name) == pytest.approx(expected, abs=1e-5)
            assert kept.take(name) == {}
