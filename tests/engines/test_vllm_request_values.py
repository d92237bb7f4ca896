"""What a request may ask of what runs inside vLLM, and what is told of one that goes without. No vLLM needed."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.engines.vllm.request_values import NUMBERS, RequestValues
from tts.engines.vllm.server_figures import ESampFigures
from tts.plugins.esamp.settings import ESampSettings

VALID = {
    "esamp_beta": 0.25,
    "esamp_group_size": 4,
    "top_n_sigma": 1.5,
    "first_token_temperature": 30.0,
    "first_token_top_k": 16,
    "high_temperature": 3.0,
    "floor_threshold": 2.5,
    "floor_window": 8,
    "floor_top_k": 20,
}


def test_every_number_may_come_as_text():
    assert sorted(VALID) == sorted(NUMBERS)
    assert RequestValues.of({key: str(value) for key, value in VALID.items()}) == RequestValues.of(VALID)


@pytest.mark.parametrize("key", sorted(NUMBERS))
@pytest.mark.parametrize("value", [True, "true", "1e", "", "nan", "inf", -1, [1], {}], ids=repr)
def test_what_is_no_number_that_fits_is_refused_with_its_key(key, value):
    with pytest.raises(ValueError, match=rf"^`{key}` must be .*, got "):
        RequestValues.of({key: value})


@pytest.mark.parametrize("key", ["esamp_beta", "first_token_temperature", "high_temperature"])
@pytest.mark.parametrize("value", [1e30, "1e30"], ids=repr)
def test_a_value_beyond_any_sense_is_refused(key, value):
    with pytest.raises(ValueError, match=rf"^`{key}` must be less than or equal to"):
        RequestValues.of({key: value})


def test_a_beta_of_ten_thousand_is_refused():
    with pytest.raises(ValueError, match="`esamp_beta` must be less than or equal to 100, got 10000"):
        RequestValues.of({"esamp_beta": 1e4})


@settings(derandomize=True, max_examples=60)
@given(st.sampled_from(sorted(NUMBERS)), st.floats() | st.integers() | st.booleans() | st.text(max_size=6))
def test_a_value_is_taken_or_refused_and_its_text_likewise(key, value):
    def taken(given: object) -> tuple[object, str]:
        try:
            return getattr(RequestValues.of({key: given}), key), ""
        except ValueError as error:
            return None, str(error)

    kept, refusal = taken(value)
    assert (kept is None) == refusal.startswith(f"`{key}` must be ")
    if isinstance(value, bool):
        assert refusal
    elif isinstance(value, float | int):
        assert taken(repr(value))[0] == kept


# --- a request without a distiller


def params(**values: Any) -> SimpleNamespace:
    """A request's parameters as vLLM hands them to a worker."""
    return SimpleNamespace(
        extra_args=values, temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, seed=1, all_stop_token_ids={7},
        ignore_eos=False, min_tokens=0, allowed_token_ids=None, structured_outputs=None,
    )  # fmt: skip


def worker(num_slots: int) -> Any:
    torch = pytest.importorskip("torch", reason="needs the hf extra")
    from tts.engines.vllm.options import WorkerOptions
    from tts.engines.vllm.worker_plugin import WorkerPlugin

    options = WorkerOptions(esamp=ESampSettings(num_slots=num_slots, width=4))
    return WorkerPlugin(
        options, lambda hidden: hidden, hidden_size=4, max_rows=8, device=torch.device("cpu"), head=None
    )


def test_a_request_that_goes_without_a_distiller_is_told_on_standard_error_but_not_of_warm_up(capsys):
    plugin = worker(num_slots=2)
    for number in range(4):
        plugin.admit(f"_warmup_{number}_", params())
    plugin.forget()
    assert capsys.readouterr().err == ""
    for number in range(7):
        plugin.admit(str(number), params(esamp_group=f"g{number}", tts_id=f"name {number}"))
    plugin.admit("6", params(esamp_group="g6", tts_id="name 6"))  # preempted, and back
    told = capsys.readouterr().err.splitlines()
    assert [line.split("(")[1].split()[0] for line in told] == ["1", "2", "4"]
    assert told[0].startswith("tts: esamp: a request of group 'g2' runs unguided, since all 2 distillers are taken")
    plugin.release(map(str, range(7)))
    assert plugin.request_figures({"name 6": 0, "name 0": 0, "stranger": 0}) == {
        "name 6": {"esamp_guided_tokens": 0},
        "name 0": {"esamp_guided_tokens": 0},
        "stranger": {},
    }


# --- what a client can see


class Engine:
    """The part of vLLM's engine client that is called, with a worker behind it."""

    def __init__(self) -> None:
        self.plugin = worker(num_slots=1)

    async def collective_rpc(self, method: str, args: tuple[Any, ...] = ()) -> list[Any]:
        return [getattr(self.plugin, method.removeprefix("tts_"))(*args)]


def middleware(engine: Engine | None = None) -> tuple[Any, list[Any]]:
    """A function that asks the middleware, and what it handed on: paths and bodies."""
    passed: list[Any] = []

    async def inner(scope, receive, _):
        passed.append((scope["path"], await body_of(receive) if scope["method"] == "POST" else b""))

    async def body_of(receive) -> bytes:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message.get("more_body", False)
        return b"".join(parts)

    ours = ESampFigures(inner)

    def ask(path: str, query: bytes = b"", body: bytes | None = None) -> Any:
        sent: list[Any] = []
        # as two messages, as a large one comes
        waiting = [] if body is None else [{"body": body[:9], "more_body": True}, {"body": body[9:]}]

        async def receive() -> Any:
            return waiting.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        app = SimpleNamespace(state=SimpleNamespace(engine_client=engine))
        method = "GET" if body is None else "POST"
        scope = {"type": "http", "method": method, "path": path, "query_string": query, "app": app}
        asyncio.run(ours(scope, receive, send))
        return (sent[0]["status"], json.loads(sent[1]["body"])) if sent else None

    return ask, passed


def test_the_totals_and_the_figures_of_named_requests_are_told_and_other_paths_left_alone():
    engine = Engine()
    engine.plugin.admit("0", params(tts_id="mine"))
    ask, passed = middleware(engine)
    status, told = ask("/esamp")
    assert (status, told["figures"]["rows_without_slot"]) == (200, 0)
    assert ask("/esamp/", b"tts_id=mine&tts_id=yours") == (200, {"mine": {"esamp_guided_tokens": 0}, "yours": {}})
    assert passed == []
    assert ask("/v1/models") is None
    assert passed == [("/v1/models", b"")]


@pytest.mark.parametrize("key", sorted(NUMBERS))
def test_a_switch_in_place_of_a_number_is_refused_before_vllm_takes_it_for_1(key):
    ask, passed = middleware()
    status, told = ask("/v1/completions", body=json.dumps({"prompt": "a", "vllm_xargs": {key: True}}).encode())
    assert (status, told["error"]["code"]) == (400, 400)
    assert told["error"]["message"] == f"`{key}` must be a number, got True"
    assert passed == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt": "vllm_xargs"}',
        b'{"vllm_xargs": {"esamp_beta": 0.5, "their_switch": true}}',
        b'{"vllm_xargs": [true]}',
        b'{"vllm_xargs": null}',
        b"vllm_xargs, but no JSON",
        b'[{"vllm_xargs": 1}]',
        b"",
    ],
    ids=range(7),
)
def test_any_other_body_is_handed_on_as_it_came(body):
    ask, passed = middleware()
    assert ask("/v1/completions", body=body) is None
    assert passed == [("/v1/completions", body)]
