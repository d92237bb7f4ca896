"""Searches of real processes, killed at any moment and gone on with: nothing lost, nothing doubled, the same folder."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

RECIPE = """
task: math
engine:
  name: replay
  delay_seconds: 0.004
  batch_size: 5
  script:
    - {text: "first we add", engine_stats: {least_confidence: 3.0}}
    - {text: "so \\\\boxed{2}", engine_stats: {least_confidence: 5.0}}
    - {text: "so \\\\boxed{4}", engine_stats: {least_confidence: 4.0}}
    - {text: "so", finish_reason: abandoned, engine_stats: {least_confidence: 1.0}}
    - {text: "step one\\n\\n", stop: "\\n\\n", engine_stats: {least_confidence: 2.0}}
    - {text: "step two\\n\\n", stop: "\\n\\n", engine_stats: {least_confidence: 6.0}}
    - {text: "", finish_reason: error, error: overloaded}
sampler: SAMPLER
selector: majority_vote
"""
REWARD = "reward: {name: replay, delay_seconds: 0.002, rewards: [0.1, 0.3, 0.9, 0.5]}"
JUDGE = (
    "{name: replay, batch_size: 3, delay_seconds: 0.001, script: ["
    "{text: 'Yes', asked_logprobs: {'Yes': -0.1, 'No': -2.0}}, "
    "{text: 'No', asked_logprobs: {'Yes': -1.0, 'No': -0.5}}]}"
)
SAMPLERS = {
    "prm_beam_asking": f"{{name: prm_beam, num_candidates: 4, reward: {{name: p_true, engine: {JUDGE}}}}}",
    "prm_beam": f"{{name: prm_beam, num_candidates: 8, {REWARD}}}",
    "particle_filter": f"{{name: particle_filter, num_candidates: 6, {REWARD}}}",
    "ab_mcts": f"{{name: ab_mcts, num_candidates: 4, max_expansions: 60, {REWARD}}}",
    "adaptive_consistency": "{name: adaptive_consistency, num_candidates: 24}",
    "deepconf": "{name: deepconf, num_candidates: 24, warmup: 6}",
    "budget_forcing": "{name: budget_forcing, num_candidates: 5, max_thinking_tokens: 20}",
}
VARIES = ("num_cached_tokens",)


def start(folder: Path, run: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tts", "solve", "p.jsonl", "--recipe", "r.yaml", "--run", str(run)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(folder: Path, run: Path) -> None:
    process = start(folder, run)
    _, told = process.communicate(timeout=120)
    assert process.returncode in (0, 1), told.decode()


def lines(run: Path, name: str) -> Counter[str]:
    """The lines of a file without what depends on timing."""
    found: Counter[str] = Counter()
    for line in (run / name).read_bytes().splitlines():
        entries = json.loads(line)
        if entries.get("told", True):
            for part in (entries, entries.get("completion") or {}):
                for key in VARIES:
                    part.pop(key, None)
            found[json.dumps(entries, sort_keys=True)] += 1
    return found


@pytest.mark.parametrize(
    ("name", "times"),
    [
        *((name, 2) for name in ("prm_beam", "adaptive_consistency")),
        *(pytest.param(name, 20, marks=pytest.mark.slow) for name in SAMPLERS),
    ],
)
def test_a_search_that_is_killed_again_and_again_leaves_the_folder_of_one_that_was_not(
    tmp_path: Path, name: str, times: int
) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE.replace("SAMPLER", SAMPLERS[name]))
    problems = [{"id": f"p{number}", "problem": f"{number} + 1?", "answer": "2"} for number in range(6)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(problem) + "\n" for problem in problems))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(tmp_path, whole)
    chance = random.Random(f"{name}{times}")
    for _ in range(times):
        process = start(tmp_path, killed)
        deadline = time.monotonic() + 20
        number = len((killed / "calls.jsonl").read_bytes()) if (killed / "calls.jsonl").exists() else 0
        while time.monotonic() < deadline and process.poll() is None:  # until it has drawn a little more
            if (killed / "calls.jsonl").exists() and (killed / "calls.jsonl").stat().st_size > number:
                break
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(tmp_path, killed)
    for file in ("calls.jsonl", "candidates.jsonl", "verdicts.jsonl", "selections.jsonl"):
        here, there = lines(whole, file), lines(killed, file)
        assert there == here, file
        assert set(here.values()) == {1}
