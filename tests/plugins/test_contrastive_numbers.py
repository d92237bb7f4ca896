"""Contrastive decoding by worked numbers: the fusion is ESamp's, the amateur's logits are q."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from hypothesis import given, settings  # noqa: E402  # after the skip
from hypothesis import strategies as st  # noqa: E402  # as above

from tts.engines.filters import Filters  # noqa: E402  # as above
from tts.plugins.contrastive.plausibility import plausible  # noqa: E402  # as above
from tts.plugins.esamp.fusion import fuse  # noqa: E402  # as above
from tts.types import Decoding  # noqa: E402  # as above

EXPERT = torch.tensor([3.0, 2.5, 1.0, -1.0])
AMATEUR = torch.tensor([3.0, 1.0, 1.0, -3.0])


def test_the_second_token_overtakes_and_the_implausible_one_is_out() -> None:
    """α 0.1, β 0.5: z = (3, 3.25, 1, −∞), p = (0.4133, 0.5307, 0.0559, 0)."""
    allowed = plausible(EXPERT, 0.1)
    assert allowed.tolist() == [True, True, True, False]
    fused = fuse(EXPERT, AMATEUR, 0.5).masked_fill(~allowed, -torch.inf)
    assert fused.tolist() == [3.0, 3.25, 1.0, -math.inf]
    assert fused.softmax(-1).tolist() == pytest.approx([0.4133, 0.5307, 0.0559, 0.0], abs=1e-4)


def test_li_s_score_is_where_the_fusion_tends_to_for_a_large_beta() -> None:
    """log p_expert − log p_amateur, the amateur at τ 0.5: (−0.529, 2.971, 1.471, −∞)."""
    expert, amateur = EXPERT.log_softmax(-1), (AMATEUR / 0.5).log_softmax(-1)
    score = (expert - amateur).masked_fill(~plausible(EXPERT, 0.1), -torch.inf)
    assert score.tolist() == pytest.approx([-0.529, 2.971, 1.471, -math.inf], abs=1e-3)
    fused = fuse(expert, amateur, 1e4) / 1e4
    assert fused[:3].tolist() == pytest.approx(score[:3].tolist(), abs=1e-3)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12), st.floats(1e-3, 1 - 1e-3))
def test_what_is_plausible_is_what_min_p_keeps_at_temperature_1(logits: list[float], alpha: float) -> None:
    row = torch.tensor([logits])
    kept = Filters.of([Decoding(max_tokens=1, temperature=1.0, min_p=alpha)], row.device).weights(row) > 0
    near = (row - row.max() - math.log(alpha)).abs() < 1e-5  # rounding may decide
    assert torch.equal(plausible(row, alpha) | near, kept | near)


@pytest.mark.parametrize(("alpha", "kept"), [(0.0, 4), (1.0, 1)])
def test_the_ends_of_alpha_keep_all_and_the_likeliest(alpha: float, kept: int) -> None:
    assert plausible(EXPERT, alpha).sum() == kept
