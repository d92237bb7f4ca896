"""`extends:` lays a recipe over another, `--set` lays single keys over both; every error names who wrote the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipe_parts import COMPLETE, load, mistakes, with_sampler, write

from tts.errors import RecipeError
from tts.recipe import load_recipe
from tts.samplers.greedy import Greedy
from tts.samplers.min_p import MinP
from tts.samplers.temperature import Temperature


@pytest.mark.parametrize(
    ("override", "sampler"),
    [
        ("sampler.num_candidates=16", Temperature(num_candidates=16, top_k=5)),
        ("sampler.temperature=1e-1", Temperature(temperature=0.1, top_k=5)),
        ("sampler.stop=[a, b]", Temperature(stop=("a", "b"), top_k=5)),
        ("sampler.stop=['=']", Temperature(stop=("=",), top_k=5)),
        ("sampler.name=min_p", MinP(top_k=5)),
        ("sampler=greedy", Greedy()),
        ("sampler={name: greedy, max_tokens: 9}", Greedy(max_tokens=9)),
    ],
)
def test_an_override_sets_one_key_or_a_whole_section(tmp_path: Path, override: str, sampler: object) -> None:
    assert load(tmp_path, with_sampler("{name: temperature, top_k: 5}"), override).sampler == sampler


def test_an_override_reaches_into_a_section_written_as_a_bare_name(tmp_path: Path) -> None:
    assert load(tmp_path, COMPLETE, "sampler.top_p=0.5").sampler == Temperature(top_p=0.5)


def test_an_override_reaches_into_lists(tmp_path: Path) -> None:
    text = with_sampler("{name: mixture, arms: [greedy, temperature]}")
    recipe = load(tmp_path, text, "sampler.arms.1.top_k=3", "sampler.arms.0=min_p")
    assert recipe.resolved()["sampler"]["arms"][1]["top_k"] == 3
    assert recipe.resolved()["sampler"]["arms"][0]["name"] == "min_p"
    [line] = mistakes(tmp_path, text, "sampler.arms.2.top_k=3")
    assert line == "--set sampler.arms.2.top_k=3: an item's number must be below 2, the list's length, got `2`"


def test_a_later_override_wins_and_may_set_what_is_not_in_the_file(tmp_path: Path) -> None:
    recipe = load(tmp_path, COMPLETE, "seed=1", "problems=./x.jsonl", "seed=2")
    assert (recipe.seed, recipe.problems) == (2, "./x.jsonl")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("samplr.top_k=3", "`samplr` is no key of a recipe. Did you mean `sampler`?"),
        ("sampler.top_q=3", "`sampler.top_q` is no key of the sampler `temperature`. Did you mean `top_p` or `top_k`?"),
        ("sampler.top_k=x", '`sampler.top_k` must be an integer, got the string "x"'),
        ("sampler=", "`sampler` must be a sampler: its name, or a mapping with `name` and its keys, got nothing"),
        ("sampler=gredy", "`sampler`: `gredy` is no sampler. Did you mean `greedy`?"),
        ("seed.x=1", "`seed` must be an integer, got a mapping with x"),
        ("sampler.stop=[a", "this is not valid YAML: while parsing a flow sequence"),
        ("sampler={name: min_p, top_k: 1, top_k: 2}", "the key `top_k` must stand once"),
        ("sampler", "an override must be `key=value`, as in --set sampler.num_candidates=16"),
        ("=3", "an override must be `key=value`"),
        ("sampler..top_k=3", "an override must be `key=value`"),
        ("extends=quickstart", "`extends` must stand in a recipe file"),
    ],
)
def test_a_wrong_override_is_located_on_the_command_line(tmp_path: Path, override: str, told: str) -> None:
    line = mistakes(tmp_path, COMPLETE, override)[-1]
    assert line.startswith(f"--set {override}: {told}")


def test_a_recipe_takes_over_key_by_key_what_it_extends(tmp_path: Path) -> None:
    write(tmp_path, with_sampler("{name: temperature, top_k: 5, stop: [a, b]}") + "seed: 3\n", "parent.yaml")
    recipe = load(tmp_path, "extends: parent.yaml\nsampler: {top_p: 0.5, stop: [c]}\ndescription: child\n")
    assert recipe.sampler == Temperature(top_k=5, top_p=0.5, stop=("c",))
    assert (recipe.seed, recipe.description, recipe.name) == (3, "child", "mine")


def test_naming_another_component_drops_the_keys_of_the_old_one(tmp_path: Path) -> None:
    write(tmp_path, with_sampler("{name: temperature, temperature: 0.5, max_tokens: 7}"), "parent.yaml")
    assert load(tmp_path, "extends: parent.yaml\nsampler: {name: greedy}\n").sampler == Greedy()
    assert load(tmp_path, "extends: parent.yaml\nsampler: greedy\n").sampler == Greedy()
    kept = Temperature(temperature=0.5, max_tokens=7)
    assert load(tmp_path, "extends: parent.yaml\nsampler: temperature\n").sampler == kept


def test_a_chain_of_recipes_is_followed_from_folder_to_folder(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    write(tmp_path / "far", COMPLETE + "problems: ./set.jsonl\nseed: 1\n", "root.yaml")
    write(tmp_path, "extends: ./far/root.yaml\nseed: 2\n", "middle.yaml")
    recipe = load(tmp_path, "extends: middle.yaml\ndescription: leaf\n")
    assert (recipe.seed, recipe.problems) == (2, str(tmp_path / "far" / "set.jsonl"))


def test_a_shipped_recipe_can_be_extended_by_name(tmp_path: Path) -> None:
    text = "extends: quickstart\nengine: {name: replay, script: [a]}\nseed: 7\n"
    assert load(tmp_path, text).problems == load_recipe("quickstart").problems


def test_a_mistake_points_at_the_file_that_holds_the_key(tmp_path: Path) -> None:
    write(tmp_path, COMPLETE + "seed: -1\n", "parent.yaml")
    assert mistakes(tmp_path, "extends: parent.yaml\n\nsampler: {top_k: -1}\n", "sampler.top_p=2") == [
        "mine.yaml:3: `sampler.top_k` must be ≥ 0, got -1",
        "parent.yaml:5: `seed` must be ≥ 0, got -1",
        "--set sampler.top_p=2: `sampler.top_p` must be ≤ 1, got 2",
    ]


def test_recipes_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "extends: mine.yaml\n", "other.yaml")
    assert mistakes(tmp_path, "seed: 1\nextends: other.yaml\n") == [
        "other.yaml:1: `extends` must not lead back to the same recipe, got mine.yaml → other.yaml → mine.yaml"
    ]


@pytest.mark.parametrize("extends", ["", "3", "[a.yaml, b.yaml]"])
def test_extends_takes_one_recipe(tmp_path: Path, extends: str) -> None:
    [line] = mistakes(tmp_path, f"seed: 1\nextends: {extends}\n")
    assert line.startswith("mine.yaml:2: `extends` must be the path or name of one recipe, got ")


def test_extending_what_is_not_there_is_refused_at_its_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"mine\.yaml:1: `extends`: .* Did you mean `quickstart`"):
        load(tmp_path, "extends: quickstrat\n")
