"""A resolved recipe holds every key, gives the same recipe back, and shows where it differs from another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipe_parts import COMPLETE, load, with_sampler

from tts.engines.replay import ReplayEngine
from tts.errors import RecipeError
from tts.recipe import Recipe, differences, only_later_stages, rebuild_recipe
from tts.samplers.temperature import Temperature
from tts.selectors.majority_vote import MajorityVote
from tts.tasks.text import TextTask

MIXTURE = "{name: mixture, arms: [greedy, {name: 'recipe_parts:Rich', fallback: min_p}], shares: [1, 7]}"


def changed(tmp_path: Path, *overrides: str) -> list[str]:
    old, new = load(tmp_path, COMPLETE), load(tmp_path, COMPLETE, *overrides)
    return [str(difference) for difference in differences(old.resolved(), new.resolved())]


def later(tmp_path: Path, *overrides: str) -> bool:
    old, new = load(tmp_path, COMPLETE), load(tmp_path, COMPLETE, *overrides)
    return only_later_stages(differences(old.resolved(), new.resolved()))


@pytest.mark.parametrize(
    "text", [COMPLETE, with_sampler(MIXTURE), COMPLETE + "problems: ./x.jsonl\ndescription: «x»\n"]
)
def test_a_resolved_recipe_survives_json_and_gives_the_same_recipe(tmp_path: Path, text: str) -> None:
    recipe = load(tmp_path, text)
    again = rebuild_recipe(json.loads(json.dumps(recipe.resolved())), name="mine")
    assert again.resolved() == recipe.resolved()
    assert (again.hash(), again.sampler, again.name) == (recipe.hash(), recipe.sampler, "mine")


def test_every_key_is_explicit_and_in_a_fixed_order(tmp_path: Path) -> None:
    resolved = load(tmp_path, COMPLETE).resolved()
    assert list(resolved) == ["description", "problems", "task", "engine", "sampler", "selector", "seed"]
    assert list(resolved["sampler"].items()) == [
        ("name", "temperature"), ("num_candidates", 8), ("max_tokens", 1024), ("stop", []), ("top_p", 1.0),
        ("top_k", 0), ("min_p", 0.0), ("top_n_sigma", 0.0), ("first_token_temperature", None),
        ("first_token_top_k", 16), ("temperature", 0.7),
    ]  # fmt: skip
    assert resolved["task"]["verifier"] == {"name": "recipe_parts:Verbatim"}


def test_the_hash_knows_the_job_and_neither_its_name_nor_the_way_it_is_written(tmp_path: Path) -> None:
    plain = load(tmp_path, COMPLETE)
    same = load(
        tmp_path, "\n".join(reversed(COMPLETE.splitlines())) + "\ndescription: other words\n", "sampler.top_p=1"
    )
    assert same.hash() == plain.hash()
    assert len(plain.hash()) == 64
    others = ["seed=1", "sampler.top_k=1", "selector=first", "problems=x", "task.template='{problem}!'"]
    assert len({plain.hash(), *(load(tmp_path, COMPLETE, other).hash() for other in others)}) == 6


def test_a_recipe_can_be_put_together_in_python() -> None:
    from recipe_parts import Verbatim

    recipe = Recipe(
        task=TextTask(verifier=Verbatim()),
        engine=ReplayEngine(script=["a"]),  # type: ignore[arg-type]
        sampler=Temperature(),
        selector=MajorityVote(),
    )
    assert rebuild_recipe(recipe.resolved()).hash() == recipe.hash()
    assert (recipe.name, recipe.source, recipe.named("x").name) == ("", "", "x")


def test_a_resolved_recipe_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    resolved = load(tmp_path, COMPLETE).resolved()
    with pytest.raises(RecipeError, match=r"resolved recipe: `sampler\.top_q` is no key"):
        rebuild_recipe({**resolved, "sampler": {"name": "temperature", "top_q": 1}})


def test_a_recipe_on_record_from_before_a_key_means_what_was_done_then(tmp_path: Path) -> None:
    text = with_sampler("esamp").replace('{name: replay, script: ["6", "seven"]}', "{name: transformers, model: m}")
    new = load(tmp_path, text).resolved()
    assert rebuild_recipe(new).resolved()["sampler"]["start"] == "mean"
    old = {**new, "sampler": {key: value for key, value in new["sampler"].items() if key != "start"}}
    assert rebuild_recipe(old).resolved()["sampler"]["start"] == "paper"


def test_differences_are_listed_by_dotted_key(tmp_path: Path) -> None:
    assert changed(tmp_path) == []
    assert changed(tmp_path, "description=other") == []
    assert changed(tmp_path, "seed=4", "sampler.top_k=2", "sampler.stop=[x]") == [
        "sampler.stop: [] → [\"x\"]",
        "sampler.top_k: 0 → 2",
        "seed: 0 → 4",
    ]  # fmt: skip
    assert changed(tmp_path, "problems=aime") == ['problems: null → "aime"']


def test_of_another_component_only_the_name_is_listed(tmp_path: Path) -> None:
    assert changed(tmp_path, "sampler=greedy") == ['sampler.name: "temperature" → "greedy"']


def test_lists_of_one_length_are_compared_item_by_item(tmp_path: Path) -> None:
    old, new = (
        load(tmp_path, with_sampler(f"{{name: mixture, arms: [min_p, {{name: temperature, top_k: {k}}}]}}")).resolved()
        for k in (1, 2)
    )
    assert [str(difference) for difference in differences(old, new)] == ["sampler.arms.1.top_k: 1 → 2"]


def test_selector_and_verifier_are_later_stages_and_nothing_else_is(tmp_path: Path) -> None:
    assert later(tmp_path)
    assert later(tmp_path, "selector=first", "description=other")
    verifiers = [load(tmp_path, COMPLETE).resolved() for _ in range(2)]
    verifiers[1]["task"]["verifier"] = {"name": "other"}
    assert only_later_stages(differences(*verifiers))
    for change in ("seed=1", "problems=x", "sampler.top_k=1", "engine.batch_size=3", "task.template='{problem}!'"):
        assert not later(tmp_path, change, "selector=first")


plain = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "a", "b"]), inner),
)


@given(st.dictionaries(st.sampled_from("abc"), plain), st.dictionaries(st.sampled_from("abc"), plain))
def test_there_are_differences_exactly_where_two_recipes_are_not_the_same(old: dict, new: dict) -> None:  # type: ignore[type-arg]
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    assert (differences(old, new) == []) == same
