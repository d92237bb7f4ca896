"""The engine that asks a server, before a real one: what comes of good answers and of each way of failing."""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from server_parts import GOOD, PLAIN, WORDS, FakeServer, word_of

from tts.engines.openai import OpenAIEngine
from tts.engines.openai.answer import Answer, completion_of
from tts.engines.openai.client import Client, RefusedError
from tts.errors import EngineError
from tts.types import Completion, Decoding, Guidance, Message, Piece, Plugin, Request

QUICK = {"silence_seconds": 1.0, "max_tries": 3}


def request(number: int = 0, prompt: str = "What is it?", **decoding: Any) -> Request:
    how = Decoding(**{"max_tokens": 8, "temperature": 1.0, **decoding})
    return Request(f"p{number // 8}", str(number % 8), (Message("user", prompt),), how, number, "temperature")


@contextmanager
def opened(server: FakeServer, **keys: Any) -> Iterator[OpenAIEngine]:
    with OpenAIEngine(**{"base_url": server.url, "model": server.model, **QUICK, **keys}) as engine:
        yield engine


def drawn(engine: OpenAIEngine, requests: list[Request], seconds: float = 30.0) -> dict[tuple[str, str], Completion]:
    """Draw all, as the pipeline does; each must come back once."""
    waiting, found, end = list(requests), dict[tuple[str, str], Completion](), time.monotonic() + seconds
    while len(found) < len(requests):
        while waiting and engine.num_free > 0:
            engine.add(waiting.pop(0))
        for one in engine.step():
            assert (one.problem_id, one.key) not in found
            found[one.problem_id, one.key] = one
        assert time.monotonic() < end, f"{len(requests) - len(found)} did not come back"
    assert engine.step(0.05) == []
    return found


def step_on(engine: OpenAIEngine) -> None:
    while True:
        engine.step()


def one(engine: OpenAIEngine, prompt: str, **decoding: Any) -> Completion:
    (completion,) = drawn(engine, [request(0, prompt, **decoding)]).values()
    return completion


# --- good answers


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("route", ["chat", "completions"])
def test_every_request_comes_back_once_with_its_text_and_tokens(good: FakeServer, stream: bool, route: str) -> None:
    with opened(good, stream=stream, route=route, max_concurrency=5) as engine:
        found = drawn(engine, [request(number) for number in range(40)])
        again = drawn(engine, [request(number) for number in range(40)])
    assert {len(one.text.split()) for one in found.values()} == {6}
    assert {one.num_tokens for one in found.values()} == {6}
    assert all(one.num_prompt_tokens > 0 and one.finish_reason == "length" for one in found.values())
    assert {name: one.text for name, one in found.items()} == {name: one.text for name, one in again.items()}
    assert len({one.text for one in found.values()}) > 30, "each has its own seed"


def test_no_more_connections_than_max_concurrency_and_they_are_used_again() -> None:
    with FakeServer().running() as server, opened(server, max_concurrency=4) as engine:
        drawn(engine, [request(number, "words:3:2") for number in range(60)])
        assert len(server.connections) <= 4
        assert server.most_flying <= 4


def test_it_asks_for_what_keeps_everything_too_because_a_model_may_recommend_other_filters(good: FakeServer) -> None:
    with opened(good) as engine:
        one(engine, "hi")
    body = good.bodies[-1]
    assert (body["top_p"], body["top_k"], body["min_p"], body["repetition_penalty"]) == (1.0, -1, 0.0, 1.0)
    with FakeServer(PLAIN | {"strict"}).running() as server, opened(server) as engine:
        one(engine, "hi")
        assert not server.bodies[-1].keys() & {"top_k", "min_p", "repetition_penalty", "stream_interval"}


def test_a_stop_string_that_is_told_ends_the_text(good: FakeServer) -> None:
    with opened(good) as engine:
        found = drawn(engine, [request(number, stop=("e", "zzz")) for number in range(16)])
    ended = [one for one in found.values() if one.stop is not None]
    assert ended
    assert all(one.text.endswith("e") and one.text.count("e") == 1 and one.finish_reason == "stop" for one in ended)


def test_log_probabilities_are_none_where_the_server_has_none_and_never_0(good: FakeServer) -> None:
    with opened(good, record_token_logprobs=True) as engine:
        told = one(engine, "hi")
    assert told.token_logprobs == (-0.5,) * 6
    assert (told.cumulative_logprob, told.mean_logprob) == (-3.0, -0.5)
    assert told.self_certainty is None
    with FakeServer(PLAIN - {"logprobs"}).running() as server, opened(server, record_token_logprobs=True) as engine:
        untold = one(engine, "hi")
    assert (untold.cumulative_logprob, untold.mean_logprob, untold.token_logprobs) == (None, None, None)


def test_thinking_that_the_server_splits_off_stands_between_the_tags_again() -> None:
    for key in ("reasoning", "reasoning_content"):
        answer = Answer()
        for delta in ({key: "h"}, {key: "m"}, {"content": "4"}, {"content": "2"}):
            answer.take({"choices": [{"index": 0, "delta": delta}]})
        answer.take({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None})
        joined = completion_of(request(), answer, 0, tags=("<think>", "</think>"), stats={})
        assert (joined.text, joined.reasoning) == ("<think>hm</think>42", None)
        split = completion_of(request(), answer, 0, tags=None, stats={})
        assert (split.text, split.reasoning) == ("42", "hm")
        assert split.num_tokens is None, "the pieces are tokens at least"
        assert split.engine_stats["usage_unknown"] == 1.0


def test_going_on_from_a_prefix_by_ids_or_by_the_last_message() -> None:
    for does, path in ((GOOD, "prompt"), (GOOD - {"tokenize"}, "messages")):
        with FakeServer(does).running() as server, opened(server) as engine:
            whole = one(engine, "hi", temperature=0.0, max_tokens=6)
            prefix = (Piece("so we"), Piece(" add", token_ids=None))
            drawn(engine, [Request("q", "0", (Message("user", "hi"),), Decoding(4), 0, "s", prefix=prefix)])
            body = server.bodies[-1]
            assert path in body
            if path == "prompt":
                assert [word_of(one) for one in body["prompt"]] == ["<user", "hi", ">", "<assistant", "so", "we", "add"]
            else:
                assert body["messages"][-1] == {"role": "assistant", "content": "so we add"}
                assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
            assert whole.text


def test_named_tokens_are_told_by_their_ids_else_among_the_likeliest() -> None:
    for does in (GOOD, PLAIN):
        with FakeServer(does).running() as server, opened(server) as engine:
            told = one(engine, "sure?", max_tokens=1, temperature=0.0, ask_tokens=("yes", "no", "perhaps"))
            if does is GOOD:
                assert told.asked_logprobs is not None
                assert all(value is not None and value < 0 for value in told.asked_logprobs)
            else:
                assert told.asked_logprobs is not None
                assert told.asked_logprobs[2] is None, "not among the likeliest"
                yes = math.exp(-0.1 - WORDS.index("yes")) + math.exp(-3.0)  # with a space before it, too
                assert math.exp(told.asked_logprobs[0]) == pytest.approx(yes)


def test_several_choices_a_request_are_told_apart_and_the_prompt_is_paid_once(good: FakeServer) -> None:
    before = good.num_asked
    with opened(good, choices_per_request=4) as engine:
        opening = good.num_asked - before
        found = drawn(engine, [request(number) for number in range(16)])
    assert good.num_asked - before - opening == 4
    assert good.bodies[-1]["n"] == 4
    assert "seed" not in good.bodies[-1]
    assert {one.num_tokens for one in found.values()} == {6}
    assert sorted(one.num_prompt_tokens > 0 for one in found.values()) == [False] * 12 + [True] * 4
    with (
        FakeServer(PLAIN | {"n_refused"}).running() as server,
        pytest.raises(EngineError, match=r"`choices_per_request` must be 1 .* brings 0"),
    ):
        OpenAIEngine(base_url=server.url, model="tiny", choices_per_request=4).open()


def test_a_cancelled_stream_is_closed_on_the_server_within_a_second_and_its_text_is_kept() -> None:
    with FakeServer().running() as server, opened(server) as engine:
        for number in range(20):
            engine.add(request(number, "words:1000:5", max_tokens=1000))
        while engine.num_generated_tokens < 60:
            assert engine.step(0.02) == []
        began = time.monotonic()
        for number in range(20):
            engine.cancel(f"p{number // 8}", str(number % 8))
        engine.cancel("p0", "unknown")
        found: list[Completion] = []
        while len(found) < 20:
            found += engine.step()
        while server.flying:
            time.sleep(0.005)
            assert time.monotonic() - began < 1.0
        assert {(one.finish_reason, one.num_tokens) for one in found} == {("cancelled", None)}
        assert all(one.text for one in found)
        assert one(engine, "hi").finish_reason == "length"


# --- bad ones


BAD: dict[str, tuple[int, str | None]] = {
    "bad:comments": (0, None),
    "bad:separators": (0, None),
    "bad:bytes": (0, None),
    "bad:crlf": (0, None),
    "bad:close": (0, None),
    "bad:odd": (0, None),
    "half of a pair: \ud83d": (0, None),
    "bad:nodone": (0, None),
    "bad:nousage": (0, None),
    "bad:reset:1": (1, None),
    "bad:cut:2": (2, None),
    "bad:late_error:1": (1, None),
    "bad:badjson:1": (1, None),
    "bad:json200:1": (1, None),
    "bad:mute:1": (1, None),
    "bad:silent:1": (1, None),
    "bad:429:2": (0, None),
    "bad:500:1": (0, None),
    "bad:503:1": (0, None),
    "bad:reset": (3, "gave up after 3 tries; the last: the connection to .* broke"),
    "bad:cut": (3, "ended before its answer did"),
    "bad:late_error": (3, "the server says: engine died"),
    "bad:badjson": (3, 'something else than JSON: "{oops"'),
    "bad:json200": (3, "the server says: overloaded"),
    "bad:list200": (3, "something else than an object"),
    "bad:mute": (3, r"said nothing for 1 s \(`silence_seconds`\)"),
    "bad:silent": (3, r"said nothing for 1 s \(`silence_seconds`\)"),
    "bad:503": (0, "answers HTTP 503: overloaded"),
    "bad:400": (0, r"answers HTTP 400: temperature is too high \(parameter `temperature`\)"),
    "bad:html": (0, 'is no OpenAI-compatible server, it answers "<html>'),
    "fine?": (0, None),
}
"""What is asked, how many attempts break off with their tokens, and the error; None: it goes well in the end."""


@pytest.fixture(scope="module")
def from_bad_server() -> dict[str, Completion]:
    """What came of all that is bad, asked at once."""
    with FakeServer().running() as server, pytest.MonkeyPatch.context() as patch, opened(server) as engine:
        patch.setattr("tts.engines.openai.client.LONGEST_BACKOFF_SECONDS", 0.1)
        asked = {prompt: request(8 * place, prompt, temperature=0.0) for place, prompt in enumerate(BAD)}
        found = drawn(engine, list(asked.values()))
        return {prompt: found[one.problem_id, one.key] for prompt, one in asked.items()}


@pytest.mark.parametrize("prompt", BAD)
def test_a_bad_server_gives_the_right_candidate_or_a_clear_error(
    from_bad_server: dict[str, Completion], prompt: str
) -> None:
    bad, (num_broken, told) = from_bad_server[prompt], BAD[prompt]
    assert bad.engine_stats.get("broken_attempts", 0) == num_broken
    assert bad.engine_stats.get("wasted_tokens", 0) == 8 * num_broken
    if told is None:
        assert bad.error is None
        is_odd = prompt in ("bad:separators", "bad:bytes")
        assert (len(bad.text.split(" ")), bad.num_tokens) == (6 + 3 * is_odd, 6)
        assert ("a\u2028b\x85c ü 🙂" in bad.text) == is_odd
        assert bad.finish_reason == ("stop" if prompt == "bad:odd" else "length"), "an unknown word is a stop"
        assert ("usage_unknown" in bad.engine_stats) == ("nousage" in prompt)
    else:
        assert (bad.finish_reason, bad.text) == ("error", "")
        assert bad.error is not None
        assert re.search(told, bad.error), bad.error
        assert "\n" not in bad.error


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("key", "refuses a request without a key .*401"),
        ("quota", "no money is left .*current quota"),
        ("quota200", "no money is left: the server says: exceeded quota"),
        ("redirect", "redirects to http://127.0.0.1:1/elsewhere: set `base_url`"),
    ],
)
def test_what_would_fail_for_every_request_ends_the_run(good: FakeServer, kind: str, told: str) -> None:
    with opened(good) as engine:
        engine.add(request(0, f"bad:{kind}"))
        with pytest.raises(EngineError, match=told):
            step_on(engine)


@pytest.mark.usefixtures("quick_backoff")
def test_a_server_that_went_away_ends_the_run_instead_of_making_errors_of_all_candidates() -> None:
    with FakeServer().running() as server:
        engine = OpenAIEngine(base_url=server.url, model="tiny", **QUICK)
        engine.open()
    try:
        engine.add(request())
        with pytest.raises(EngineError, match=r"no connection to .*Is the server up\?"):
            step_on(engine)
    finally:
        engine.close()


@pytest.mark.usefixtures("quick_backoff")
def test_a_server_that_cannot_be_reached_rests_and_its_problems_go_to_another() -> None:
    with FakeServer().running() as stays:
        with FakeServer().running() as goes:
            engine = OpenAIEngine(base_url=[stays.url, goes.url], model="tiny", **QUICK | {"max_tries": 5})
            engine.open()
        try:
            found = drawn(engine, [request(number) for number in range(80)])
        finally:
            engine.close()
    assert {one.finish_reason for one in found.values()} == {"length"}
    assert not any(one.engine_stats for one in found.values()), "what was never heard costs nothing"


def test_a_problem_stays_on_one_server() -> None:
    with FakeServer().running() as first, FakeServer().running() as second:
        with OpenAIEngine(base_url=[first.url, second.url], model="tiny") as engine:
            opening = len(first.bodies), len(second.bodies)
            drawn(engine, [request(number, f"problem {number // 8}") for number in range(64)])
        asked = [
            {body["messages"][0]["content"] for body in server.bodies[number:]}
            for server, number in zip((first, second), opening, strict=True)
        ]
        assert asked[0]
        assert asked[1]
        assert not asked[0] & asked[1]


def test_a_proxy_of_the_environment_gets_nothing_that_is_meant_for_this_machine(
    good: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with opened(good) as engine:
        assert one(engine, "hi").finish_reason == "length"
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(EngineError, match=r"proxy|certificates"):
        OpenAIEngine(base_url="https://example.invalid/v1", model="tiny").open()


def test_the_key_is_sent_and_stands_nowhere_else(good: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret-123")
    with opened(good, api_key_env="SOME_KEY") as engine:
        assert "sk-secret-123" not in repr(engine) + str(engine.model_dump()) + str(engine.found())
        engine.add(request(0, "bad:key"))
        with pytest.raises(EngineError, match="refuses the key in SOME_KEY") as refused:
            step_on(engine)
    assert "sk-secret" not in str(refused.value)
    assert good.headers[-1]["authorization"] == "Bearer sk-secret-123"
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(EngineError, match="SOME_KEY must hold the server's key"):
        OpenAIEngine(base_url=good.url, model="tiny", api_key_env="SOME_KEY").check()


def test_a_run_that_may_not_pay_twice_is_asked_before_a_retry(good: FakeServer) -> None:
    asked: list[tuple[str, str]] = []
    engine = OpenAIEngine(base_url=good.url, model="tiny", **QUICK)
    engine.ask_before_sending_again(lambda *name: bool(asked.append(name)))
    with engine:
        found = one(engine, "bad:reset")
    assert asked == [("p0", "0")]
    assert found.error is not None
    assert "more than the run's budget allows" in found.error


# --- what the server can do


@pytest.mark.parametrize(
    ("lacks", "capabilities", "told"),
    [
        ("seed", {"seeds"}, "differ, so it is ignored"),
        ("top_p", {"top_p"}, "differ, so it is ignored"),
        ("top_k", {"top_k"}, "differ, so it is ignored"),
        ("min_p", {"min_p"}, "differ, so it is ignored"),
        ("raw", {"logprobs", "ask_tokens"}, "depend on the temperature"),
        ("logprobs", {"logprobs", "ask_tokens"}, "asked for, none comes"),
        ("stop_told", {"stop_strings"}, "not told which stop string"),
        ("stop", {"stop_strings"}, "refused"),
        ("plugin", {"esamp", "top_n_sigma", "first_token"}, "taken without a word"),
    ],
)
def test_what_is_not_seen_to_act_is_not_claimed(lacks: str, capabilities: set[str], told: str) -> None:
    with FakeServer(GOOD - {lacks}).running() as server, opened(server) as engine:
        assert engine.capabilities() == OpenAIEngine(base_url="http://x", model="m").capabilities() - capabilities
        assert told in engine.found()[min(capabilities - {"ask_tokens"})]
        assert engine.opening.written_tokens <= 300


def test_a_good_server_does_everything_and_opening_is_counted(good: FakeServer) -> None:
    written = good.num_written
    engine = OpenAIEngine(base_url=good.url, model="tiny")
    most = engine.opening
    with engine:
        assert engine.capabilities() == OpenAIEngine(base_url="http://x", model="m").capabilities()
        assert abs(engine.opening.written_tokens - (good.num_written - written)) <= 1
        assert engine.opening.written_tokens < most.written_tokens


def test_a_server_that_cannot_go_on_from_a_text_is_found_out_by_its_prompt_tokens() -> None:
    with FakeServer(PLAIN).running() as server, opened(server) as engine:
        assert "prefix" not in engine.capabilities()
        assert "begins another turn behind a text" in engine.found()["prefix"]
        request_ = Request("p", "0", (Message("user", "hi"),), Decoding(4), 0, "s", prefix=(Piece("so"),))
        (refused,) = drawn(engine, [request_]).values()
        assert refused.error is not None
        assert "not known to do `prefix`" in refused.error


def test_draws_that_do_not_differ_prove_nothing() -> None:
    with FakeServer(GOOD | {"dull"}).running() as server, opened(server) as engine:
        assert not engine.capabilities() & {"seeds", "top_p", "top_k", "min_p"}
        assert "nothing shows that" in engine.found()["seeds"]


def test_the_name_of_the_token_limit_is_found() -> None:
    with FakeServer(PLAIN | {"new_limit"}).running() as server, opened(server) as engine:
        assert one(engine, "words:9:0", max_tokens=3).num_tokens == 3
        assert server.bodies[-1]["max_completion_tokens"] == 3


def test_what_a_server_refuses_is_left_out_and_what_needs_it_is_an_error() -> None:
    refusing = PLAIN | {"new_limit", "no_temperature", "no_top_p", "no_stream_options"}
    with FakeServer(refusing).running() as server, opened(server) as engine:
        assert one(engine, "hi").finish_reason == "length"
        assert not server.bodies[-1].keys() & {"temperature", "top_p", "stream_options", "max_tokens"}
        assert "top_p" not in engine.capabilities()
        error = one(engine, "hi", temperature=0.5).error
        assert error is not None
        assert "takes no temperature" in error
    with FakeServer(GOOD | {"cool"}).running() as server, opened(server) as engine:
        assert {"top_p", "seeds", "logprobs"} <= engine.capabilities()


def test_a_refusal_within_a_stream_is_one_as_vllm_says_it() -> None:
    with FakeServer(GOOD | {"late_refusal"}).running() as server, opened(server) as engine:
        assert "esamp" in engine.capabilities(), engine.found()["esamp"]


def test_guided_requests_tell_the_plugin_their_group(good: FakeServer) -> None:
    with opened(good) as engine:
        guided = replace(request(0, "hi", top_n_sigma=1.5), guidance=Guidance("p0", 4, 0.25))
        drawn(engine, [guided])
    values = {"top_n_sigma": 1.5, "esamp_beta": 0.25, "esamp_group": "p0", "esamp_group_size": 4}
    assert good.bodies[-1]["vllm_xargs"] == values
    with opened(good) as engine:
        one(engine, "hi")
    assert good.bodies[-1]["vllm_xargs"] == {"esamp_beta": 0.0}, "else the plugin guides as it was started to"


def test_no_more_problems_are_guided_at_once_than_there_are_distillers() -> None:
    with FakeServer().running() as server:
        engine = OpenAIEngine(base_url=server.url, model="tiny", **QUICK)
        engine.host(Plugin("esamp", {"num_slots": 2}))
        with engine:
            asked = [request(number, "words:4:20") for number in range(40)]
            guided = [replace(one, guidance=Guidance(one.problem_id, 8, 0.25)) for one in asked]
            for one_ in guided:
                engine.add(one_)
            assert engine.num_free == 0
            engine.cancel("p4", "7")
            found: list[Completion] = []
            while len(found) < 40:
                found += engine.step()
                groups = {
                    values["esamp_group"]
                    for body in server.bodies
                    if (values := body.get("vllm_xargs")) and "esamp_group" in values
                }
                assert len(groups - {None}) <= 2 + len({done.problem_id for done in found})
        assert sorted(one_.finish_reason for one_ in found) == ["cancelled"] + ["length"] * 39


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"model": "other"}, "model `other` does not exist.: look at `base_url`"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "no connection to"),
    ],
)
@pytest.mark.usefixtures("quick_backoff")
def test_a_server_that_does_not_answer_is_refused_when_it_is_opened(
    good: FakeServer, keys: dict[str, Any], told: str
) -> None:
    with pytest.raises(EngineError, match=told):
        OpenAIEngine(**{"base_url": good.url, "model": "tiny", "max_tries": 2, **keys}).open()


@pytest.mark.parametrize(
    "keys",
    [
        {"base_url": "localhost:8000"},
        {"base_url": "http://user:pw@host/v1"},
        {"base_url": ["http://a/v1", "http://a/v1/"]},
        {"extra_body": {"seed": 1}},
        {"price_read": 1.0},
    ],
)
def test_keys_that_cannot_be_meant_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenAIEngine(**{"base_url": "http://a/v1", "model": "m", **keys})


def test_backoff_grows_has_jitter_and_keeps_to_retry_after_within_bounds(good: FakeServer) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def ask() -> None:
        keys = OpenAIEngine(base_url=good.url, model="tiny", max_tries=4)
        client = Client(keys, rng=random.Random(0), clock=time.monotonic, sleep=sleep)
        for prompt in ("bad:500", "bad:429"):
            body = {"model": "tiny", "messages": [{"role": "user", "content": prompt}]}
            with pytest.raises(RefusedError):
                await client.ask(client.pick, "/chat/completions", body, Answer)
        await client.close()

    asyncio.run(ask())
    assert all(0.25 * 2**place <= one <= 0.5 * 2**place for place, one in enumerate(slept[:3]))
    assert all(0.2 <= one <= 0.2 + 2 for one in slept[3:])
    assert len(set(slept)) == 6
