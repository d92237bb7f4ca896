"""What an exit code says: 1 of a whole run, 2 of a command that is wrong, 3 of a run that broke off."""

import os
import subprocess
from pathlib import Path

from cli_parts import TTS, environment
from command_parts import tts


def test_a_problem_without_an_answer_is_exit_code_1(folder: Path) -> None:
    (folder / "silent.yaml").write_text(
        "engine: {name: replay, script: {'6*7': ['no idea'], '*': ['\\boxed{41}']}}\n"
        "sampler: {name: temperature, num_candidates: 1}\ntask: math\nselector: first\n"
    )
    assert tts(folder, "solve", "p.jsonl", "-r", "silent.yaml", "--run", "silent").code == 1
    assert tts(folder, "grade", "silent").code == 1
    assert tts(folder, "select", "silent").code == 1


def test_an_engine_that_dies_is_exit_code_3_and_one_that_cannot_load_2(folder: Path) -> None:
    died = tts(folder, "solve", "p.jsonl", "-r", "scripted.yaml", "--set", "engine.crash_after=3", "--run", "a b")
    assert died.code == 3
    assert died.err.splitlines()[-1] == "tts: What was drawn is kept; resume with: tts solve --run 'a b'"
    (folder / "broken_engine.py").write_text(
        "from tts.engines.replay import ReplayEngine\nfrom tts.errors import EngineError\n"
        "class Broken(ReplayEngine):\n    def open(self):\n        raise EngineError('no such device')\n"
        "class Strange(ReplayEngine):\n    def step(self):\n        raise ValueError('from a plugin')\n"
    )
    path = f"{folder}:{os.environ.get('PYTHONPATH', '')}"
    for name, code, told in (("Broken", 2, "no such device"), ("Strange", 3, "unexpected ValueError: from a plugin")):
        (folder / f"{name}.yaml").write_text(
            (folder / "scripted.yaml").read_text().replace("replay", f"broken_engine:{name}")
        )
        done = subprocess.run(
            [*TTS, "solve", "p.jsonl", "-r", f"{name}.yaml"],
            cwd=folder,
            env=environment(PYTHONPATH=path),
            capture_output=True,
            check=False,
            text=True,
        )
        assert done.returncode == code, done.stderr
        assert told in done.stderr
        assert len(done.stderr.splitlines()) <= 2
        assert ("resume with: tts solve --run runs/" in done.stderr) == (code == 3)


def test_a_budget_that_is_reached_is_exit_code_3_and_a_larger_one_goes_on(folder: Path) -> None:
    reached = tts(folder, "solve", "p.jsonl", "-r", "scripted.yaml", "--run", "r", "--token-budget", "1025")
    assert reached.code == 3
    told = reached.err.splitlines()
    assert "the token budget of 1\u202f025 tokens is reached" in told[-2]
    assert "Go on with --token-budget " in told[-2]
    assert told[-1] == "tts: What was drawn is kept; resume with: tts solve --run r"
    assert tts(folder, "solve", "p.jsonl", "--run", "r", "--token-budget", "100000").code in (0, 1)
    unpriced = tts(folder, "solve", "p.jsonl", "-r", "scripted.yaml", "--run", "s", "--cost-budget", "5")
    assert (unpriced.code, "needs an engine with prices" in unpriced.err) == (2, True)
    assert not (folder / "s").exists()
