"""Every mistake is one readable line: file, line, dotted key, value, constraint, nearest valid name."""
# ruff: noqa: E501 - a table of one case a line

from __future__ import annotations

from pathlib import Path

import pytest
from recipe_parts import COMPLETE, mistakes, with_sampler

SAMPLER_CASES = [
    ('{name: temperature, num_candidates: "8"}', '.num_candidates` must be an integer, got the string "8": remove the quotes'),
    ("{name: temperature, num_candidates: eight}", '.num_candidates` must be an integer, got the string "eight"'),
    ("{name: temperature, num_candidates: true}", ".num_candidates` must be an integer, got true"),
    ("{name: temperature, num_candidates: 8.0}", ".num_candidates` must be an integer, got 8.0"),
    ("{name: temperature, num_candidates: 0}", ".num_candidates` must be ≥ 1, got 0"),
    ("{name: temperature, num_candidates: }", ".num_candidates` must be an integer, got nothing"),
    ("{name: temperature, temperature: -1}", ".temperature` must be ≥ 0, got -1"),
    ("{name: temperature, temperature: .nan}", ".temperature` must be a finite number, got NaN"),
    ("{name: temperature, temperature: .inf}", ".temperature` must be a finite number, got Infinity"),
    ("{name: temperature, temperature: [1]}", ".temperature` must be a number, got a list of 1"),
    ("{name: temperature, top_p: 0}", ".top_p` must be > 0, got 0"),
    ("{name: temperature, top_p: 1.5}", ".top_p` must be ≤ 1, got 1.5"),
    ("{name: temperature, min_p: 1}", ".min_p` must be < 1, got 1"),
    ("{name: temperature, stop: x}", '.stop` must be a list, got the string "x"'),
    ("{name: temperature, stop: [a, 3]}", ".stop.1` must be a string, got 3"),
    ('{name: "recipe_parts:Rich", mode: exat}', ".mode` must be 'fast' or 'exact', got the string \"exat\". Did you mean `exact`?"),
    ('{name: "recipe_parts:Rich", limit: 1.5}', ".limit` must be an integer or 'auto', got 1.5"),
    ('{name: "recipe_parts:Rich", weights: {a: b}}', '.weights.a` must be a number, got the string "b"'),
    ('{name: "recipe_parts:Rich", weights: [1]}', ".weights` must be a mapping, got a list of 1"),
    ('{name: "recipe_parts:Rich", table: [[1], [2, x]]}', '.table.1.1` must be an integer, got the string "x"'),
    ('{name: "recipe_parts:Rich", fallback: 3}', ".fallback` must be a sampler: its name, or a mapping with `name` and its keys, got 3"),
    ("{name: greedy, num_candidates: 8}", ".num_candidates` must be 1, got 8: greedy decoding writes the same text every time."),
    ("{name: mixture, arms: []}", ".arms` must be a list of at least 1, got an empty list"),
    ("{name: mixture, arms: greedy}", '.arms` must be a list, got the string "greedy"'),
    ("{name: mixture, arms: [greedy, {name: temperature, top_k: -1}]}", ".arms.1.top_k` must be ≥ 0, got -1"),
    ("{name: mixture, arms: [greedy, 3]}", ".arms.1` must be a sampler: its name, or a mapping with `name` and its keys, got 3"),
    ("{max_tokens: 3}", ".name` is missing: which sampler? There are: greedy, temperature, min_p, "),
    ("{name: }", ".name` must be the name of a sampler, got nothing"),
    ("[greedy]", "` must be a sampler: its name, or a mapping with `name` and its keys, got a list of 1"),
    ("true", "` must be a sampler: its name, or a mapping with `name` and its keys, got true"),
    ("", "` must be a sampler: its name, or a mapping with `name` and its keys, got nothing"),
    ("tempratur", "`: `tempratur` is no sampler. Did you mean `temperature`? There are: greedy, temperature,"),
    ("temp", "`: `temp` is no sampler. Did you mean `temperature`? There are: greedy, temperature,"),
    ("majority_vote", "`: `majority_vote` is no sampler, but a selector. There are: greedy, temperature,"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "told"), SAMPLER_CASES)
def test_a_sampler_with_one_mistake_is_answered_with_one_line(tmp_path: Path, section: str, told: str) -> None:
    [line] = mistakes(tmp_path, with_sampler(section))
    assert line.startswith(f"mine.yaml:3: `sampler{told}")


def test_a_misspelt_section_names_the_nearest_one_and_is_not_missing_as_well(tmp_path: Path) -> None:
    [unknown] = mistakes(tmp_path, COMPLETE.replace("sampler:", "samplr:"))
    assert unknown.startswith(
        "mine.yaml:3: `samplr` is no key of a recipe. Did you mean `sampler`? The keys are: extends"
    )


def test_a_section_that_is_not_there_is_missing_where_the_recipe_begins(tmp_path: Path) -> None:
    [line] = mistakes(tmp_path, COMPLETE.replace("sampler: temperature\n", ""))
    assert line == "mine.yaml:1: `sampler` is missing: Which candidates to draw."


def test_an_unknown_key_names_the_component_and_its_keys(tmp_path: Path) -> None:
    [line] = mistakes(tmp_path, with_sampler("\n  name: greedy\n  max_token: 3"))
    assert line.startswith(
        "mine.yaml:5: `sampler.max_token` is no key of the sampler `greedy`. Did you mean `max_tokens`?"
    )
    assert line.endswith("top_p, top_k, min_p, top_n_sigma, first_token_temperature, first_token_top_k")


def test_a_missing_key_is_reported_at_its_section_with_what_it_means(tmp_path: Path) -> None:
    [line] = mistakes(tmp_path, with_sampler("\n  name: mixture\n  max_tokens: 3"))
    assert line.startswith("mine.yaml:3: `sampler.arms` is missing: The samplers to mix")


def test_a_rule_over_several_keys_is_reported_at_the_key_it_begins_with(tmp_path: Path) -> None:
    [line] = mistakes(tmp_path, with_sampler("\n  name: temperature\n  top_p: 0.5\n  temperature: 0"))
    assert line.startswith("mine.yaml:6: `sampler.temperature` must be above 0 to draw 8 candidates, got 0")


def test_a_value_inside_plain_data_is_located_where_it_stands(tmp_path: Path) -> None:
    text = COMPLETE.replace(
        '{name: replay, script: ["6", "seven"]}', "\n  name: replay\n  script:\n    - ok\n    - {text: 3}"
    )
    assert mistakes(tmp_path, text) == ["mine.yaml:6: `engine.script.1.text` must be a string, got 3"]


def test_what_is_missing_inside_a_list_is_told_beside_what_is_unknown_there(tmp_path: Path) -> None:
    text = COMPLETE.replace('["6", "seven"]', "[a], failures: [{problem_id: a, idx: 1}]")
    assert mistakes(tmp_path, text) == [
        "mine.yaml:2: `engine.failures.0.index` is missing",
        "mine.yaml:2: `engine.failures.0.idx` is no key that is known here",
    ]


def test_all_mistakes_are_told_together_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = (
        "seed: -1\n"
        "task: {name: text, template: none, verifier: 'recipe_parts:Verbatim'}\n"
        "engine: {name: replay, script: [a], batch_size: 0}\n"
        "sampler: {name: temperature, temperature: -1, tpo_k: 3}\n"
        "selector: majority\n"
    )
    assert [line.split("` ")[0] for line in mistakes(tmp_path, text)] == [
        "mine.yaml:1: `seed",
        "mine.yaml:2: `task.template",
        "mine.yaml:3: `engine.batch_size",
        "mine.yaml:4: `sampler.temperature",
        "mine.yaml:4: `sampler.tpo_k",
        "mine.yaml:5: `selector`: `majority",
    ]


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    [line] = mistakes(tmp_path, COMPLETE + "seed: " + "x" * 500)
    assert line == f'mine.yaml:5: `seed` must be an integer, got the string "{"x" * 55}…"'
