"""Engines in processes of their own: the same replies, whoever dies is told of, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tts.components.apart import apart
from tts.engines.replay import ReplayEngine
from tts.errors import EngineError, RecipeError
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.types import Decoding, Message, Request, RewardRequest

MESSAGES = (Message("user", "2 + 2?"),)


def request(key: str) -> Request:
    return Request("p", key, MESSAGES, Decoding(9), 1, "test")


def drawn(engine, *requests):
    for one in requests:
        engine.add(one)
    found = []
    until = time.monotonic() + 30
    while len(found) < len(requests) and time.monotonic() < until:
        found += engine.step(0.1)
    return sorted(found, key=lambda one: int(one.key))


KEYS = {"script": ["one", "two", {"text": "three", "delay_seconds": 60}], "rewards": (0.25, 0.75), "num_parameters": 9}


def test_replies_are_those_of_the_engine_itself_and_what_is_cancelled_comes_back():
    rated = RewardRequest("p", "7", MESSAGES, ("a", "b"))
    asked = [request("0"), request("1"), rated]
    with ReplayEngine(**KEYS) as here, apart(ReplayEngine)(**KEYS) as there:
        assert drawn(there, *asked) == drawn(here, *asked)
        assert there.capabilities() == here.capabilities()
        assert (there.num_parameters, there.num_generated_tokens, there.num_free) == (9, 2, 256)
        assert there.step(5.0) == []  # at once: nothing is in flight
        there.add(request("2"))
        assert there.num_free == 255
        there.cancel("p", "2")
        [given_up] = drawn(there) or there.step(5.0)
        assert given_up.finish_reason == "cancelled"
        there.forget("p")
        assert there.step(0.0) == []


def test_what_cannot_be_opened_and_what_cannot_go_on_is_told_as_the_engine_tells_it():
    with pytest.raises(EngineError, match=r"nowhere\.jsonl"):
        apart(ReplayEngine)(source="nowhere.jsonl").open()
    with apart(ReplayEngine)(script=["x"], crash_after=1) as engine:
        assert len(drawn(engine, request("0"))) == 1
        engine.add(request("1"))
        with pytest.raises(EngineError, match="crash_after"):
            engine.step(10.0)


def test_a_process_that_is_killed_ends_the_work_with_a_sentence_that_says_how_to_go_on():
    with apart(ReplayEngine)(**KEYS) as engine:
        engine.add(request("2"))
        os.kill(engine._child._process.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match=r"`ReplayEngine` was killed by SIGKILL.*--run DIR"):
            engine.step(10.0)


RECIPE = """
task: math
engine: {name: replay, script: ["so \\\\boxed{2}", "so \\\\boxed{3}"], separate_process: APART}
sampler: {name: prm_beam, num_candidates: 4, reward: {name: replay, rewards: [0.1, 0.9], separate_process: APART}}
selector: majority_vote
"""


def recipe_of(folder: Path, apart: str):
    path = folder / f"{apart}.yaml"
    path.write_text(RECIPE.replace("APART", apart))
    return load_recipe(str(path))


def test_a_recipe_says_of_any_engine_that_it_works_apart_and_draws_the_same(tmp_path):
    texts = {}
    for apart_ in ("true", "false"):
        recipe = recipe_of(tmp_path, apart_)
        assert ("separate_process" in recipe.resolved()["engine"]) == (apart_ == "true")
        assert recipe.resolved()["sampler"]["reward"]["name"] == "replay"
        with open_run(recipe, [{"id": "p", "problem": "1 + 1?", "answer": "2"}], tmp_path / apart_) as run:
            list(run.outcomes())
        texts[apart_] = (tmp_path / apart_ / "candidates.jsonl").read_text()
    assert texts["true"] == texts["false"]
    with open_run(recipe_of(tmp_path, "false"), None, tmp_path / "true") as run:
        assert len(list(run.outcomes())) == 1  # where it works changes no candidate: the run goes on


def test_a_wrong_value_and_an_engine_that_computes_nothing_are_refused_by_name(tmp_path):
    with pytest.raises(RecipeError, match=r"engine\.separate_process.*must be true or false, got 3"):
        recipe_of(tmp_path, "3")
    (tmp_path / "asks.yaml").write_text(RECIPE.replace("APART", "false").replace(
        "{name: replay, rewards: [0.1, 0.9], separate_process: false}", "{name: p_true, separate_process: true}"
    ))  # fmt: skip
    with pytest.raises(RecipeError, match=r"sampler\.reward\.separate_process.*must be false"):
        load_recipe(str(tmp_path / "asks.yaml"))


PARENT = """
import sys, time
from tts.components.apart import apart
from tts.engines.replay import ReplayEngine
engine = apart(ReplayEngine)(script=["x"])
engine.open()
print(engine._child._process.pid, flush=True)
time.sleep(60)
"""


def test_the_process_ends_by_itself_when_its_parent_is_killed_and_prints_no_result():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 10
    while time.monotonic() < until and Path(f"/proc/{child}/stat").exists():
        if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    assert time.monotonic() < until
    assert parent.stdout.read() == ""
    parent.stdout.close()
