"""How many distillers the command of a server makes room for, and what it says of that."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch", reason="needs the hf extra")
pytest.importorskip("transformers", reason="needs the hf extra")

from tts.cli import serving
from tts.plugins.esamp.distiller import DistillerBank, bytes_per_slot
from tts.recipe import load_recipe


@pytest.fixture
def model(tmp_path) -> str:
    """A model's configuration, of 64 hidden dimensions; nobody loads weights here."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 64}))
    return f"engine.model={tmp_path}"


def served(*overrides: str) -> tuple[int, str]:
    """The number of distillers that the server is told, and what is said of it."""
    recipe = load_recipe("aime_esamp", overrides)
    words = serving.serve_command(recipe)
    config = json.loads(words[words.index("--additional-config") + 1])
    slots = serving.server_slots(recipe)
    assert config["tts"]["esamp"]["num_slots"] == slots.number
    return slots.number, slots.why


def test_every_request_that_can_run_at_once_has_a_distiller(model):
    number, why = served(model, "engine.batch_size=4")
    assert number == 4
    assert why.startswith("4 distillers, one for each request that can run at once (`batch_size`): 0.0 of the")


def test_memory_decides_where_it_does_not_reach_and_that_is_said(model, monkeypatch):
    each = bytes_per_slot(64, 384)
    monkeypatch.setattr(serving, "device_memory", lambda: 10 * 5 * each)  # a tenth of it holds five
    number, why = served(model, "engine.batch_size=48")
    assert number == 5
    assert "43 of 48 at once run unguided" in why
    assert "lower `batch_size`" in why


def test_what_the_recipe_says_stands_and_what_it_costs_is_said(model):
    assert served(model, "sampler.num_slots=3") == (
        3,
        "3 distillers, as `num_slots` says; of 64 requests at once the others run unguided",
    )
    assert served(model, "sampler.num_slots=64")[1] == "64 distillers, as `num_slots` says"
    assert served(model, "sampler.scope=shared")[0] == 1


def test_a_model_that_is_not_here_yet_has_one_for_each_request():
    recipe = load_recipe("aime_esamp", ["engine.model=nobody/nothing", "engine.batch_size=7"])
    assert serving.server_slots(recipe).number == 7


def test_a_plain_recipe_serves_without_distillers(model):
    words = serving.serve_command(load_recipe("aime_vanilla", [model, "engine.name=vllm"]))
    assert json.loads(words[words.index("--additional-config") + 1])["tts"]["esamp"] is None
    assert "--middleware" not in words


def test_a_distillers_memory_is_what_the_bank_takes():
    one, four = (DistillerBank(number, 48, 24, learning_rate=1e-3, input_norm=True) for number in (1, 4))
    assert four.memory_bytes - one.memory_bytes == 3 * bytes_per_slot(48, 24)
