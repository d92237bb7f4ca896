"""What bounds a server: keys, waiting, bodies, clients that leave, its disk, and its end."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from serve_parts import ASKED, Server, running, started, stopped, write_recipes

from tts.errors import RunFolderError, UsageError, VerifierError
from tts.recipe import load_recipe
from tts.runs.stored import StoredRun
from tts.server import service
from tts.server.service import Service

BODY = {"model": "vote", "messages": ASKED}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of at most three requests that wait, each for as long as nobody leaves."""
    paths = write_recipes(tmp_path_factory.mktemp("slow"), delay_seconds=60)
    with running(paths, most_waiting=3) as server:
        yield server


def until(true: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for something; return the seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds
        time.sleep(0.005)
    return time.monotonic() - began


def waiting(server: Server) -> float:
    return server.count("tts_requests_waiting")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["vote", "search"])
def test_what_a_client_asked_is_cancelled_when_it_leaves(slow: Server, model: str, stream: bool) -> None:
    before = slow.ended("gone", model)
    with httpx2.Client(trust_env=False) as client, pytest.raises(httpx2.ReadTimeout):
        client.post(f"{slow.url}/chat/completions", json={**BODY, "model": model, "stream": stream}, timeout=0.3)
    assert until(lambda: slow.ended("gone", model) == before + 1) < 2
    assert waiting(slow) == 0


def test_cancelled_calls_make_room_in_the_engine(tmp_path: Path) -> None:
    paths = write_recipes(tmp_path, delay_seconds=60, batch_size=6)
    with running(paths[:1]) as server:
        for _ in range(2):  # two of its eight calls wait, whoever asked before

            def ask() -> None:
                with httpx2.Client(trust_env=False) as client, pytest.raises(httpx2.ReadTimeout):
                    client.post(f"{server.url}/chat/completions", json=BODY, timeout=0.5)

            asking = threading.Thread(target=ask)
            asking.start()
            until(lambda: server.count("tts_calls_queued") == 2)
            asking.join()
            until(lambda: server.count("tts_calls_queued") == 0)


def test_more_requests_than_may_wait_are_told_to_come_again(slow: Server) -> None:
    def ask() -> None:
        with httpx2.Client(trust_env=False) as client, pytest.raises(httpx2.ReadTimeout):
            client.post(f"{slow.url}/chat/completions", json=BODY, timeout=1.5)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: waiting(slow) == 3)
    refused = slow.ask()
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert slow.http.get("/health").status_code == 200
    for thread in threads:
        thread.join()
    until(lambda: waiting(slow) == 0)


def half_sent(address: str) -> socket.socket:
    """A connection that stays silent in the midst of a body."""
    url = urlsplit(address)
    connection = socket.create_connection((url.hostname, url.port), timeout=20)
    connection.sendall(b'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"model"')
    return connection


def test_a_body_that_does_not_come_is_not_waited_for(slow: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts.server.app.BODY_SECONDS", 0.2)
    with half_sent(slow.url) as connection:
        assert connection.recv(999).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_does_not_come_does_not_hold_the_end_of_a_server(tmp_path: Path) -> None:
    with started("-r", write_recipes(tmp_path)[0]) as (server, child), half_sent(server.url) as connection:
        time.sleep(0.3)
        assert stopped(child) == 143
        assert connection.recv(999).startswith(b"HTTP/1.1 503 ")


def test_a_body_that_is_too_long_is_refused_before_it_is_read_to_its_end(slow: Server) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 65536

    with httpx2.Client(trust_env=False, timeout=10) as client, suppress(httpx2.WriteError):
        assert client.post(f"{slow.url}/chat/completions", content=endless()).status_code == 413
    assert sent < 1000


def test_a_key_is_asked_for_everywhere_but_health(tmp_path: Path) -> None:
    with running(write_recipes(tmp_path), api_key="s3cret") as server:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "s3cre"}):
            for path in ("/v1/models", "/metrics"):
                assert server.http.get(path, headers=headers).status_code == 401
            assert server.http.post("/v1/chat/completions", json=BODY, headers=headers).status_code == 401
        assert server.http.get("/health").status_code == 200
        server.http.headers["authorization"] = "Bearer s3cret"
        assert server.ask().status_code == 200


def test_an_engine_that_dies_is_told_to_all_and_to_health(tmp_path: Path) -> None:
    with running(write_recipes(tmp_path, crash_after=8, delay_seconds=0.05)) as server:
        assert server.ask().status_code == 200
        for reply in (server.ask(), server.ask(model="search"), server.http.get("/health")):
            assert reply.status_code == 503
            assert "the replay engine stops after 8 completions" in reply.json()["error"]["message"]
        assert server.http.get("/v1/models").status_code == 200
        assert "the replay engine stops" in server.ask(stream=True).text


def test_candidates_that_all_fail_are_an_error_and_one_that_is_left_is_an_answer(tmp_path: Path) -> None:
    cut, failed = {"text": "so", "finish_reason": "length"}, {"text": "", "finish_reason": "error", "error": "no luck"}
    recipes = {"none": write_recipes(tmp_path, script=[failed])[0].rename(tmp_path / "none.yaml")}
    recipes["cut"] = write_recipes(tmp_path, script=[failed, cut])[0].rename(tmp_path / "cut.yaml")
    with running([recipes["none"]]) as server:
        reply = server.ask(model="none")
        assert reply.status_code == 500
        assert "0 of 8 candidates were drawn; candidate 0: no luck" in reply.json()["error"]["message"]
        assert "no luck" in server.ask(model="none", stream=True).text
    with running([recipes["cut"]]) as server:
        told = server.ask(model="cut").json()
        assert (told["choices"][0]["message"]["content"], told["choices"][0]["finish_reason"]) == ("so", "length")
        assert (told["tts"]["answer"], told["tts"]["agreement"], told["tts"]["counts"]["num_errors"]) == (None, 0, 4)
        assert "no luck" in told["tts"]["error"]


def test_the_same_seed_gives_the_same_answer_and_requests_without_one_differ(tmp_path: Path) -> None:
    with running(write_recipes(tmp_path)[:2], kept=tmp_path / "kept") as server:
        for more in ({"seed": 5}, {"seed": 5}, {"seed": 6}, {}, {}):
            for model in ("vote", "search"):
                assert server.ask(model=model, **more).status_code == 200
    for model in ("vote", "search"):
        run = StoredRun(tmp_path / "kept" / model)
        seeds = [tuple(one.seed for one in run.candidates(name)) for name in run.asked_ids]
        run.close()
        assert seeds[0] == seeds[1]
        assert len(set(seeds)) == 4


def test_a_lone_question_gets_the_recipes_prompt_and_a_conversation_is_sent_as_it_is(tmp_path: Path) -> None:
    path = write_recipes(tmp_path)[0]
    path.write_text(
        path.read_text().replace("task: math", "task: {name: math, system: Be short., template: 'Q {problem}'}")
    )
    turns = [{"role": "developer", "content": "a"}, {"role": "assistant", "content": "b"}, *ASKED]
    with running([path], kept=tmp_path / "kept") as server:
        alone, whole = server.ask(user="me").json(), server.ask(turns, metadata={"k": "v"}).json()
    assert alone["usage"]["prompt_tokens"] == 8 * len(["Be", "short.", "Q", "What", "is", "6*7?"])
    assert whole["usage"]["prompt_tokens"] == 8 * len(["a", "b", "What", "is", "6*7?"])
    run = StoredRun(tmp_path / "kept" / "vote")
    problems = [run.row(name).problem for name in run.asked_ids]
    run.close()
    assert [problem.metadata for problem in problems] == [{"user": "me"}, {"metadata": {"k": "v"}}]
    assert [[one.role for one in problem.messages] for problem in problems] == [[], ["system", "assistant", "user"]]


def test_a_session_ends_after_so_many_requests_and_its_folder_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_A_SESSION", 3)
    with running(write_recipes(tmp_path, delay_seconds=0.05)[:1], kept=tmp_path / "kept") as server:
        answers = [server.ask().json()["tts"]["answer"] for _ in range(7)]
    assert answers == ["42"] * 7
    folders = sorted((tmp_path / "kept").iterdir())
    assert [folder.name for folder in folders] == ["vote", "vote-2", "vote-3"]
    kept = [json.loads((folder / "summary.json").read_text())["num_problems"] for folder in folders]
    assert kept == [3, 3, 1]


def test_at_its_end_a_server_answers_what_is_on_its_way_takes_no_more_and_leaves_nothing(tmp_path: Path) -> None:
    told: list[httpx2.Response] = []
    paths = write_recipes(tmp_path, delay_seconds=1.0)
    (temporary := tmp_path / "temporary").mkdir()
    with started("-r", paths[0], TTS_API_KEY="k", TMPDIR=str(temporary)) as (server, child):
        server.http.headers["authorization"] = "Bearer k"
        asking = threading.Thread(target=lambda: told.append(server.ask()))
        asking.start()
        until(lambda: waiting(server) == 1)
        assert len(list(temporary.glob("tts-serve-*/problems.jsonl"))) == 1
        assert stopped(child) == 143
        asking.join()
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{server.url}/models", trust_env=False)
    assert told[0].json()["tts"]["answer"] == "42"
    assert not list(temporary.iterdir())


def test_what_keeps_a_server_from_serving_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    with (
        pytest.raises(RunFolderError, match="cannot make the folder"),
        running(write_recipes(tmp_path), kept=tmp_path / "kept"),
    ):
        pass
    path = write_recipes(tmp_path)[0]
    path.write_text(path.read_text().replace("majority_vote", "{name: 'serve_parts:Unopened'}"))
    with pytest.raises(VerifierError, match="no verifier here"), running([path]):
        pass


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("engine: {name: replay, script: [other]}", "must have the same `engine`"),
        ("task: choice", "a chat has no place for options"),
    ],
)
def test_recipes_that_cannot_be_served_together_are_refused(tmp_path: Path, change: str, wanted: str) -> None:
    first, second, _ = write_recipes(tmp_path)
    key = change.partition(":")[0]
    lines = [change if line.startswith(f"{key}:") else line for line in second.read_text().splitlines()]
    second.write_text("\n".join(lines))
    with pytest.raises(UsageError, match=wanted):
        Service([load_recipe(first), load_recipe(second)])
    with pytest.raises(UsageError, match="a name of its own"):
        Service([load_recipe(first), load_recipe(first)])
