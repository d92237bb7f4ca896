"""A tree becomes a recipe, or one error with every mistake of the tree and those noted before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tts.components import registry
from tts.engines.replay import ReplayEngine
from tts.errors import RecipeError, RegistryError
from tts.recipe.build import build
from tts.recipe.mistakes import Mistake
from tts.recipe.tree import Node, Place, from_plain
from tts.samplers.greedy import Greedy
from tts.samplers.min_p import MinP
from tts.samplers.mixture import Mixture
from tts.samplers.temperature import Temperature
from tts.scorers.public_tests import PublicTests
from tts.selectors.majority_vote import MajorityVote
from tts.tasks.math import MathTask

ENGINE = {"name": "replay", "script": ["6"]}
SECTIONS = {"task": "math", "engine": ENGINE, "sampler": "greedy", "selector": "majority_vote"}


def tree(**changed: Any) -> Node:
    """Return the tree of a whole recipe, everything on line 1."""
    return from_plain({**SECTIONS, **changed}, Place("mine.yaml", 1))


def refused(root: Node, *noted: Mistake) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        build(root, noted)
    return str(caught.value).splitlines()


def test_names_and_mappings_become_components_with_their_defaults() -> None:
    recipe = build(tree(task={"name": "math"}))
    assert (type(recipe.task), type(recipe.engine)) == (MathTask, ReplayEngine)
    assert (recipe.sampler, recipe.selector) == (Greedy(), MajorityVote())
    assert (recipe.name, recipe.seed) == ("", 0)


def test_components_inside_components_are_built_first() -> None:
    mixed = {"name": "mixture", "arms": ["temperature", {"name": "min_p", "min_p": 0.2}], "num_candidates": 4}
    recipe = build(tree(sampler=mixed, selector={"name": "best_of_n", "scorer": "public_tests"}))
    assert isinstance(recipe.sampler, Mixture)
    assert recipe.sampler.arms == (Temperature(), MinP(min_p=0.2))
    assert isinstance(recipe.selector.scorer, PublicTests)


def test_mistakes_of_all_sections_are_raised_together_with_those_noted_before() -> None:
    noted = Mistake(Place("mine.yaml", 7), "the key `seed` must stand once")
    assert refused(tree(sampler="gredy", selector=5, seed=-1), noted) == [
        "mine.yaml:1: `sampler`: `gredy` is no sampler. Did you mean `greedy`? There are: "
        f"{', '.join(registry.builtin('samplers'))}; or give a class as `module:Class`",
        "mine.yaml:1: `selector` must be a selector: its name, or a mapping with `name` and its keys, got 5",
        "mine.yaml:1: `seed` must be ≥ 0, got -1",
        "mine.yaml:7: the key `seed` must stand once",
    ]


def test_a_mistake_noted_before_refuses_a_tree_without_any() -> None:
    assert refused(tree(), Mistake(Place("--set x"), "told before")) == ["--set x: told before"]


def test_a_mistake_inside_a_component_is_told_once() -> None:
    inner = {"name": "mixture", "arms": ["greedy", {"name": "min_p", "min_p": 2}], "num_candidates": 2}
    assert refused(tree(sampler=inner)) == ["mine.yaml:1: `sampler.arms.1.min_p` must be < 1, got 2"]


def test_a_component_needs_a_name_that_is_a_word() -> None:
    nameless, number = refused(tree(sampler={"top_k": 3}, selector={"name": 3}))
    assert nameless.startswith("mine.yaml:1: `sampler.name` is missing: which sampler? There are: greedy, temperature")
    assert number == "mine.yaml:1: `selector.name` must be the name of a selector, got 3"


def test_the_error_of_the_registry_is_the_cause() -> None:
    with pytest.raises(RecipeError) as caught:
        build(tree(sampler="no_such_module:Sampler"))
    assert isinstance(caught.value.__cause__, RegistryError)


@pytest.mark.parametrize(
    ("text", "found"), [("./p.jsonl", "/home/p.jsonl"), ("../p.jsonl", "/p.jsonl"), ("p.jsonl", "p.jsonl")]
)
def test_a_path_with_a_leading_dot_is_seen_from_the_folder_it_is_written_in(text: str, found: str) -> None:
    root = tree()
    assert isinstance(root.value, dict)
    written = Node(text, Place("mine.yaml", 2, Path("/home")))
    assert build(Node({**root.value, "problems": written}, root.place)).problems == found
    assert build(tree(problems=text)).problems == text
