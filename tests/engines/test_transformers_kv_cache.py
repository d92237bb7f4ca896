from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.transformers.decoder import inputs_of  # noqa: E402  # after the skip
from tts.engines.transformers.kv_cache import (  # noqa: E402  # as above
    KVBudget,
    LayerMemory,
    Prefix,
    Prefixes,
    RowCache,
    visible_mask,
)
from tts.engines.transformers.skinny_linear import SkinnyLinear, make_skinny  # noqa: E402  # as above


def prefix(num_tokens: int, value: float):
    part = torch.full((1, 2, num_tokens, 4), value), torch.full((1, 2, num_tokens, 3), -value)
    return Prefix(num_tokens, [part, part])


LAYERS = [LayerMemory(torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 1, 3))] * 2


def test_the_budget_halves_the_rows_until_the_longest_fits():
    budget = KVBudget(num_bytes=9 * 640 * 10, bytes_per_token=10, batch_size=8)  # 5760 tokens in all
    assert budget.tokens_per_row(8) == 640  # 9 shares: 8 rows and one for prompts
    assert [budget.rows_for(n) for n in (1, 640, 641, 1152, 1153, 1920, 2880, 2881)] == [8, 8, 4, 4, 2, 2, 1, 0]


def test_a_budget_of_odd_size_is_cut_to_whole_blocks():
    budget = KVBudget(num_bytes=1000, bytes_per_token=3, batch_size=3)
    assert budget.tokens_per_row(3) == 64  # 1000 // 12 = 83 tokens
    assert [budget.rows_for(n) for n in (64, 65, 128, 129)] == [3, 1, 1, 0]


def test_prompts_are_computed_once_while_they_fit_and_the_oldest_goes_first():
    computed = []
    prefixes = Prefixes(lambda ids, _: computed.append(ids) or prefix(len(ids), 1.0))
    found = [prefixes.get((ids,), max_tokens=5)[1] for ids in ((1, 2), (3, 4), (1, 2), (5, 6), (1, 2), (3, 4))]
    assert computed == [(1, 2), (3, 4), (5, 6), (3, 4)]
    assert found == [0, 0, 2, 0, 2, 0]


def test_what_goes_on_from_a_stored_beginning_is_computed_behind_it_alone():
    computed = []
    prefixes = Prefixes(lambda ids, after: computed.append((ids, after)) or f"{after or ''}{ids}")
    prefixes.get(((1, 2), (3,)), max_tokens=100)
    assert prefixes.get(((1, 2), (3,), (4, 5)), max_tokens=100) == ("(1, 2)(3,)(4, 5)", 3)
    assert prefixes.get(((1, 2), (6,)), max_tokens=100) == ("(1, 2)(6,)", 2)
    assert computed == [((1, 2), None), ((3,), "(1, 2)"), ((4, 5), "(1, 2)(3,)"), ((6,), "(1, 2)")]


def test_chunks_are_cut_so_that_a_parents_are_the_beginning_of_its_childrens():
    assert inputs_of(((1, 2, 3),)) == ((1, 2),)
    assert inputs_of(((1, 2, 3), (4, 5))) == ((1, 2), (3, 4))
    assert inputs_of(((1, 2, 3), (4, 5), (6,))) == ((1, 2), (3, 4), (5,))
    assert inputs_of(((1,), (2,))) == ((1,),)
    assert inputs_of(((1,),)) == ()


def test_rows_of_different_lengths_keep_what_was_written():
    cache = RowCache(LAYERS, num_rows=3, max_capacity=256)
    cache.put(0, prefix(5, 1.0))
    cache.put(2, prefix(100, 2.0))
    cache.point(torch.tensor([5, 0, 100]), longest=101)
    keys, values = cache.update(torch.full((3, 2, 1, 4), 7.0), torch.full((3, 2, 1, 3), 8.0), layer_idx=1)
    assert keys.shape == (3, 2, 128, 4)
    assert values.shape == (3, 2, 128, 3)
    assert keys[0, 0, :7, 0].tolist() == [1, 1, 1, 1, 1, 7, 0]
    assert keys[1, 1, :2, 0].tolist() == [7, 0]
    assert values[2, 1, 98:102, 2].tolist() == [-2, -2, 8, 0]


def test_growing_keeps_the_rows_and_stops_at_the_bound():
    cache = RowCache(LAYERS, num_rows=2, max_capacity=192)
    cache.put(1, prefix(3, 4.0))
    cache.reserve(130)
    assert cache.capacity == 192
    assert cache.layers[0].keys.shape == (2, 2, 192, 4)
    assert cache.layers[1].values[1, 0, :4, 0].tolist() == [-4, -4, -4, 0]


def rolling(window: int, kind: str = "sliding_attention") -> LayerMemory:
    return LayerMemory(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), window, kind)


def counted(num_tokens: int, kept: int):
    """Keys and values of the last `kept` tokens; each is the position's own number."""
    numbers = torch.arange(num_tokens - kept, num_tokens, dtype=torch.float32).view(1, 1, kept, 1)
    return Prefix(num_tokens, [(numbers, numbers)])


def test_a_layer_with_a_window_keeps_whole_blocks_and_shows_the_window_alone():
    cache = RowCache([rolling(3)], num_rows=3, max_capacity=512)
    cache.put(0, counted(1, 1))
    cache.put(1, counted(70, 2))
    cache.put(2, counted(300, 2))
    positions = torch.tensor([1, 70, 300])
    cache.point(positions, longest=301)
    new = positions.float().view(3, 1, 1, 1)
    keys, _ = cache.update(new, new, layer_idx=0)
    assert keys.shape == (3, 1, 64, 1)  # of 301 tokens
    mask = cache.visible(torch.float32)["sliding_attention"]
    seen = [sorted(row[0, :, 0][hidden[0, 0] == 0].tolist()) for row, hidden in zip(keys, mask, strict=True)]
    assert seen == [[0, 1], [68, 69, 70], [298, 299, 300]]


def test_a_ring_sees_what_the_plain_order_sees():
    positions = torch.tensor([0, 5, 63, 64, 130, 500])
    for window in (1, 2, 63, 64, 65, 128, 129):
        ring = -(-window // 64) * 64
        seen = visible_mask(positions, 512, torch.float32, window)[:, 0, 0] == 0
        for position, row in zip(positions.tolist(), seen, strict=True):
            expected = {p % ring for p in range(max(0, position - window + 1), position + 1)}
            assert set(row.nonzero()[:, 0].tolist()) == expected


def test_each_kind_of_layer_has_a_mask_of_its_name_and_a_model_without_windows_one_for_all():
    full, part = LayerMemory(*[torch.zeros(1, 1, 1, 1)] * 2, kind="full_attention"), rolling(4)
    for layers, shapes in (
        ([full, part, full], {"full_attention": (2, 1, 1, 128), "sliding_attention": (2, 1, 1, 64)}),
        ([part, part], {"sliding_attention": (2, 1, 1, 64)}),
    ):
        cache = RowCache(layers, 2, 256)
        cache.point(torch.tensor([3, 100]), longest=101)
        assert {kind: tuple(mask.shape) for kind, mask in cache.visible(torch.float32).items()} == shapes
    for layers in ([full, full], [rolling(64, None)]):
        cache = RowCache(layers, 2, 256)
        cache.point(torch.tensor([3, 100]), longest=101)
        assert cache.visible(torch.float32).shape == (2, 1, 1, 128 if layers[0] is full else 64)


def test_a_budget_counts_of_a_ring_what_it_keeps():
    budget = KVBudget(num_bytes=100_000, bytes_per_token=10, batch_size=4, rings=((128, 6),))
    # 4 rows of n tokens: 4 * (4n + 6 * 128), and 10n for prompts
    assert budget.tokens_per_row(4) == 3712  # (100,000 - 3072) / 26 = 3728
    assert KVBudget(100_000, 10, 4).tokens_per_row(4) == 1984  # 100,000 / 50 = 2000
    assert KVBudget.of(100_000, 4, [rolling(65), *LAYERS]) == KVBudget(100_000, 8 + 2 * 56, 4, ((128, 8),))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 6), (4, 1, 6), (48, 6), (3, 5, 6), (100, 6)])
def test_the_skinny_layer_computes_what_the_plain_one_does(bias, shape):
    torch.manual_seed(0)
    plain, model = torch.nn.Linear(6, 10, bias=bias), torch.nn.Sequential(torch.nn.Linear(6, 10, bias=bias))
    model.load_state_dict({f"0.{name}": value for name, value in plain.state_dict().items()})
    make_skinny(model)
    assert type(model[0]) is SkinnyLinear
    inputs = torch.randn(shape)
    torch.testing.assert_close(model(inputs), plain(inputs), rtol=1e-5, atol=1e-6)
    assert model(inputs).is_contiguous()
