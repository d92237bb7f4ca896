"""Whole runs on a server: searches, caps that hold against what the server counts, refusals, and kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_parts import tts
from server_parts import GOOD, PLAIN, FakeServer

from tts import ProblemRow
from tts.engines.openai import OpenAIEngine
from tts.errors import CapReachedError, EngineLoadError
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.types import Message, Problem, Reference

SAMPLE = "{name: temperature, num_candidates: 4, max_tokens: 20}"
FORCED = "{name: budget_forcing, num_candidates: 2, max_tokens: 20, num_waits: 1}"
SEARCHES = (
    "{name: adaptive_consistency, num_candidates: 6, max_tokens: 20}",
    "{name: budget_forcing, num_candidates: 2, max_tokens: 40}",
)


def recipe_of(folder: Path, server: FakeServer, sampler: str = SAMPLE, **engine):
    path = folder / "r.yaml"
    told = {"name": "openai", "base_url": server.url, "model": "tiny", "silence_seconds": 1.0, **engine}
    path.write_text(f"task: text\nengine: {json.dumps(told)}\nsampler: {sampler}\nselector: majority_vote\n")
    return load_recipe(str(path))


def rows(number: int = 4, prompt: str = "What is {}?") -> list[ProblemRow]:
    return [
        ProblemRow(Problem(f"p{one}", prompt.format(one), "text"), Reference("x"), one + 1) for one in range(number)
    ]


def solved(recipe, folder: Path, problems=None, **keys):
    with open_run(recipe, problems or rows(), folder, **keys) as run:
        return {outcome.solution.problem_id: outcome.solution for outcome in run.outcomes()}


def records(folder: Path, name: str = "candidates.jsonl") -> list[dict]:
    path = folder / name
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def test_a_run_records_what_was_found_and_what_that_took(good: FakeServer, tmp_path: Path) -> None:
    found = solved(recipe_of(tmp_path, good), tmp_path / "run")
    assert {one.counts.num_candidates for one in found.values()} == {4}
    job = json.loads((tmp_path / "run" / "run.json").read_bytes())
    assert "differ" in job["found"]["engine"]["seeds"] or "the same" in job["found"]["engine"]["seeds"]
    assert job["opening"]["engine"]["written_tokens"] > 0
    assert {"seeds", "prefix"} <= set(job["capabilities"])


@pytest.mark.parametrize("sampler", SEARCHES)
def test_searches_run_on_a_server_and_resume_without_asking_again(
    good: FakeServer, tmp_path: Path, sampler: str
) -> None:
    recipe = recipe_of(tmp_path, good, sampler)
    found = solved(recipe, tmp_path / "run")
    assert {one.error for one in found.values()} == {None}
    asked = good.num_asked
    again = solved(recipe, tmp_path / "run")
    assert good.num_asked == asked
    assert {name: one.selection for name, one in again.items()} == {name: one.selection for name, one in found.items()}


def test_a_recipe_that_needs_what_the_server_does_not_do_is_refused_before_drawing(tmp_path: Path) -> None:
    with FakeServer(PLAIN).running() as server:
        for sampler, told in (
            (SEARCHES[1], "needs `prefix` of `engine`.*another turn behind a text"),
            ("{name: min_p, num_candidates: 2}", "needs `min_p` of `engine`.*so it is ignored"),
            ("{name: esamp, num_candidates: 2}", "needs `esamp` of `engine`.*without a word"),
        ):
            with pytest.raises(EngineLoadError, match=told):
                solved(recipe_of(tmp_path, server, sampler), tmp_path / sampler[7:12])
            assert records(tmp_path / sampler[7:12]) == []


@pytest.mark.parametrize("prompt", ["words:12:0 {}", "bad:reset:1 {}", "words:12:0 bad {}"])
def test_a_token_budget_holds_against_what_the_server_counts(tmp_path: Path, prompt: str) -> None:
    with FakeServer(GOOD).running() as server:
        recipe, budget = recipe_of(tmp_path, server), 900
        problems = rows(6, prompt)
        for _ in range(12):
            try:
                solved(recipe, tmp_path / "run", problems, token_budget=budget)
                break
            except CapReachedError as reached:
                assert server.num_written <= budget
                budget = int(str(reached).rpartition("--token-budget ")[2].split()[0]) + 150
        assert server.num_written <= budget
        assert len(records(tmp_path / "run")) == 24
        assert {one["error"] for one in records(tmp_path / "run")} == {None}


def test_a_budget_that_opening_could_pass_is_reached_before_anything_is_asked(tmp_path: Path) -> None:
    with FakeServer(GOOD).running() as server:
        with pytest.raises(CapReachedError, match="may be to open the engine"):
            solved(recipe_of(tmp_path, server), tmp_path / "run", token_budget=300)
        assert server.num_asked == 0


def test_money_is_counted_by_the_prices_of_the_recipe(tmp_path: Path) -> None:
    with FakeServer(GOOD).running() as server:
        recipe = recipe_of(tmp_path, server, price_read=1.0, price_written=100.0)
        with pytest.raises(CapReachedError, match=r"cost budget of 0\.09 is reached"):
            solved(recipe, tmp_path / "run", rows(40), cost_budget=0.09)
        spent = (server.num_read + 100 * server.num_written) / 1e6
        assert 0.05 < spent <= 0.09


def test_what_was_wasted_is_told(tmp_path: Path) -> None:
    with FakeServer(GOOD).running() as server:
        recipe = recipe_of(tmp_path, server)
        with open_run(recipe, rows(1, "bad:reset:2 {}"), tmp_path / "run") as run:
            list(run.outcomes())
    assert "at most 40 tokens" in run.tally.notes()[-1]


@pytest.mark.slow
def test_killed_in_the_middle_nothing_is_lost_or_doubled_and_the_same_comes(tmp_path: Path) -> None:
    """A server with bad days, killed at several moments: the candidates of an undisturbed run."""
    (tmp_path / "p.jsonl").write_text(
        "".join(
            json.dumps({"id": f"p{one}", "problem": f"{kind} What is {one}?", "kind": "text"}) + "\n"
            for one, kind in enumerate(["words:20:15", "bad:reset:3", "words:9:20", "bad:late_error:2"] * 5)
        )
    )
    with FakeServer(GOOD).running() as server:
        recipe_of(tmp_path, server, max_concurrency=8)
        command = [sys.executable, "-m", "tts", "solve", "p.jsonl", "-r", "r.yaml", "--run"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

        def start(name: str) -> subprocess.Popen:
            return subprocess.Popen(
                [*command, name], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )

        whole = start("whole")
        _, told = whole.communicate(timeout=200)
        assert whole.returncode in (0, 1), told
        server.tries.clear()
        for number in range(1, 4):
            process = start("killed")
            while len(records(tmp_path / "killed")) < 15 * number:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        last = start("killed")
        _, told = last.communicate(timeout=200)
        assert last.returncode in (0, 1), told

    def texts(name: str) -> dict:
        return {(one["problem_id"], one["index"]): one["text"] for one in records(tmp_path / name)}

    assert len(records(tmp_path / "killed")) == len(texts("killed")) == 80
    assert texts("killed") == texts("whole")


@pytest.mark.parametrize("route", ["chat", "completions"])
def test_a_dry_run_shows_the_prompt_as_the_server_renders_it_and_spends_nothing(tmp_path: Path, route: str) -> None:
    def planned(server: FakeServer) -> str:
        keys = (f"base_url={server.url}", f"model={server.model}", f"route={route}", "max_tries=3")
        sets = [word for key in keys for word in ("--set", f"engine.{key}")]
        return tts(tmp_path, "solve", "What is 6*7?", "--dry-run", "--recipe", "aime_openai", *sets).out

    with FakeServer().running() as server:
        told = planned(server)
        with OpenAIEngine(base_url=server.url, model=server.model, route=route) as engine:
            text, number = engine.render((Message("user", "one two"),))
        asked = server.num_asked
        assert planned(server) == told
        assert server.num_asked == asked, "it is not asked to write"
    assert (text, number) == (("<user one two > <assistant", 5) if route == "chat" else ("one two", 2))
    assert "# prompt of " in told
    assert ("> <assistant" in told) == (route == "chat")
    with FakeServer(PLAIN).running() as server:
        assert "the server renders the prompt itself and does not tell it" in planned(server)
    assert "the server renders the prompt itself and does not tell it: no connection" in planned(server)


def test_doctor_shows_what_was_seen_of_a_server(good: FakeServer, tmp_path: Path) -> None:
    told = tts(
        tmp_path, "doctor", "--engine", "openai", "--set", f"engine.base_url={good.url}", "--set", "engine.model=tiny"
    )
    assert told.code == 0, told
    assert "seeds          yes  draws with the same `seed`, are all the same" in told.out
    assert "openai with tiny, opened in" in told.out
    wrong = tts(tmp_path, "doctor", "--engine", "openai", "--set", "model=tiny")
    assert wrong.code == 2
    assert "must begin with `engine.`" in wrong.err
