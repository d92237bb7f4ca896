"""What is taken and what is refused of a request: nothing that a client asks is ignored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from serve_parts import ASKED, Server, write_recipes

from tts.recipe import load_recipe
from tts.server.asking import Asked, read
from tts.server.refusal import RefusalError


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found = [load_recipe(path) for path in write_recipes(tmp_path_factory.mktemp("recipes"))]
    return {one.name: one for one in found}


def understood(recipes: dict[str, Any], **more: Any) -> Asked:
    return read(json.dumps({"model": "vote", "messages": ASKED, **more}).encode(), recipes)


def image(kind: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": kind}]}]


REFUSED = {
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "tool_choice": "required",
    "functions": [{"name": "f"}],
    "response_format": {"type": "json_object"},
    "logprobs": True,
    "top_logprobs": 3,
    "logit_bias": {"5": 10},
    "audio": {"voice": "alloy"},
    "modalities": ["text", "audio"],
    "frequency_penalty": 0.5,
    "temperature": 0.7,
    "top_p": 0.9,
    "stop": ["\n"],
    "reasoning_effort": "high",
    "n": 9,
    "seed": "one",
    "stream": "yes",
    "stream_options": {"usage": True},
    "max_tokens": 0,
    "tts": 8,
    "no_such": 1,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_recipe_cannot_do_is_refused_by_its_name(recipes: dict[str, Any], name: str) -> None:
    with pytest.raises(RefusalError) as refused:
        understood(recipes, **{name: REFUSED[name]})
    assert (refused.value.status, refused.value.param) == (400, name)
    assert f"`{name}`" in str(refused.value)


@pytest.mark.parametrize(
    ("param", "more"),
    [
        ("messages", {"messages": []}),
        ("messages", {"messages": "What is 6*7?"}),
        ("messages[0]", {"messages": ["What?"]}),
        ("messages[0].role", {"messages": [{"role": "tool", "content": "4"}]}),
        ("messages[0].content", {"messages": [{"role": "user"}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": " "}]}),
        ("messages[0].content[1]", {"messages": image("image_url")}),
        ("messages[0].content[1]", {"messages": image("input_audio")}),
        ("messages[0].tool_calls", {"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}, *ASKED]}),
        ("messages[1].role", {"messages": [*ASKED, {"role": "assistant", "content": "It is"}]}),
        ("tts.num_candidates", {"tts": {"num_candidates": 9}}),
        ("tts.num_candidates", {"tts": {"num_candidates": 0}}),
        ("tts.num_candidates", {"tts": {"num_candidates": True}}),
        ("tts.temperature", {"tts": {"temperature": 1}}),
        ("n", {"n": 3, "tts": {"num_candidates": 2}}),
    ],
)
def test_the_place_of_what_is_wrong_is_told(recipes: dict[str, Any], param: str, more: dict[str, Any]) -> None:
    with pytest.raises(RefusalError) as refused:
        understood(recipes, **more)
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b'{"model": NaN}', b'{"a":' * 10_000, b"\xff", b"1e999"])
def test_a_body_that_is_no_object_of_json_is_refused(recipes: dict[str, Any], body: bytes) -> None:
    with pytest.raises(RefusalError) as refused:
        read(body, recipes)
    assert refused.value.status == 400


@pytest.mark.parametrize("model", ["gpt", "", None, 7])
def test_another_model_is_not_found_and_those_that_are_there_are_named(recipes: dict[str, Any], model: Any) -> None:
    with pytest.raises(RefusalError, match="vote, search, first") as refused:
        understood(recipes, model=model)
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


def test_what_asks_for_nothing_is_taken(recipes: dict[str, Any]) -> None:
    idle = {"tools": [], "logprobs": False, "response_format": {"type": "text"}, "temperature": 0.5, "stop": []}
    asked = understood(recipes, **idle, n=1, presence_penalty=0, functions=None, top_p=1, max_tokens=4096)
    assert asked == Asked("vote", asked.messages)


def test_limits_are_lowered_and_never_raised(recipes: dict[str, Any]) -> None:
    assert understood(recipes, max_tokens=10, max_completion_tokens=20).max_tokens == 10
    assert understood(recipes, max_completion_tokens=64).max_tokens is None
    assert understood(recipes, model="search", max_tokens=10).max_tokens == 10
    assert understood(recipes, tts={"num_candidates": 8}).num_candidates is None


def test_a_mistake_in_the_lower_number_is_the_recipes_own(tmp_path: Path) -> None:
    path = tmp_path / "pairs.yaml"
    path.write_text(
        "task: math\nengine: {name: replay, script: [x], rewards: [0.5]}\nselector: majority_vote\n"
        "sampler: {name: dvts, num_candidates: 8, beam_width: 4, reward: {name: replay, script: [x], rewards: [0.5]}}\n"
    )
    recipes = {"vote": load_recipe(path)}
    assert understood(recipes, tts={"num_candidates": 4}).num_candidates == 4
    with pytest.raises(RefusalError, match="multiple of beam_width"):
        understood(recipes, tts={"num_candidates": 3})
    with pytest.raises(RefusalError, match="divides its tokens"):
        understood(recipes, max_tokens=100)


def test_the_seed_and_the_messages_decide_the_seeds(recipes: dict[str, Any]) -> None:
    assert understood(recipes).seed_name is None
    names = {understood(recipes, seed=seed).seed_name for seed in (1, 2, 1)}
    assert len(names) == 2
    assert understood(recipes, seed=1, messages=[{"role": "user", "content": "?"}]).seed_name not in names


def test_refusals_reach_the_client_in_openais_form(server: Server) -> None:
    refused = server.ask(tools=REFUSED["tools"])
    assert refused.status_code == 400
    assert refused.json()["error"] == {
        "message": "`tools` is nothing that a recipe's answer can have, got "
        '[{"type": "function", "function": {"name": "f"}}]: leave it out',
        "type": "invalid_request_error",
        "param": "tools",
        "code": "unsupported_parameter",
    }
    assert server.http.post("/v1/embeddings", json={}).json()["error"]["message"] == "POST /v1/embeddings: Not Found"
    assert server.http.get("/v1/chat/completions").status_code == 405
