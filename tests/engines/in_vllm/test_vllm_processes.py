"""ESamp in vLLM from the outside: the command, an engine in processes of its own, compiled models, a server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from vllm_parts import SMOLLM2, serving

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves

ROWS = "".join(
    json.dumps({"id": f"p{number}", "problem": f"What is {number} and 2?", "answer": str(number + 2)}) + "\n"
    for number in (1, 30)
)
SMALL = (
    "engine.model=" + SMOLLM2, "engine.max_model_len=512", "engine.kv_cache_mb=256", "sampler.max_tokens=24",
    "sampler.num_candidates=4",
)  # fmt: skip


def solve(folder: Path, *settings: str, recipe: str = "aime_esamp.yaml", limit: int = 2):
    """Run the command on two rows; return the candidates' texts and the run's statistics."""
    overrides = [word for setting in (*SMALL, *settings) for word in ("--set", setting)]
    command = [sys.executable, "-m", "tts", "solve", "--recipe", recipe, "--run", str(folder), "--limit", str(limit)]
    done = subprocess.run(
        [*command, *overrides], input=ROWS, capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr  # 1: some have no answer within 24 tokens
    assert [sorted(json.loads(line)) for line in done.stdout.splitlines()]  # nothing but results
    lines = (folder / "candidates.jsonl").read_text().splitlines()
    texts = {(one["problem_id"], one["index"]): one["text"] for one in map(json.loads, lines)}
    return texts, json.loads((folder / "run.json").read_text()).get("statistics", {}), done.stderr


def test_the_command_runs_esamp_on_vllm_and_shows_what_it_did(tmp_path):
    texts, statistics, told = solve(tmp_path / "esamp")
    assert len(texts) == 8
    figures = statistics["esamp"]
    assert figures["rows_guided"] > 0
    assert figures["rows_without_slot"] == 0
    assert figures["tokens_per_second"] > 0
    assert figures["warnings"] == []
    assert "esamp: steps" in told


def test_esamp_works_in_an_engine_with_a_process_of_its_own(tmp_path):
    texts, statistics, _ = solve(tmp_path / "apart", "engine.separate_process=true")
    assert len(texts) == 8
    assert statistics["esamp"]["rows_guided"] > 0
    assert (statistics["esamp"]["rows_without_slot"], statistics["esamp"]["warnings"]) == (0, [])


@pytest.mark.slow
def test_a_compiled_model_is_guided_too(tmp_path):
    plain, _, _ = solve(tmp_path / "plain", "engine.enforce_eager=false", "sampler.beta=0", limit=1)
    guided, statistics, _ = solve(tmp_path / "guided", "engine.enforce_eager=false", limit=1)
    assert guided != plain
    assert statistics["esamp"]["rows_guided"] > 0


def test_doctor_says_whether_esamp_steers_how_strongly_and_in_which_runner():
    keys = [word for one in (*SMALL[:3], "engine.batch_size=4") for word in ("--set", one)]
    command = [sys.executable, "-m", "tts", "doctor", "--engine", "vllm", *keys]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    told = done.stdout[done.stdout.index("\nEngine\n") :]
    assert "vllm with package://" in told
    assert "4 candidates of one problem, vLLM's runner V1" in told
    assert re.search(r"plain: \d+ tokens/s\n", told)
    assert re.search(r"β = 0: \d+ tokens/s, \d+ % of plain; 4 of 4 texts equal plain's\n", told), told
    assert re.search(r"β = 0.25: \d+ tokens/s, \d+ % of plain; [0-3] of 4 texts equal plain's\n", told), told
    kl, guided = re.search(r"KL\(guided ‖ plain\) ([\d.]+) nats a token, over (\d+) guided tokens", told).groups()
    assert 0.001 < float(kl) < 3
    assert int(guided) >= 4 * 63
    assert "ESamp steers here" in told


@pytest.fixture(scope="module")
def server():
    """The address of a server started by what `tts serve-args` prints."""
    settings = [*(one for one in SMALL if one.startswith("engine.")), "engine.enforce_eager=true"]
    printed = subprocess.run(
        [sys.executable, "-m", "tts", "serve-args", "--recipe", "aime_esamp.yaml"]
        + [word for setting in settings for word in ("--set", setting)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert printed.returncode == 0, printed.stderr
    with serving(printed.stdout.strip()) as address:
        yield address


def test_a_servers_requests_choose_their_guidance_and_wrong_values_are_refused(server):
    from openai import BadRequestError, OpenAI

    client = OpenAI(base_url=server, api_key="none", max_retries=0, timeout=600)

    def texts(num: int = 1, temperature: float = 0.0, **values):
        answer = client.completions.create(
            model="small", prompt="The sea is", n=num, max_tokens=16, temperature=temperature, seed=1,
            extra_body={"vllm_xargs": values},
        )  # fmt: skip
        return [choice.text for choice in answer.choices]

    unguided = texts(esamp_beta=0)
    assert texts(esamp_beta=0, esamp_group="again") == unguided
    strong = texts(esamp_beta=3, esamp_group="strong")
    assert strong != unguided
    assert texts(esamp_beta="3", esamp_group="text", esamp_group_size="1") == strong
    assert len(set(texts(num=4, temperature=1.0, esamp_beta=0.25))) > 1
    for values, told in (
        ({"esamp_beta": -1}, "`esamp_beta` must be greater than or equal to 0, got -1"),
        ({"esamp_beta": "much"}, "`esamp_beta` must be"),
        ({"esamp_betta": 1}, "Did you mean `esamp_beta`?"),
        ({"esamp_group_size": 0}, "`esamp_group_size` must be greater than or equal to 1, got 0"),
        ({"esamp_beta": True}, "`esamp_beta` must be a number, got True"),
        ({"esamp_beta": 1e30}, "`esamp_beta` must be less than or equal to 100, got 1e+30"),
        ({"esamp_beta": 1e4}, "`esamp_beta` must be less than or equal to 100, got 10000"),
    ):
        with pytest.raises(BadRequestError, match="400") as refused:
            texts(**values)
        assert told in str(refused.value)
    assert texts(esamp_beta=0, esamp_group="third") == unguided  # the engine lives


def test_32_groups_at_once_are_all_guided_and_a_client_can_see_it(server):
    from openai import OpenAI

    client = OpenAI(base_url=server, api_key="none", max_retries=0, timeout=600)
    root = server.removesuffix("/v1")

    def text(number: int, beta: str) -> str:
        values = {"esamp_beta": beta, "esamp_group": f"{beta} {number}", "tts_id": f"{beta}-{number}"}
        answer = client.completions.create(
            model="small", prompt=f"{number} ships went to sea, and", max_tokens=24, temperature=0.0,
            extra_body={"vllm_xargs": values, "ignore_eos": True},
        )  # fmt: skip
        return answer.choices[0].text

    def told(path: str) -> str:
        with urllib.request.urlopen(f"{root}{path}", timeout=60) as answer:
            return answer.read().decode()

    before = json.loads(told("/esamp"))["figures"]
    with ThreadPoolExecutor(32) as threads:
        plain = list(threads.map(lambda number: text(number, "0"), range(32)))
        steered = list(threads.map(lambda number: text(number, "3"), range(32)))
    assert sum(one != other for one, other in zip(plain, steered, strict=True)) == 32
    asked = "&".join(f"tts_id=3-{number}" for number in range(32))
    figures = json.loads(told(f"/esamp?{asked}"))
    assert {one["esamp_guided_tokens"] for one in figures.values()} == {23}  # of 24 tokens all but the first
    assert json.loads(told("/esamp?tts_id=0-1"))["0-1"]["esamp_guided_tokens"] == 0
    after = json.loads(told("/esamp"))["figures"]
    assert after["rows_without_slot"] == 0
    assert after["rows_guided"] - before["rows_guided"] == 32 * 23
    metrics = dict(line.split() for line in told("/metrics").splitlines() if line.startswith("tts_esamp_"))
    assert float(metrics["tts_esamp_rows_guided"]) == after["rows_guided"]
    assert float(metrics["tts_esamp_rows_without_slot"]) == 0
