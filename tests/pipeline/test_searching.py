"""Searches through whole runs: on a tiny real model, on replay, graded, retried, and refused where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tts import ProblemRow
from tts.errors import RecipeError
from tts.pipeline.rejudging import Rejudging
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.runs.stored import StoredRun
from tts.types import Problem, Reference

RECIPE = """
task: math
engine: ENGINE
sampler: SAMPLER
selector: majority_vote
"""
REPLAY = """{name: replay, script: [
  "first we add", "so \\\\boxed{2}", "so \\\\boxed{4}",
  {text: "step one\\n\\n", stop: "\\n\\n"}, {text: "step two\\n\\n", stop: "\\n\\n"}]}"""


def recipe_of(folder: Path, sampler: str, engine: str = REPLAY):
    path = folder / "r.yaml"
    path.write_text(RECIPE.replace("ENGINE", engine).replace("SAMPLER", sampler))
    return load_recipe(str(path))


def rows(number: int = 3) -> list[ProblemRow]:
    return [
        ProblemRow(Problem(f"p{index}", f"{index} + 1?", "math"), Reference(str(index + 1)), index + 1)
        for index in range(number)
    ]


def solved(recipe, folder: Path, number: int = 3, **keys):
    with open_run(recipe, rows(number), folder, **keys) as run:
        return {outcome.solution.problem_id: outcome.solution for outcome in run.outcomes()}


def calls_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "calls.jsonl").read_bytes().splitlines()]


BEAM = "{name: prm_beam, num_candidates: 8, reward: {name: replay, rewards: [0.1, 0.9, 0.5]}}"


def test_the_ledger_is_the_sum_over_the_lines_by_engine_resumed_or_not(tmp_path):
    recipe = recipe_of(tmp_path, BEAM)
    first = solved(recipe, tmp_path / "run")
    again = solved(recipe, tmp_path / "run")
    for name, solution in first.items():
        lines = [line for line in calls_of(tmp_path / "run") if line["problem_id"] == name and "engine" in line]
        for engine, kind in (("engine", "completion"), ("sampler.reward", "rewards")):
            of_engine = [line[kind] for line in lines if line["engine"] == engine]
            spent = solution.usage.engines[engine]
            assert spent.num_calls == len(of_engine) > 0
            assert spent.prompt_tokens == sum(line["num_prompt_tokens"] for line in of_engine)
            assert spent.written_tokens == sum(line.get("num_tokens", 0) for line in of_engine)
        assert again[name].usage.engines == solution.usage.engines
        assert again[name].selection == solution.selection


def test_candidates_name_their_calls_and_bring_the_rewards_of_their_steps(tmp_path):
    solved(recipe_of(tmp_path, BEAM), tmp_path / "run", 1)
    lines = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_bytes().splitlines()]
    written = {line["key"]: line["completion"] for line in calls_of(tmp_path / "run") if "completion" in line}
    assert [line["index"] for line in lines] == list(range(len(lines)))
    for line in lines:
        assert line["text"] == "".join(written[key]["text"] for key in line["calls"])
        assert line["num_tokens"] == sum(written[key]["num_tokens"] for key in line["calls"])
        assert len(line["rewards"]) == len(line["calls"])
    assert [line["rewards"][-1] for line in lines] == sorted((line["rewards"][-1] for line in lines), reverse=True)


def test_lines_of_candidates_that_were_drawn_in_one_go_are_as_they_were(tmp_path):
    solved(recipe_of(tmp_path, "{name: temperature, num_candidates: 2}"), tmp_path / "run", 1)
    lines = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_bytes().splitlines()]
    assert all("calls" not in line and "rewards" not in line for line in lines)
    assert not (tmp_path / "run" / "calls.jsonl").exists()


FLAKY = (
    """{name: replay, script: {p0: ["so \\\\boxed{1}"], "*": [{text: "", finish_reason: error, error: overloaded}]}}"""
)
WELL = """{name: replay, script: {p0: ["so \\\\boxed{1}"], "*": ["so \\\\boxed{2}"]}}"""


def test_searches_in_which_something_failed_are_drawn_again_where_that_is_asked_and_no_others(tmp_path):
    run = tmp_path / "run"
    adaptive = "{name: adaptive_consistency, num_candidates: 6}"
    first = solved(recipe_of(tmp_path, adaptive, FLAKY), run, 2)
    assert first["p0"].error is None
    assert "overloaded" in first["p1"].error
    before = len(calls_of(run))
    solved(recipe_of(tmp_path, adaptive, FLAKY), run, 2)
    assert len(calls_of(run)) == before  # what is over is not run again
    job = json.loads((run / "run.json").read_text())
    job["recipe"]["engine"]["script"]["*"] = ["so \\boxed{2}"]
    (run / "run.json").write_text(json.dumps(job))
    again = solved(recipe_of(tmp_path, adaptive, WELL), run, 2, retry_errors=True)
    assert again["p1"].error is None
    assert again["p1"].verdict.status == "passed"
    assert again["p0"].usage.engines == first["p0"].usage.engines
    assert again["p0"].selection == first["p0"].selection
    spent = again["p1"].usage.engines["engine"]
    assert spent.num_calls == sum(line["problem_id"] == "p1" and "completion" in line for line in calls_of(run))
    assert spent.num_calls > again["p1"].counts.num_candidates  # those that failed were paid for, too


def test_an_engine_that_cannot_reward_is_refused_by_name_before_anything_is_loaded(tmp_path):
    sampler = "{name: prm_beam, num_candidates: 8, reward: {name: replay, script: [a]}}"
    with pytest.raises(RecipeError, match=r"`sampler.reward` must be an engine with the capability `rewards`"):
        recipe_of(tmp_path, sampler)


def test_two_sections_that_say_the_same_are_one_engine(tmp_path):
    both = """{name: replay, rewards: [0.5], script: ["so \\\\boxed{1}"]}"""
    recipe = recipe_of(tmp_path, f"{{name: prm_beam, num_candidates: 4, reward: {both}}}", both)
    assert list(recipe.engines()) == ["engine"]
    other = recipe_of(tmp_path, BEAM)
    assert list(other.engines()) == ["engine", "sampler.reward"]


def test_grading_takes_a_search_with_fewer_candidates_than_it_may_draw_and_tells_what_it_cost(tmp_path):
    recipe = recipe_of(tmp_path, "{name: adaptive_consistency, num_candidates: 40}", WELL)
    drawn = solved(recipe, tmp_path / "run", 2)
    assert {solution.counts.num_candidates for solution in drawn.values()} == {4}
    stored = StoredRun(tmp_path / "run")
    graded = {one.solution.problem_id: one.solution for one in Rejudging(stored, afresh=False).outcomes()}
    for name, solution in graded.items():
        assert stored.is_complete(name)
        assert solution.error is None
        assert solution.usage.engines == drawn[name].usage.engines
        assert solution.usage.engines["engine"].num_calls > 4  # those drawn ahead of the decision, too


def test_a_search_that_fails_says_so_whoever_looks_at_it(tmp_path):
    sampler = "{name: ab_mcts, num_candidates: 8, max_expansions: 4, reward: {name: replay, rewards: [0.5]}}"
    failing = """{name: replay, script: [{text: "", finish_reason: error, error: overloaded}]}"""
    drawn = solved(recipe_of(tmp_path, sampler, failing), tmp_path / "run", 1)
    assert "overloaded" in drawn["p0"].error
    [again] = Rejudging(StoredRun(tmp_path / "run"), afresh=False).outcomes()
    assert again.solution.error == drawn["p0"].error
