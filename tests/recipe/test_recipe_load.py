"""A recipe without mistakes becomes the components it names, whatever way it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipe_parts import COMPLETE, load, mistakes, with_sampler, write

from tts.engines.replay import ReplayEngine
from tts.errors import RecipeError
from tts.recipe import load_recipe, shipped_recipes
from tts.samplers.greedy import Greedy
from tts.samplers.mixture import Mixture
from tts.samplers.temperature import Temperature
from tts.scorers.likelihood import Likelihood
from tts.selectors.best_of_n import BestOfN


def test_sections_become_components_and_bare_names_take_defaults(tmp_path: Path) -> None:
    recipe = load(tmp_path, COMPLETE)
    assert isinstance(recipe.engine, ReplayEngine)
    assert recipe.sampler == Temperature()
    assert (recipe.name, recipe.source) == ("mine", str(tmp_path / "mine.yaml"))
    assert (recipe.description, recipe.problems, recipe.seed) == ("", None, 0)


def test_nested_components_are_built_from_the_inside_out(tmp_path: Path) -> None:
    arms = "{name: mixture, num_candidates: 4, arms: [greedy, {name: temperature, top_p: 0.9}], shares: [1, 3]}"
    recipe = load(tmp_path, with_sampler(arms))
    assert isinstance(recipe.sampler, Mixture)
    assert recipe.sampler.arms == (Greedy(), Temperature(top_p=0.9))
    assert recipe.sampler.shares == (1.0, 3.0)


def test_a_scorer_is_named_inside_its_selector(tmp_path: Path) -> None:
    text = COMPLETE.replace('["6", "seven"]', "[{text: '6', mean_logprob: -1}]")
    recipe = load(tmp_path, text.replace("majority_vote", "{name: best_of_n, scorer: likelihood}"))
    assert isinstance(recipe.selector, BestOfN)
    assert recipe.selector.scorer == Likelihood()


def test_lists_become_tuples_at_any_depth_and_whole_numbers_become_floats(tmp_path: Path) -> None:
    keys = "table: [[1, 2], [3]], weights: {a: 1, b: 2.5}, stop: [x], limit: 3, mode: exact, fallback: greedy"
    sampler = load(tmp_path, with_sampler(f'{{name: "recipe_parts:Rich", {keys}}}')).sampler
    assert sampler.model_dump(exclude={"fallback"}, exclude_unset=True) == {
        "table": ((1, 2), (3,)),
        "weights": {"a": 1.0, "b": 2.5},
        "stop": ("x",),
        "limit": 3,
        "mode": "exact",
    }


def test_an_optional_component_may_be_left_empty(tmp_path: Path) -> None:
    recipe = load(tmp_path, with_sampler('{name: "recipe_parts:Rich", fallback: null, notes: null}'))
    assert recipe.sampler.model_dump()["fallback"] is None


def test_a_path_with_a_leading_dot_is_taken_from_the_recipes_folder(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    near = load(tmp_path / "recipes", COMPLETE + "problems: ./mine.jsonl\n")
    above = load(tmp_path / "recipes", COMPLETE + "problems: ../mine.jsonl\n")
    assert near.problems == str(tmp_path / "recipes" / "mine.jsonl")
    assert above.problems == str(tmp_path / "mine.jsonl")


@pytest.mark.parametrize("name", ["quickstart", "mine.jsonl", "sets/mine.jsonl", "/data/mine.jsonl", "-"])
def test_any_other_problems_are_left_as_they_are(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, COMPLETE + f"problems: '{name}'\n").problems == name


def test_a_components_own_path_follows_the_recipe_and_plain_strings_do_not(tmp_path: Path) -> None:
    recipe = load(tmp_path, with_sampler('{name: "recipe_parts:Rich", notes: ./a.txt, stop: [./b]}'))
    assert recipe.sampler.model_dump(include={"notes", "stop"}) == {"notes": str(tmp_path / "a.txt"), "stop": ("./b",)}


def test_a_shipped_recipe_is_found_by_name_with_or_without_its_ending() -> None:
    for name, path in shipped_recipes().items():
        assert load_recipe(name).source == load_recipe(f"{name}.yaml").source == str(path)


def test_a_file_goes_before_a_shipped_recipe_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, COMPLETE + "seed: 99\n", "quickstart.yaml")
    assert load_recipe("quickstart.yaml").seed == 99


def test_an_unknown_recipe_is_answered_with_the_nearest_shipped_one(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"got `quickstrat.yaml`, which does not exist. Did you mean `quickstart`"):
        load_recipe("quickstrat.yaml")
    with pytest.raises(RecipeError, match="which is a folder"):
        load_recipe(tmp_path)
    with pytest.raises(RecipeError, match="which does not exist"):
        load_recipe("x" * 5000)


def test_the_engine_must_offer_what_the_sampler_needs(tmp_path: Path) -> None:
    assert mistakes(tmp_path, with_sampler('"recipe_parts:Steered"')) == [
        "mine.yaml:3: `sampler`: recipe_parts:Steered needs the capability `hidden_states`, which the engine `replay` "
        "lacks: it has deterministic, min_p, prefix, seeds, stop_strings, top_k, top_n_sigma, top_p."
    ]


def test_the_engine_must_offer_what_the_scorer_reads_and_the_error_names_engines_that_do(tmp_path: Path) -> None:
    selector = "\n  name: best_of_n\n  scorer: likelihood"
    [line] = mistakes(tmp_path, COMPLETE.replace(" majority_vote", selector))
    assert line.startswith("mine.yaml:6: `selector.scorer`: likelihood needs the capability `logprobs`, which")
    assert "Engines that have it: transformers" in line


def test_a_bound_is_allowed_in_a_benchmark_only(tmp_path: Path) -> None:
    text = COMPLETE.replace("majority_vote", "oracle")
    assert load_recipe(write(tmp_path, text), purpose="bench").name == "mine"
    [line] = mistakes(tmp_path, text)
    assert line.startswith("mine.yaml:4: `selector` must work without the verdicts, got `oracle`")


def test_an_engine_that_cannot_tell_its_capabilities_is_refused_at_its_line(tmp_path: Path) -> None:
    [line] = mistakes(tmp_path, COMPLETE.replace('script: ["6", "seven"]', "source: ./none.jsonl"))
    assert line.startswith("mine.yaml:2: `engine`: ")
    assert "none.jsonl" in line
