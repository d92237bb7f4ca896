"""Searches through whole runs: on a tiny real model, on replay, graded, retried, and refused where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts import ProblemRow
from tts.errors import CapReachedError, RecipeError, RunFolderError
from tts.pipeline.rejudging import Rejudging
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.report.analyse import Options, analyse
from tts.runs.stored import StoredRun
from tts.types import Problem, Reference, Spent

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


ADAPTIVE = "{name: adaptive_consistency, num_candidates: 12}"
SLOW = """{name: replay, batch_size: 6, num_parameters: 1000, script: [
  {text: "so \\\\boxed{2}", num_tokens: 5}, {text: "so \\\\boxed{2}", num_tokens: 6, delay_seconds: 0.01}]}"""


def summed(lines: list[dict], engine: str, num_parameters: int | None) -> Spent:
    """What the lines of calls.jsonl charge an engine."""
    own = [(line, line.get("completion") or line["rewards"]) for line in lines if line.get("engine") == engine]
    read = sum(cost["num_prompt_tokens"] for _, cost in own)
    cached = sum(cost.get("num_cached_tokens", 0) for _, cost in own)
    written = sum(cost.get("num_tokens", 0) for _, cost in own)
    untold = sum(
        cost["num_prompt_tokens"] - cost.get("num_cached_tokens", 0) + cost.get("num_tokens", 0)
        for line, cost in own
        if not line.get("told", True)
    )
    flops = None if num_parameters is None else 2.0 * num_parameters * (read - cached + written)
    return Spent(len(own), read, written, cached, untold, flops)


@pytest.mark.parametrize(
    ("sampler", "engine", "sizes"),
    [
        (BEAM, REPLAY, {"engine": None, "sampler.reward": None}),
        (BEAM.replace("rewards:", "num_parameters: 7, rewards:"), REPLAY, {"engine": None, "sampler.reward": 7}),
        (ADAPTIVE, SLOW, {"engine": 1000}),
    ],
)
def test_the_ledger_is_the_sum_over_the_lines_resumed_or_not_and_the_reports_cost(tmp_path, sampler, engine, sizes):
    recipe, run = recipe_of(tmp_path, sampler, engine), tmp_path / "run"
    with open_run(recipe, rows(6), run) as begun:
        first = {}
        for outcome in begun.outcomes():  # stopped in the middle, while calls are on their way
            first[outcome.solution.problem_id] = outcome.solution
            if len(first) == 2:
                begun.stop.set()
    again = solved(recipe, run, 6)
    last = solved(recipe, run, 6)
    lines = calls_of(run)
    stored = StoredRun(run)
    for name, solution in last.items():
        own = [line for line in lines if line["problem_id"] == name]
        wanted = {place: summed(own, place, size) for place, size in sizes.items()}
        assert solution.usage.engines == again[name].usage.engines == wanted
        assert stored.spent(name, ()) == wanted
        assert name not in first or first[name].usage.engines == wanted
    [arm] = analyse([stored], Options()).arms
    stored.close()
    assert arm.cost.engines == {place: summed(lines, place, size) for place, size in sizes.items()}
    if sampler == ADAPTIVE:
        assert arm.cost.engines["engine"].untold_tokens > 0  # what it had asked for ahead, and gave up


def test_what_was_drawn_in_one_go_is_the_sum_over_its_candidates(tmp_path):
    recipe, run = recipe_of(tmp_path, "{name: temperature, num_candidates: 2}", SLOW), tmp_path / "run"
    first, again = solved(recipe, run), solved(recipe, run)
    assert json.loads((run / "run.json").read_bytes())["num_parameters"] == {"engine": 1000}
    lines = [json.loads(line) for line in (run / "candidates.jsonl").read_bytes().splitlines()]
    for name, solution in again.items():
        own = [line for line in lines if line["problem_id"] == name]
        read, written = sum(one["num_prompt_tokens"] for one in own), sum(one["num_tokens"] for one in own)
        wanted = {"engine": Spent(2, read, written, flops=2000.0 * (read + written))}
        assert solution.usage.engines == first[name].usage.engines == wanted


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


def test_a_search_without_a_candidate_yet_goes_on_with_its_own_recipe_alone(tmp_path):
    """Its calls are on record: another reward model's must not stand among them."""
    run = tmp_path / "run"
    with pytest.raises(CapReachedError):
        solved(recipe_of(tmp_path, BEAM), run, token_budget=530)
    assert (run / "calls.jsonl").stat().st_size
    assert not (run / "candidates.jsonl").exists() or not (run / "candidates.jsonl").stat().st_size
    before = (run / "run.json").read_bytes()
    with pytest.raises(RunFolderError, match="holds a run of another recipe"):
        solved(recipe_of(tmp_path, BEAM.replace("0.1, 0.9", "0.2, 0.9")), run)
    assert (run / "run.json").read_bytes() == before
    whole = solved(recipe_of(tmp_path, BEAM), tmp_path / "whole")
    assert solved(recipe_of(tmp_path, BEAM), run).keys() == whole.keys()
    assert sorted(map(str, calls_of(run))) == sorted(map(str, calls_of(tmp_path / "whole")))


@pytest.mark.parametrize(
    "sampler", [BEAM, ADAPTIVE, "{name: budget_forcing, max_thinking_tokens: 20, num_candidates: 3}"]
)
@settings(max_examples=4, derandomize=True, deadline=None)
@given(lost=st.sets(st.integers(0, 7), min_size=1, max_size=8))
def test_candidates_of_a_search_that_is_over_that_got_lost_are_handed_in_again(sampler: str, lost: set[int]) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        recipe, run = recipe_of(folder, sampler), folder / "run"
        whole = solved(recipe, run)
        calls, file = calls_of(run), run / "candidates.jsonl"
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(line for number, line in enumerate(lines) if number not in lost))
        stored = StoredRun(run)
        damaged = {json.loads(line)["problem_id"] for number, line in enumerate(lines) if number in lost}
        assert {one for one in whole if not stored.is_complete(one)} == damaged
        stored.close()
        again = solved(recipe, run)
        assert sorted(file.read_bytes().splitlines(keepends=True)) == sorted(lines)
        assert {one: again[one].selection for one in again} == {one: whole[one].selection for one in whole}
        assert [line for line in calls_of(run) if "end" not in line] == [line for line in calls if "end" not in line]
