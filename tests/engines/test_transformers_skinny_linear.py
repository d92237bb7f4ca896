"""Linear layers on processors whose BLAS sums otherwise for other numbers of rows: the same bits for every row."""

from __future__ import annotations

import pytest
from transformers_parts import assert_as_promised, by_key, request_for, run, save_random_model

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.transformers import TransformersEngine  # noqa: E402  # after the skip
from tts.engines.transformers.skinny_linear import Shape, SkinnyLinear, make_skinny, settle  # noqa: E402  # as above

SIZES = (1, 2, 3, 5, 8, 11, 12, 13, 16, 32, 48, 64)


FOUR, EIGHT, PLAIN = Shape(4, swapped=False), Shape(8, swapped=False), Shape(64, swapped=False)
FROM_12 = {size: Shape(size, swapped=True) for size in SIZES if size >= 12}


def epyc(num_rows: int, place: int, swapped: bool) -> int:
    """Which kernel an AMD EPYC (AVX-512, MKL 2024.2) takes for a row: {1}, {2, 3}, {4 … 11}, {12 …}.

    Up to 11, those behind the last multiple of four are computed as 2 or 3 are. In the other order the last kernel is
    taken from 4 on.
    """
    if num_rows < 4:
        return min(num_rows, 2)
    if num_rows >= 12:
        return 4
    return 2 if place >= num_rows // 4 * 4 else 3 if swapped else 4


def apart(num_rows: int, place: int, swapped: bool) -> int:
    """The same where the other order has no kernel in common with this one."""
    return epyc(num_rows, place, swapped) + 5 * (not swapped)


def compatible(num_rows: int, *_: object) -> int:
    """The same with MKL_CBWR=COMPATIBLE, as far as the first rows go: {1}, {2, 3}, {4 … 7}, {8 …}, in either order."""
    return sum(num_rows >= least for least in (2, 4, 8))


def hopeless(_num_rows: int, place: int, _swapped: bool) -> int:
    """Every place has a kernel of its own."""
    return place


@pytest.fixture
def on_processor(monkeypatch):
    """Lets products come out as on the processor given: exact, then changed in the last bits by their row's kernel."""

    def pick(kernel) -> None:
        def rounded(rows, weight, *, swapped):
            exact = (rows.double() @ weight.double().t()).float()
            kernels = torch.tensor([kernel(len(rows), place, swapped) for place in range(len(rows))])
            return exact * (1 + kernels.unsqueeze(1) * 2.0**-22)

        def mm(weight, columns):
            return rounded(columns.t(), weight, swapped=True).t()

        def addmm(bias, weight, columns):
            return mm(weight, columns) + bias

        def linear(inputs, weight, bias=None):
            product = rounded(inputs.flatten(0, -2), weight, swapped=False).view(*inputs.shape[:-1], -1)
            return product if bias is None else product + bias

        monkeypatch.setattr(torch, "mm", mm)
        monkeypatch.setattr(torch, "addmm", addmm)
        monkeypatch.setattr(torch.nn.functional, "linear", linear)

    return pick


def layers() -> torch.nn.Sequential:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 48), torch.nn.Linear(48, 48, bias=False), torch.nn.Linear(48, 20))
    make_skinny(model)
    return model


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (epyc, {1: FOUR, 2: FOUR, 3: FOUR, 5: EIGHT, 8: EIGHT, 11: Shape(12, swapped=True), **FROM_12, 64: PLAIN}),
        (apart, {size: Shape(max(size, 12), swapped=True) for size in SIZES}),
        (compatible, {size: Shape(max(size, 8), swapped=size < 64) for size in SIZES}),
    ],
)
@torch.inference_mode()
def test_every_number_of_rows_gets_a_shape_in_which_a_row_has_the_same_bits(on_processor, processor, expected):
    on_processor(processor)
    model = layers()
    settle(model, SIZES)
    assert model[0].shapes == model[1].shapes == model[2].shapes == expected
    rows = torch.randn(64, 1, 32)
    whole = model(rows)
    for size in SIZES:
        for start in (0, 64 - size):
            assert torch.equal(model(rows[start : start + size]), whole[start : start + size])


@torch.inference_mode()
def test_where_no_shape_serves_products_are_as_they_were(on_processor):
    on_processor(hopeless)
    model = layers()
    settle(model, SIZES)
    assert not model[0].shapes
    assert not torch.equal(model(torch.ones(5, 1, 32))[0], model(torch.ones(5, 1, 32))[4])


@pytest.mark.parametrize("num_rows", [1, 3, 4, 12, 48, 49, 70])
@pytest.mark.parametrize("bias", [True, False])
def test_it_computes_what_a_linear_layer_does(num_rows, bias):
    plain = torch.nn.Linear(24, 40, bias=bias)
    model = torch.nn.Sequential(torch.nn.Linear(24, 40, bias=bias))
    model[0].load_state_dict(plain.state_dict())
    make_skinny(model)
    settle(model, [num_rows])
    assert type(model[0]) is SkinnyLinear
    for shape in ((num_rows, 1, 24), (1, num_rows, 24), (num_rows, 24)):
        inputs = torch.randn(shape)
        with torch.inference_mode():
            torch.testing.assert_close(model(inputs), plain(inputs))


@pytest.mark.parametrize(
    ("processor", "promise"), [(epyc, "deterministic"), (apart, "deterministic"), (hopeless, "near_deterministic")]
)
@pytest.mark.parametrize("batch_size", [5, 16])
def test_the_engine_promises_what_the_processor_allows(tiny_model, on_processor, processor, promise, batch_size):
    on_processor(processor)
    engine = TransformersEngine(model=str(tiny_model), device="cpu", batch_size=batch_size)
    assert {"deterministic", "near_deterministic"} & engine.capabilities() == {"near_deterministic"}  # not known yet
    with engine:
        assert {"deterministic", "near_deterministic"} & engine.capabilities() == {promise}
        requests = [
            request_for(p, i, temperature=0.8, seed=9 * i) for p in ("a", "How many?", "ü€日") for i in range(6)
        ]
        together, backwards = by_key(run(engine, requests)), by_key(run(engine, requests[::-1]))
        assert_as_promised(engine, together, backwards)
        assert (together == backwards) == (promise == "deterministic")


def test_on_a_processor_with_row_classes_the_batch_size_changes_no_bit(tiny_model, on_processor):
    on_processor(epyc)
    requests = [request_for(p, i, temperature=0.8, seed=9 * i) for p in ("a", "How many?") for i in range(4)]
    found = []
    for batch_size in (1, 3, 8, 16):
        with TransformersEngine(model=str(tiny_model), device="cpu", batch_size=batch_size) as engine:
            found.append(by_key(run(engine, requests)))
    assert found[0] == found[1] == found[2] == found[3]


SIZES_OF_A_MODEL = {
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}


@pytest.mark.parametrize(("family", "batch_size"), [("Llama", 3), ("Llama", 5), ("Mixtral", 4), ("Qwen2", 3)])
def test_what_is_promised_holds_for_parts_of_a_model_that_are_no_products(tmp_path, family, batch_size):
    """Vectors that are no multiple of the processor's own length, and experts that are shared among rows."""
    import transformers

    experts = {"num_local_experts": 4} if family == "Mixtral" else {}
    save_random_model(tmp_path, getattr(transformers, f"{family}Config"), **SIZES_OF_A_MODEL, **experts)
    requests = [request_for(p, i, temperature=0.8, seed=9 * i) for p in ("a", "How many?", "ü") for i in range(4)]
    with TransformersEngine(model=str(tmp_path), device="cpu", batch_size=batch_size, num_threads=1) as engine:
        together = by_key(run(engine, requests))
        for place in range(0, len(requests), 3):
            assert_as_promised(engine, by_key(run(engine, requests[place : place + 2])), together)
