"""Whole recipes in which a model rates what it, or another, draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tts import ProblemRow
from tts.errors import RecipeError
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.types import Problem, Reference

SAMPLER = "{name: prm_beam, num_candidates: 4, max_steps: 3, max_tokens: 6, delimiter: e, reward: REWARD}"
ROWS = [ProblemRow(Problem(f"p{number}", f"{number} + 1?", "math"), Reference("2"), number + 1) for number in range(2)]


def recipe_of(folder: Path, engine: str, reward: str) -> Any:
    sampler = SAMPLER.replace("REWARD", reward)
    path = folder / "r.yaml"
    path.write_text(f"task: math\nengine: {engine}\nsampler: {sampler}\nselector: majority_vote\n")
    return load_recipe(str(path))


@pytest.mark.parametrize("named", [True, False])
def test_a_beam_is_steered_by_the_model_that_draws_it(tmp_path: Path, tiny_model: Path, named: bool) -> None:
    engine = f"{{name: transformers, model: {tiny_model}, device: cpu, batch_size: 5}}"
    inner = f", engine: {engine}" if named else ""
    reward = f"{{name: p_true, prompt: '{{problem}}{{answer}}?', 'yes': Y, 'no': N{inner}}}"
    recipe = recipe_of(tmp_path, engine, reward)
    assert list(recipe.engines()) == ["engine", "sampler.reward"]  # two sections that say the same are one engine
    with open_run(recipe, ROWS, tmp_path / "run") as run:
        solved = list(run.outcomes())
    lines = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_bytes().splitlines()]
    assert len(lines) == 8
    assert all(line["error"] is None and 0 < min(line["rewards"]) <= max(line["rewards"]) < 1 for line in lines)
    assert len({reward for line in lines for reward in line["rewards"]}) > 4
    calls = [json.loads(line) for line in (tmp_path / "run" / "calls.jsonl").read_bytes().splitlines()]
    rewards = [call["rewards"] for call in calls if "rewards" in call]
    assert {call.get("engine", "engine") for call in calls} == {"engine", "sampler.reward"}
    for outcome in solved:
        spent = outcome.solution.usage.engines["sampler.reward"]  # type: ignore[union-attr]
        assert spent.written_tokens >= spent.num_calls > 0
    assert sum(one["num_tokens"] for one in rewards) == sum(len(one["values"]) for one in rewards)


def test_an_engine_that_cannot_be_asked_is_refused_with_those_that_can(tmp_path: Path) -> None:
    mute = '{name: replay, script: ["one"]}'
    with pytest.raises(RecipeError, match=r"`engine` must be an engine with the capability `ask_tokens`, got `replay`"):
        recipe_of(tmp_path, mute, "p_true")
    with pytest.raises(RecipeError, match=r"`sampler\.reward\.engine` must be an engine with the capability `ask_tok"):
        recipe_of(tmp_path, '{name: replay, script: ["two"]}', f"{{name: expected_score, engine: {mute}}}")


@pytest.mark.parametrize("engine", ["p_true", "{name: transformers_reward, model: m, format: outcome}"])
def test_what_rates_cannot_draw(tmp_path: Path, engine: str) -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml:2: `engine` must be an engine that writes, got `\w+`, which rates"):
        recipe_of(tmp_path, engine, "{name: replay, rewards: [0.5]}")
