"""The attention of decoding steps beside torch's own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.transformers.row_attention import attend  # noqa: E402  # after the skip


class Module:
    """What transformers reads of an attention layer."""

    is_causal = True

    def __init__(self, num_key_value_groups: int) -> None:
        self.num_key_value_groups = num_key_value_groups


@pytest.mark.parametrize(("num_heads", "num_key_heads"), [(9, 3), (4, 4), (6, 1)])
@pytest.mark.parametrize(("num_rows", "length"), [(1, 64), (5, 128)])
def test_a_step_is_the_softmax_of_the_scores_in_float64(num_heads, num_key_heads, num_rows, length):
    torch.manual_seed(0)
    group = num_heads // num_key_heads
    query = torch.randn(num_rows, num_heads, 1, 16)
    key, value = (torch.randn(num_rows, num_key_heads, length + 64, size)[:, :, :length] for size in (16, 24))
    hidden = torch.arange(length) > torch.randint(0, length, (num_rows, 1))
    mask = torch.zeros(num_rows, length).masked_fill(hidden, torch.finfo(torch.float32).min)[:, None, None]
    attended, _ = attend(Module(group), query, key, value, mask, scaling=0.3)
    assert attended.shape == (num_rows, 1, num_heads, 24)
    for row in range(num_rows):
        for head in range(num_heads):
            seen = ~hidden[row]
            keys, values = (part[row, head // group].double()[seen] for part in (key, value))
            expected = (keys @ query[row, head, 0].double() * 0.3).softmax(-1) @ values
            torch.testing.assert_close(attended[row, 0, head].double(), expected, rtol=1e-5, atol=1e-5)


def test_a_row_has_the_same_bits_in_every_place():
    """Sizes at which torch's own kernel depends on which of two threads computes the row."""
    torch.manual_seed(0)
    query, key, value = torch.randn(1, 9, 1, 64), torch.randn(1, 3, 128, 64), torch.randn(1, 3, 128, 64)
    rows = [part.repeat(13, 1, 1, 1) for part in (query, key, value)]
    attended, _ = attend(Module(3), *rows, torch.zeros(13, 1, 1, 128))
    assert (attended == attended[0]).all()


def test_prompts_are_left_to_torch():
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 7, 8) for _ in range(3))
    attended, _ = attend(Module(1), query, key, value, None, is_causal=True)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(attended, expected.transpose(1, 2))
