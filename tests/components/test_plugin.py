"""Samplers of another package, really built and installed, work from a recipe like built-ins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recipe_parts import COMPLETE, write

PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
OFFLINE = ["--no-deps", "--no-build-isolation", "--no-index"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build and install tests/plugins/alternating into a folder of its own, as a user would with pip."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(Path(__file__).parents[1] / "plugins" / "alternating", folder / "source")
    subprocess.run([*PIP, *OFFLINE, "--target", str(folder / "site"), str(source)], check=True)
    return folder / "site"


def environment(site: Path) -> dict[str, str]:
    """Return this process's environment, with what is installed in `site`, and the tests' own modules."""
    path = [str(site), str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def python(site: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(site), check=False)


def test_a_recipe_names_the_plugin_and_sets_its_keys(site: Path, tmp_path: Path) -> None:
    recipe = write(tmp_path, COMPLETE.replace("temperature", "{name: alternating, num_candidates: 3, hot: 1.5}"))
    done = python(
        site,
        "import json, sys\n"
        "from tts.recipe import load_recipe, rebuild_recipe\n"
        "from tts.types import Order, Problem\n"
        "recipe = load_recipe(sys.argv[1])\n"
        "again = rebuild_recipe(recipe.resolved())\n"
        "order = Order(Problem('p', 'x', 'text'), (), (0, 1, 2), (7, 8, 9))\n"
        "drawn = [request.decoding.temperature for request in again.sampler.requests(order)]\n"
        "print(json.dumps([recipe.resolved()['sampler'], drawn]))",
        str(recipe),
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == [
        {"name": "alternating", "num_candidates": 3, "max_tokens": 256, "cold": 0.3, "hot": 1.5},
        [0.3, 1.5, 0.3],
    ]


def test_the_plugins_mistakes_names_and_schema_are_like_a_built_ins(site: Path, tmp_path: Path) -> None:
    recipe = write(tmp_path, COMPLETE.replace("temperature", "{name: alternating, hto: 1.5}"))
    done = python(
        site,
        "import sys\n"
        "from tts.components import registry\n"
        "from tts.errors import RecipeError\n"
        "from tts.recipe import load_recipe, recipe_schema\n"
        "print(registry.names('samplers')[-1], 'samplers.alternating' in recipe_schema()['$defs'])\n"
        "try:\n    load_recipe(sys.argv[1])\n"
        "except RecipeError as error:\n    print(error)",
        str(recipe),
    )
    assert done.stdout.splitlines() == [
        "second_thoughts True",
        f"{recipe}:3: `sampler.hto` is no key of the sampler `alternating`. Did you mean `hot`? "
        "The keys are: name, num_candidates, max_tokens, cold, hot",
    ]


THOUGHTS = """\
task: math
engine:
  name: replay
  script:
    p: ["\\\\boxed{6}", "No: \\\\boxed{7}", "Yes: \\\\boxed{7}", "\\\\boxed{8}"]
    q: ["\\\\boxed{1}", "Yes: \\\\boxed{1}", "\\\\boxed{8}", "\\\\boxed{8}"]
sampler: second_thoughts
selector: majority_vote
"""


def test_a_search_of_a_plugin_runs_from_the_command_line(site: Path, tmp_path: Path) -> None:
    recipe = write(tmp_path, THOUGHTS)
    rows = [{"id": "p", "problem": "3 + 4?", "answer": "7"}, {"id": "q", "problem": "1?", "answer": "1"}]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    solve = "from tts.__main__ import main; main()"
    done = python(site, solve, "solve", str(tmp_path / "p.jsonl"), "-r", str(recipe), "--run", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    solved = {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert {name: one["counts"]["num_candidates"] for name, one in solved.items()} == {"p": 3, "q": 2}
    assert {name: one["answer"] for name, one in solved.items()} == {"p": "7", "q": "1"}
    lines = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_text().splitlines()]
    assert [line["calls"] for line in lines if line["problem_id"] == "p"] == [["0"], ["0", "1"], ["0", "1", "2"]]
    assert {line["sampler"] for line in lines} == {"second_thoughts"}


def test_a_search_of_a_plugin_is_tried_in_every_order_of_arrival(site: Path) -> None:
    done = python(
        site,
        "from tts.components import registry\n"
        "from tts.testing import converse\n"
        "from tts.types import Completion, Problem\n"
        "texts = {'0': 'six', '1': 'seven'}\n"
        "def reply(request):\n"
        "    text = texts.get(request.key, '')\n"
        "    return Completion(request.problem_id, request.key, text, 'stop', 3, 1)\n"
        "search = registry.load('samplers', 'second_thoughts')(doubt='', num_candidates=3)\n"
        "print([one.text for one in converse(search, Problem('p', 'x', 'text'), reply)])",
    )
    assert done.stderr == ""
    assert done.stdout == "['six', 'sixseven', 'sixseven']\n"


def test_without_the_plugin_its_name_is_unknown(tmp_path: Path) -> None:
    recipe = write(tmp_path, COMPLETE.replace("temperature", "alternating"))
    done = python(tmp_path, "import sys; from tts.recipe import load_recipe; load_recipe(sys.argv[1])", str(recipe))
    assert f"{recipe}:3: `sampler`: `alternating` is no sampler. There are: greedy" in done.stderr


def test_a_plugin_that_breaks_on_import_shows_its_own_error_at_the_recipes_line(site: Path, tmp_path: Path) -> None:
    torn = shutil.copytree(site, tmp_path / "torn")
    (torn / "tts_alternating.py").write_text("import json\nraise RuntimeError('needs a newer driver')\n")
    recipe = write(tmp_path, COMPLETE.replace("temperature", "alternating"))
    done = python(torn, "import sys; from tts.recipe import load_recipe; load_recipe(sys.argv[1])", str(recipe))
    assert done.stderr.splitlines()[-1] == (
        f"tts.errors.RecipeError: {recipe}:3: `sampler`: the sampler `alternating` cannot be imported from "
        "`tts_alternating:Alternating` of the package tts-alternating 1.2.0: "
        f"RuntimeError: needs a newer driver ({torn / 'tts_alternating.py'}:2)"
    )
    assert 'raise RuntimeError("needs' in done.stderr or "raise RuntimeError('needs" in done.stderr
