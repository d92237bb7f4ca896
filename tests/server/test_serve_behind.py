"""`tts` asks `tts serve`: each candidate of the one is what the recipe of the other chose."""

from __future__ import annotations

from pathlib import Path

import pytest
from serve_parts import Server

from tts import Solved
from tts.pipeline.run import open_run
from tts.recipe import load_recipe

PROBLEMS = [{"id": f"p{number}", "problem": f"What is {number}*7?", "answer": str(number * 7)} for number in (5, 6)]


@pytest.mark.parametrize("model", ["vote", "search"])
def test_a_server_of_recipes_is_a_model_of_another_recipe(server: Server, tmp_path: Path, model: str) -> None:
    path = tmp_path / "outer.yaml"
    path.write_text(
        f"task: math\nengine: {{name: openai, base_url: '{server.url}', model: {model}}}\n"
        "sampler: {name: temperature, num_candidates: 3, max_tokens: 64, temperature: 1}\nselector: majority_vote\n"
    )
    before = server.ended("answered", model)
    with open_run(load_recipe(path), PROBLEMS, tmp_path / "run") as run:
        solved = [outcome for outcome in run.outcomes() if isinstance(outcome, Solved)]
    assert [one.solution.error for one in solved] == [None, None]
    assert {one.row.problem.id: one.solution.verdict.status for one in solved} == {"p5": "failed", "p6": "passed"}
    assert {candidate.text for one in solved for candidate in one.candidates} == {"so \\boxed{42}"}
    assert all(one.solution.usage.completion_tokens >= 3 * 4 for one in solved)
    assert server.ended("answered", model) - before >= 2 * 3
