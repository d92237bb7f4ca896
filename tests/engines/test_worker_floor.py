"""What vLLM's worker makes of a confidence floor, seen from its logits: the same in either of vLLM's runners."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.vllm.options import WorkerOptions  # noqa: E402  # after the skip
from tts.engines.vllm.request_values import values_of  # noqa: E402  # as above
from tts.engines.vllm.worker_plugin import Step, WorkerPlugin  # noqa: E402  # as above
from tts.plugins.esamp.core import StepRow  # noqa: E402  # as above

END, VOCABULARY, PROMPT = 7, 40, 5
SURE, UNSURE = torch.zeros(VOCABULARY), torch.zeros(VOCABULARY)
SURE[3] = 20.0


def params(**values: Any) -> SimpleNamespace:
    """A request's parameters as vLLM hands them to a worker."""
    return SimpleNamespace(
        extra_args=values, temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, seed=1, all_stop_token_ids={END, 30},
        ignore_eos=False, min_tokens=0, allowed_token_ids=None, structured_outputs=None,
    )  # fmt: skip


def plugin(*, drafts: bool = False, **options: Any) -> WorkerPlugin:
    return WorkerPlugin(
        WorkerOptions(**options), lambda hidden: hidden, hidden_size=4, max_rows=8, device=torch.device("cpu"),
        head=None, drafts=drafts,
    )  # fmt: skip


def drawn(worker: WorkerPlugin, number: int, rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Let these requests draw their token of this number; return what vLLM would draw from. One place is no row's."""
    names = list(rows)
    places = [place + 1 for place in range(len(names))]
    worker.begin(Step(places, [StepRow(name, PROMPT - 1 + number, PROMPT) for name in names]))
    logits = torch.stack([UNSURE, *rows.values()])
    worker.measure(logits)
    shaped = worker.shape(logits.clone())
    assert torch.equal(shaped[0], UNSURE)
    return dict(zip(names, shaped[1:], strict=True))


FLOOR = {"floor_threshold": 5.0, "floor_window": 2}


def test_of_a_row_below_its_floor_the_end_token_alone_is_left_and_other_rows_stay_as_they_are():
    worker = plugin()
    for name, values in {"floored": FLOOR, "plain": {}, "narrow": {**FLOOR, "top_n_sigma": 0.5}}.items():
        worker.admit(name, params(tts_id=name, **values))
    rows = {"floored": SURE, "plain": UNSURE, "narrow": SURE}
    first = drawn(worker, 0, rows)
    assert torch.equal(first["floored"], SURE)
    unsure = dict.fromkeys(rows, UNSURE)
    second = drawn(worker, 1, unsure)  # one sure, one unsure token: the window's mean is above
    assert torch.equal(second["floored"], UNSURE)
    third = drawn(worker, 2, unsure)
    for name in ("floored", "narrow"):
        assert third[name].exp().nonzero().flatten().tolist() == [END]
    assert torch.equal(third["plain"], UNSURE)
    figures = worker.request_figures({"floored": 3, "plain": 3, "narrow": 3})
    assert figures["floored"]["abandoned"] == 1.0
    assert figures["floored"]["least_confidence"] == pytest.approx(float(torch.tensor(VOCABULARY).log()), abs=1e-4)
    assert figures["plain"] == {}


def test_a_request_that_was_preempted_goes_on_where_it_was():
    worker = plugin()
    worker.admit("a", params(**FLOOR))
    worker.admit("b", params(**FLOOR))
    drawn(worker, 0, {"a": UNSURE, "b": SURE})
    drawn(worker, 1, {"b": SURE})  # "a" waits
    worker.admit("a", params(**FLOOR))
    found = drawn(worker, 1, {"a": UNSURE})
    assert found["a"].exp().nonzero().flatten().tolist() == [END]


def test_a_slot_that_is_taken_over_says_nothing_of_the_one_before():
    worker = plugin()
    for number, name in enumerate("abcdefghijklmnop"):
        worker.admit(name, params(**FLOOR))
        assert torch.equal(drawn(worker, 0, {name: UNSURE})[name], UNSURE), number
        worker.release([name])


def test_without_floors_and_measures_nothing_is_looked_at_or_changed():
    worker = plugin()
    worker.admit("a", params())
    drawn(worker, 0, {"a": UNSURE})
    assert not worker.shapes
    assert worker.request_figures({"a": 1}) == {"a": {}}
    measuring = plugin(self_certainty=True, confidence_window=2)
    measuring.admit("a", params())
    drawn(measuring, 0, {"a": UNSURE})
    assert not measuring.shapes
    assert set(measuring.request_figures({"a": 1})["a"]) >= {"self_certainty", "mean_confidence"}


@pytest.mark.parametrize("worker", [plugin(drafts=True), plugin()])
def test_a_floor_that_no_step_could_hold_is_not_taken_on(worker: WorkerPlugin):
    asked = params(**FLOOR)
    if not worker._admissions._drafts:
        asked.all_stop_token_ids = set()
    worker.admit("a", asked)
    for number in range(4):
        assert torch.equal(drawn(worker, number, {"a": UNSURE})["a"], UNSURE)


@pytest.mark.parametrize(("key", "value"), [("ignore_eos", True), ("min_tokens", 3), ("allowed_token_ids", [1])])
def test_parameters_that_keep_a_request_from_ending_contradict_a_floor(key: str, value: Any):
    asked = params(**FLOOR)
    setattr(asked, key, value)
    with pytest.raises(ValueError, match=f"`{key}` must be left out where there is a `floor_threshold`"):
        values_of(asked)
    asked.extra_args = {}
    assert values_of(asked).floor is None
