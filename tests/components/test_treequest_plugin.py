"""The example of a plugin, examples/treequest, really installed: treequest's algorithms under the rules of a search."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from test_plugin import OFFLINE, PIP, environment, python

EXAMPLE = Path(__file__).parents[2] / "examples" / "treequest"
RECIPE = """\
task: math
engine:
  name: replay
  delay_seconds: 0.005
  batch_size: 5
  script:
    - {text: "first we add\\n\\n", stop: "\\n\\n"}
    - {text: "then we stop\\n\\n", stop: "\\n\\n"}
    - "so \\\\boxed{2}"
    - {text: "", finish_reason: error, error: overloaded}
    - "so \\\\boxed{4}"
sampler:
  name: treequest
  algorithm: ALGORITHM
  num_candidates: 6
  max_expansions: 60
  reward: {name: replay, delay_seconds: 0.002, rewards: [0.1, 0.3, 0.9, 0.5]}
selector: {name: best_of_n, scorer: step_rewards}
"""
ALGORITHMS = ("ab_mcts_a", "standard_mcts", "tree_of_thoughts_bfs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build and install the example into a folder of its own."""
    tried = subprocess.run([sys.executable, "-c", "import treequest"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"needs treequest: pip install treequest ({tried.stderr.splitlines()[-1]})")
    folder = tmp_path_factory.mktemp("treequest")
    source = shutil.copytree(EXAMPLE, folder / "source")
    subprocess.run([*PIP, *OFFLINE, "--target", str(folder / "site"), str(source)], check=True)
    return folder / "site"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_of_treequest_is_the_same_search_in_every_order(site: Path, algorithm: str) -> None:
    done = python(
        site,
        "import sys, random\n"
        "import numpy\n"
        "from tts.components import registry\n"
        "from tts.engines.replay import ReplayEngine\n"
        "from tts.testing import converse\n"
        "from tts.types import Completion, Problem\n"
        "def reply(request):\n"
        "    chance = random.Random(request.seed)\n"
        "    numpy.random.seed()\n"  # what others draw from numpy must not matter
        "    over = chance.random() < 0.2\n"
        "    stop = None if over else '\\n\\n'\n"
        "    text = f'{chance.random()}{stop or str()}'\n"
        "    return Completion(request.problem_id, request.key, text, 'stop', 3, 2, stop=stop)\n"
        "reward = ReplayEngine(rewards=(0.5,))\n"
        "sampler = registry.load('samplers', 'treequest')(algorithm=sys.argv[1], reward=reward, num_candidates=9)\n"
        "found = converse(sampler, Problem('p', 'x', 'text'), reply)\n"
        "print(len(found), len({one.text for one in found}), max(len(one.calls) for one in found) > 1)",
        algorithm,
    )
    assert (done.stderr, done.stdout) == ("", "9 9 True\n")


def test_what_others_draw_from_numpys_chance_is_not_touched(site: Path) -> None:
    done = python(
        site,
        "import random\n"
        "import numpy\n"
        "from tts_treequest import numpy_seeded_from\n"
        "numpy.random.seed(1)\n"
        "expected = numpy.random.random(2).tolist()\n"
        "numpy.random.seed(1)\n"
        "first = numpy.random.random()\n"
        "drawn = []\n"
        "for _ in range(2):\n"
        "    with numpy_seeded_from(random.Random(7)):\n"
        "        drawn.append(numpy.random.random())\n"
        "print(drawn[0] == drawn[1], [first, numpy.random.random()] == expected)",
    )
    assert (done.stderr, done.stdout) == ("", "True True\n")


@pytest.mark.parametrize(
    "algorithm", [ALGORITHMS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in ALGORITHMS[1:])]
)
def test_a_killed_run_replays_the_same_tree(site: Path, tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE.replace("ALGORITHM", algorithm))
    rows = [{"id": f"p{number}", "problem": f"{number} + 1?", "answer": "2"} for number in range(3)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def start(run: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tts", "solve", "p.jsonl", "-r", "r.yaml", "--run", run]
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment(site), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def finish(run: str) -> Counter[str]:
        process = start(run)
        _, told = process.communicate(timeout=120)
        assert process.returncode in (0, 1), told.decode()
        lines = [json.loads(line) for line in (tmp_path / run / "calls.jsonl").read_text().splitlines()]
        return Counter(json.dumps(line, sort_keys=True) for line in lines if line.get("told", True))

    whole, killed = finish("whole"), start("killed")
    calls = tmp_path / "killed" / "calls.jsonl"
    deadline = time.monotonic() + 60
    while not (calls.exists() and calls.read_bytes().count(b"\n") >= 20):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert finish("killed") == whole
    assert set(whole.values()) == {1}
    drawn = [sorted((tmp_path / run / "candidates.jsonl").read_text().splitlines()) for run in ("whole", "killed")]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) > 3


def test_arguments_that_treequest_does_not_take_are_refused_at_their_line(site: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPE.replace("ALGORITHM", "ab_mcts_a\n  arguments: {dist_typ: beta}"))
    done = python(site, "import sys; from tts.recipe import load_recipe; load_recipe(sys.argv[1])", str(recipe))
    assert "r.yaml:15: `sampler.arguments` must be those of treequest's ab_mcts_a: " in done.stderr
    assert "dist_typ" in done.stderr


def test_the_recipe_of_the_example_is_a_good_one(site: Path) -> None:
    script = "import sys; from tts.recipe import load_recipe; print(load_recipe(sys.argv[1]).sampler.most_calls)"
    done = python(site, script, str(EXAMPLE / "treequest.yaml"))
    assert (done.stderr, done.stdout) == ("", "144\n")
