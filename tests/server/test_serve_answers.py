"""Real clients on a real server: what they are told is what the recipe chose, and what it cost."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from serve_parts import ASKED, Server, running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key="none is asked", max_retries=0) as client:
        yield client


def test_the_openai_client_gets_the_vote_its_strength_and_its_cost(client: openai.OpenAI) -> None:
    got = client.chat.completions.create(model="vote", messages=ASKED)
    assert (got.choices[0].message.content, got.choices[0].finish_reason) == ("so \\boxed{42}", "stop")
    told: Any = got.model_extra["tts"]
    assert (told["answer"], told["agreement"], told["weights"]) == ("42", 0.5, [4.0, 2.0])
    assert told["counts"]["num_candidates"] == 8
    assert got.usage is not None
    assert got.usage.completion_tokens == told["spent"]["engine"]["written_tokens"] == 4 * 2 + 2 * 2 + 2 * 2
    assert told["choices"][0]["num_tokens"] == 2


def test_a_stream_keeps_the_connection_and_brings_the_answer_in_one_piece(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="vote", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices] == ["so \\boxed{42}", None]
    assert chunks[1].choices[0].finish_reason == "stop"
    assert chunks[1].model_extra["tts"]["answer"] == "42"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 16


def test_many_at_once_through_the_async_client_are_each_told_their_own(server: Server) -> None:
    async def ask_all() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as client:
            asked = [
                client.chat.completions.create(
                    model=("vote", "search", "first")[number % 3], messages=ASKED, metadata={"number": str(number)}
                )
                for number in range(30)
            ]
            return await asyncio.gather(*asked)

    replies = asyncio.run(ask_all())
    assert [one.model for one in replies] == ["vote", "search", "first"] * 10
    assert len({one.id for one in replies}) == 30
    assert {one.model_extra["tts"]["answer"] for one in replies if one.model != "first"} == {"42"}


def test_curl_gets_comments_then_the_events(server: Server) -> None:
    body = json.dumps({"model": "vote", "messages": ASKED, "stream": True})
    command = ["curl", "-sN", "--noproxy", "*", f"{server.url}/chat/completions", "-d", body]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n\n")
    assert lines[0] == ": drawing candidates"
    assert json.loads(lines[1].removeprefix("data: "))["choices"][0]["delta"]["content"] == "so \\boxed{42}"
    assert lines[-2] == "data: [DONE]"


def test_several_choices_are_the_best_answers_that_differ_then_those_that_agree_with_them(server: Server) -> None:
    told = server.ask(n=8).json()
    assert [one["answer"] for one in told["tts"]["choices"]] == ["42", "41", "42", "42", "42", "41", None, None]
    assert [one["num_agreeing"] for one in told["tts"]["choices"][:3]] == [4, 2, 4]
    assert [one["index"] for one in told["choices"]] == list(range(8))


def test_a_client_may_lower_the_budget_of_a_sampler_and_of_a_search(server: Server) -> None:
    for model in ("vote", "search"):
        told = server.ask(model=model, tts={"num_candidates": 2}).json()["tts"]
        assert (told["counts"]["num_candidates"], told["error"]) == (2, None)
    assert server.ask(model="search").json()["tts"]["counts"]["num_candidates"] > 2


def test_a_recipe_without_a_vote_is_served_like_any_other(server: Server) -> None:
    got = server.ask(model="first", messages=[{"role": "user", "content": [{"type": "text", "text": "Say so."}]}])
    assert got.json()["choices"][0]["message"]["content"] == "so \\boxed{42}"


def test_models_health_and_metrics_are_told(server: Server, client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["vote", "search", "first"]
    assert client.models.retrieve("search").owned_by == "tts"
    assert server.http.get("/health").json() == {"status": "ok"}
    before = server.ended("answered"), server.count('tts_candidates_total{recipe="vote"}')
    server.ask()
    assert server.ended("answered") == before[0] + 1
    assert server.count('tts_candidates_total{recipe="vote"}') == before[1] + 8
    assert server.count('tts_answer_seconds_count{recipe="vote"}') == before[0] + 1


def test_reward_models_are_shared_too_and_what_they_take_is_told(tmp_path: Path) -> None:
    reward = "{name: replay, script: [x], rewards: [0.25, 0.5, 0.75]}"
    engine = 'engine: {name: replay, script: ["so \\\\boxed{42}", "so \\\\boxed{41}"], delay_seconds: 0.01}\n'
    search = f"{{name: dvts, num_candidates: 4, beam_width: 2, max_steps: 2, reward: {reward}}}"
    best = f"{{name: best_of_n, scorer: {{name: reward_model, reward: {reward}}}}}"
    paths = [tmp_path / "steps.yaml", tmp_path / "best.yaml"]
    paths[0].write_text(f"task: math\n{engine}sampler: {search}\nselector: majority_vote\n")
    paths[1].write_text(f"task: math\n{engine}sampler: {{name: temperature, num_candidates: 4}}\nselector: {best}\n")
    with running(paths) as server:
        steps, best_of = (server.ask(model=name, seed=3, n=2).json()["tts"] for name in ("steps", "best"))
        again = [server.ask(model=name, seed=3, n=2).json()["tts"] for name in ("steps", "best")]
        lower = server.ask(model="steps", tts={"num_candidates": 2}).json()["tts"]
    assert set(steps["spent"]) == {"engine", "sampler.reward"}
    assert set(best_of["spent"]) == {"engine", "selector.scorer.reward"}
    assert {one["answer"] for one in best_of["choices"]} == {"41", "42"}
    assert [one["choices"] for one in again] == [steps["choices"], best_of["choices"]]
    assert lower["counts"]["num_candidates"] == 2
