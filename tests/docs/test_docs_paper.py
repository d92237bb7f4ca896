"""The page on the paper's tables: every command names recipes and keys that there are, and its arithmetic is right."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from tts import shipped_recipes
from tts.recipe import load_recipe

PAGE = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
PAPER = [name for name in shipped_recipes() if name.startswith("paper/")]


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_every_command_is_of_recipes_that_take_its_keys(command: str) -> None:
    words = shlex.split(command)
    named = {
        key: [after for word, after in pairwise(words) if word in key.split("/")] for key in ("-r/--recipe", "--set")
    }
    assert named["-r/--recipe"]
    for recipe in named["-r/--recipe"]:
        load_recipe(recipe, named["--set"], purpose="bench")


def test_keys_in_the_tables_are_taken_too() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    spans = [span for row in rows for span in re.findall(r"`([^`]*--set [^`]*)`", row) if "…" not in span]
    assert len(spans) > 8
    for span in spans:
        keys = re.findall(r"--set (\S+)", span)
        arm = "min_p" if "min_p" in span else "fire" if "first_token" in span and "esamp" not in span else "esamp"
        load_recipe(f"paper/math_{arm}", keys)


@pytest.mark.parametrize("kind", ["math", "gpqa", "code", "creative"])
def test_the_arms_of_a_kind_draw_alike_but_for_the_sampler_and_the_page_counts_their_tokens(kind: str) -> None:
    recipes = [load_recipe(name) for name in PAPER if name.startswith(f"paper/{kind}_") and "beam" not in name]
    assert len(recipes) == (4 if kind == "creative" else 7)
    told = re.search(rf"^\| `{kind}`.*?\| ([\d,]+) × (\d+) \| ([\d.]+) million", PAGE, re.MULTILINE)
    assert told is not None
    problems, candidates, millions = int(told[1].replace(",", "")), int(told[2]), float(told[3])
    for recipe in recipes:
        assert recipe.sampler.num_candidates == candidates
        assert problems * candidates * recipe.sampler.max_tokens == pytest.approx(millions * 1e6, rel=0.01)
        assert (recipe.problems, recipe.task.kind, recipe.seed) == (recipes[0].problems, recipes[0].task.kind, 42)


def test_every_recipe_of_the_paper_is_on_the_page() -> None:
    kinds = {name.removeprefix("paper/").partition("_")[0] for name in PAPER}
    arms = {name.removeprefix("paper/").partition("_")[2] for name in PAPER}
    assert all(f"`{kind}`" in PAGE for kind in kinds)
    assert all(re.search(rf"(paper/\w+|…)_{arm}\b", PAGE) for arm in arms)


def test_the_opening_of_a_book_is_32_words_before_its_middle() -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    names: dict[str, object] = {}
    exec(code, names)  # the page's own
    opening = names["opening"]
    assert callable(opening)
    assert opening(" ".join(map(str, range(100)))) == " ".join(map(str, range(18, 50)))
