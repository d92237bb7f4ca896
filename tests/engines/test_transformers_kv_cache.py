from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.transformers.decoder import inputs_of  # noqa: E402  # after the skip
from tts.engines.transformers.kv_cache import KVBudget, Prefixes, RowCache  # noqa: E402  # as above
from tts.engines.transformers.skinny_linear import SkinnyLinear, make_skinny  # noqa: E402  # as above


def prefix(num_tokens: int, value: float):
    return [(torch.full((1, 2, num_tokens, 4), value), torch.full((1, 2, num_tokens, 3), -value)) for _ in range(2)]


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
    cache = RowCache(prefix(1, 0.0), num_rows=3, max_capacity=256)
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
    cache = RowCache(prefix(1, 0.0), num_rows=2, max_capacity=192)
    cache.put(1, prefix(3, 4.0))
    cache.reserve(130)
    assert cache.capacity == 192
    assert cache.layers[0].keys.shape == (2, 2, 192, 4)
    assert cache.layers[1].values[1, 0, :4, 0].tolist() == [-4, -4, -4, 0]


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
