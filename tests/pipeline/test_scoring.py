"""Scorers that ask: in the run, charged to their place, on record before anybody is told, and asked once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from tts.components.slot import Slot
from tts.errors import CallError, EngineError, UsageError
from tts.pipeline.rejudging import Rejudging
from tts.pipeline.run import open_run
from tts.protocols import Engine
from tts.recipe import load_recipe
from tts.runs.stored import StoredRun
from tts.scorers.asking import Asks
from tts.types import Decoding, Score

RECIPE = """
task: math
engine:
  name: replay
  batch_size: 3
  script: ["so \\\\boxed{2}", "first\\n\\nso \\\\boxed{4}", {text: "half", finish_reason: length}, "or \\\\boxed{2}"]
sampler: SAMPLER
selector:
  name: best_of_n
  scorer: {name: reward_model, aggregate: min, reward: {name: replay, rewards: [0.1, 0.3, 0.9, 0.5], batch_size: 2}}
"""
SAMPLERS = {
    "one_shot": "{name: temperature, num_candidates: 4}",
    "search": "{name: adaptive_consistency, num_candidates: 4, window: 4}",
}
PROBLEMS = [{"id": f"p{number}", "problem": f"{number} + 1?", "answer": "2"} for number in range(7)]


def solve(folder: Path, sampler: str = "one_shot", *overrides: str, run: str = "run") -> list[Any]:
    (folder / "r.yaml").write_text(RECIPE.replace("SAMPLER", SAMPLERS[sampler]))
    recipe = load_recipe(str(folder / "r.yaml"), overrides)
    with open_run(recipe, PROBLEMS, folder / run) as work:
        return [outcome.solution for outcome in work.outcomes(keep_order=True)]


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_scorer_is_asked_about_finished_candidates_and_chooses(tmp_path: Path, sampler: str) -> None:
    solutions = solve(tmp_path, sampler)
    assert [one.problem_id for one in solutions] == [problem["id"] for problem in PROBLEMS]
    for one, scores in zip(
        sorted(solutions, key=lambda one: one.problem_id),
        sorted(lines(tmp_path / "run/scores.jsonl"), key=lambda line: line["problem_id"]),
        strict=True,
    ):
        values = [score["value"] for score in scores["scores"]]
        finished = [value for value in values if value is not None]
        assert one.selection.weights[0] == max(finished)
        assert scores["scores"][2] == {"value": None, "detail": "not asked about: length"}
        assert one.usage.engines["selector.scorer.reward"].num_calls == 3
        assert one.usage.engines["engine"].num_calls == 4
    assert (tmp_path / "run/calls.jsonl").exists() == (sampler == "search")
    calls = lines(tmp_path / "run/scorer_calls.jsonl")
    assert len(calls) == 21
    assert {line["engine"] for line in calls} == {"selector.scorer.reward"}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_candidates_are_those_of_a_recipe_whose_scorer_does_not_ask(tmp_path: Path, sampler: str) -> None:
    solve(tmp_path, sampler)
    solve(tmp_path, sampler, "selector=majority_vote", run="plain")
    both = [sorted((tmp_path / run / "candidates.jsonl").read_bytes().splitlines()) for run in ("run", "plain")]
    assert both[0] == both[1]


def test_a_finished_run_asks_nothing_and_opens_nothing(tmp_path: Path) -> None:
    first = solve(tmp_path)
    calls = (tmp_path / "run/scorer_calls.jsonl").read_bytes()
    for name in ("scores.jsonl", "selections.jsonl", "verdicts.jsonl"):
        (tmp_path / "run" / name).unlink()
    again = solve(tmp_path, "one_shot", "selector.scorer.reward.crash_after=0", "engine.crash_after=0")
    assert [one.selection for one in again] == [one.selection for one in first]
    assert [one.usage.engines for one in again] == [one.usage.engines for one in first]
    assert (tmp_path / "run/scorer_calls.jsonl").read_bytes() == calls


def test_an_engine_that_dies_while_scoring_is_asked_the_rest_the_next_time(tmp_path: Path) -> None:
    whole = solve(tmp_path, run="whole")
    for after in (1, 4, 5, 100):
        try:
            solve(tmp_path, "one_shot", f"selector.scorer.reward.crash_after={after}")
        except EngineError:
            assert after < 100
    asked = [(line["problem_id"], line["key"]) for line in lines(tmp_path / "run/scorer_calls.jsonl")]
    assert len(asked) == len(set(asked)) == 21
    assert [one.selection for one in solve(tmp_path)] == [one.selection for one in whole]


def rejudged(folder: Path, *overrides: str, write: bool = False) -> dict[str, Any]:
    run = StoredRun(folder / "run", overrides)
    try:
        rejudging = Rejudging(run, afresh=False)
        outcomes = rejudging.write_back(overrides) if write else rejudging.outcomes()
        return {outcome.solution.problem_id: outcome.solution for outcome in outcomes}
    finally:
        run.close()


SCORED = ["selector=best_of_n", "selector.scorer={name: reward_model, reward: {name: replay, rewards: [0.2, 0.6]}}"]


def test_a_scorer_is_asked_about_a_stored_run_once_and_is_free_then(tmp_path: Path) -> None:
    solve(tmp_path, "one_shot", "selector=majority_vote")
    first = rejudged(tmp_path, *SCORED)
    calls = (tmp_path / "run/scorer_calls.jsonl").read_bytes()
    assert len(calls.splitlines()) == 21
    silent = rejudged(tmp_path, *SCORED, "selector.scorer.reward.crash_after=0")
    assert [one.selection for one in silent.values()] == [one.selection for one in first.values()]
    assert [one.usage.engines for one in silent.values()] == [one.usage.engines for one in first.values()]
    assert rejudged(tmp_path, *SCORED, "selector.scorer.aggregate=mean")
    assert rejudged(tmp_path, *SCORED)
    assert (tmp_path / "run/scorer_calls.jsonl").read_bytes() == calls
    other = [*SCORED, "selector.scorer.reward.rewards=[0.3, 0.8]"]
    rejudged(tmp_path, *other)
    assert len((tmp_path / "run/scorer_calls.jsonl").read_bytes().splitlines()) == 42
    assert rejudged(tmp_path, *SCORED, "selector.scorer.reward.crash_after=0").keys() == first.keys()
    written = rejudged(tmp_path, *other, write=True)
    assert {one: written[one].selection for one in written} == {
        name: one.selection for name, one in rejudged(tmp_path).items()
    }


def test_only_candidates_that_were_drawn_anew_are_asked_about_anew(tmp_path: Path) -> None:
    solve(tmp_path)
    path = tmp_path / "run/candidates.jsonl"
    text = path.read_text()
    [line] = [line for line in text.splitlines() if '"p3", "index": 1' in line]
    path.write_text(text.replace(line, line.replace("so \\\\boxed{4}", "so \\\\boxed{5}")))
    for name in ("scores.jsonl", "selections.jsonl", "verdicts.jsonl"):
        (tmp_path / "run" / name).unlink()
    before = lines(tmp_path / "run/scorer_calls.jsonl")
    solve(tmp_path)
    new = lines(tmp_path / "run/scorer_calls.jsonl")[len(before) :]
    assert [(line["problem_id"], line["key"]) for line in new] == [("p3", "score/@1/0")]


class Late(Asks):
    """Asks a model that is silent, and says what became of it."""

    judge: Annotated[Engine, Slot("engines")] | None = None
    """Who is asked."""

    def most_calls(self, num_candidates: int) -> int:
        return num_candidates

    def most_tokens(self, num_candidates: int) -> int:
        return 10 * num_candidates

    async def scores(self, _: Any, candidates: Any, calls: Any) -> list[Score]:
        found = []
        for one in candidates:
            try:
                reply = await calls.at(one.index).generate(Decoding(10), engine=self.judge)
                found.append(Score(float(len(reply.text))))
            except CallError as error:
                found.append(Score(None, str(error)))
        return found


def test_a_scorer_without_an_engine_asks_the_recipes_own_and_pays_under_its_own_name(tmp_path: Path) -> None:
    for one in solve(tmp_path, "one_shot", "selector.scorer=test_scoring:Late"):
        assert one.usage.engines["selector.scorer"].num_calls == 3
        assert one.usage.engines["engine"].num_calls == 4


def test_a_model_that_never_answers_is_given_up_and_the_plain_vote_chooses(tmp_path: Path) -> None:
    judge = "{name: replay, delay_seconds: 1000, script: [a]}"
    scorer = f"selector.scorer={{name: 'test_scoring:Late', call_seconds: 0.1, judge: {judge}}}"
    solutions = solve(tmp_path, "one_shot", scorer)
    plain = solve(tmp_path, "one_shot", "selector=majority_vote", run="plain")
    for one, other in zip(solutions, plain, strict=True):
        assert (one.selection.index, one.selection.answer) == (other.selection.index, other.selection.answer)
        assert one.selection.fallback == (
            "the scorer could tell nothing of 3 of 3 candidates with an answer: no reply within 0.1 s"
        )
        assert one.error is None
    calls = lines(tmp_path / "run/scorer_calls.jsonl")
    assert all(line["completion"]["error"] == "no reply within 0.1 s" for line in calls)
    with open_run(
        load_recipe(str(tmp_path / "r.yaml"), [scorer]), PROBLEMS, tmp_path / "run", retry_errors=True
    ) as run:
        assert len(list(run.outcomes())) == 7
    assert len(lines(tmp_path / "run/scorer_calls.jsonl")) > len(calls)


class Wrong(Late):
    """Gives other things than one score a candidate."""

    gives: Literal["fewer", "text", "nan", "error", "plain"]
    """What."""

    async def scores(self, _: Any, candidates: Any, calls: Any) -> list[Any]:
        if self.gives == "error":
            raise ValueError("a bug")
        if self.gives == "plain":
            calls.emit(0, (), "stop")
        return {"fewer": [Score(1.0)], "text": ["good"] * len(candidates)}.get(
            self.gives, [Score(float("nan"))] * len(candidates)
        )


@pytest.mark.parametrize(
    ("gives", "told"),
    [
        ("fewer", "must give 3 scores, one per finished candidate, got 1"),
        ("text", "got a str"),
        ("nan", "got nan"),
        ("error", "ValueError: a bug"),
        ("plain", "candidate 0 was handed in before, or is not among the 0"),
    ],
)
def test_a_scorer_with_a_fault_hands_nothing_in_and_says_why(tmp_path: Path, gives: str, told: str) -> None:
    for one in solve(tmp_path, "one_shot", f"selector.scorer={{name: 'test_scoring:Wrong', gives: {gives}}}"):
        assert told in (one.error or "")
        assert one.selection.index is None
        assert one.verdict.reason == "selection_failed"


def test_a_scorer_that_an_engine_cannot_serve_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    solve(tmp_path, "one_shot", "selector=majority_vote")
    with pytest.raises(UsageError, match="needs the capability `ask_tokens` of `engine`"):
        rejudged(tmp_path, "selector=best_of_n", "selector.scorer={name: p_true, by: probabilities}")


def test_another_batch_size_within_a_judge_asks_nothing_anew(tmp_path: Path) -> None:
    judge = "{name: replay, batch_size: SIZE, script: [{text: a, asked_logprobs: {'Yes': -1.0, 'No': -2.0}}]}"
    scorer = f"selector.scorer={{name: reward_model, reward: {{name: p_true, engine: {judge}}}}}"
    solve(tmp_path, "one_shot", scorer.replace("SIZE", "3"))
    calls = (tmp_path / "run/scorer_calls.jsonl").read_bytes()
    for name in ("scores.jsonl", "selections.jsonl", "verdicts.jsonl"):
        (tmp_path / "run" / name).unlink()
    solve(tmp_path, "one_shot", scorer.replace("SIZE", "4"))
    assert (tmp_path / "run/scorer_calls.jsonl").read_bytes() == calls


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_problem_that_is_cancelled_while_it_is_scored_is_asked_about_when_the_run_goes_on(
    tmp_path: Path, sampler: str
) -> None:
    slow = "selector.scorer.reward.delay_seconds=100"
    (tmp_path / "r.yaml").write_text(RECIPE.replace("SAMPLER", SAMPLERS[sampler]))
    with open_run(load_recipe(str(tmp_path / "r.yaml"), [slow]), PROBLEMS[:2], tmp_path / "run") as work:
        timer = threading.Timer(0.5, lambda: [work.cancel(problem["id"]) for problem in PROBLEMS[:2]])
        timer.start()
        outcomes = [outcome.solution for outcome in work.outcomes()]
    assert [one.error for one in outcomes] == ["it was cancelled"] * 2
    again = solve(tmp_path, sampler)
    assert [one.error for one in again] == [None] * 7
    whole = solve(tmp_path, sampler, run="whole")
    assert [one.selection for one in again] == [one.selection for one in whole]


def test_a_process_that_is_killed_while_it_scores_asks_the_rest_and_nothing_twice(tmp_path: Path) -> None:
    slow = ("selector.scorer.reward.delay_seconds=0.05", "selector.scorer.reward.batch_size=2")
    whole = solve(tmp_path, run="whole")
    rows = "".join(json.dumps(problem) + "\n" for problem in PROBLEMS)
    (tmp_path / "p.jsonl").write_text(rows)
    command = [sys.executable, "-m", "tts", "solve", "p.jsonl", "-r", "r.yaml", "--run", "run"]
    for number in (5,):
        settings = [part for one in slow for part in ("--set", one)]
        process = subprocess.Popen([*command, *settings], cwd=tmp_path, stdout=subprocess.DEVNULL)
        calls, deadline = tmp_path / "run/scorer_calls.jsonl", time.monotonic() + 60
        while not (calls.exists() and calls.read_bytes().count(b"\n") >= number):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.wait()
    again = solve(tmp_path)
    assert [one.selection for one in again] == [one.selection for one in whole]
    asked = [(line["problem_id"], line["key"]) for line in lines(calls)]
    assert len(asked) == len(set(asked)) == 21


def test_what_a_scorer_took_is_the_sum_over_its_lines_to_the_token(tmp_path: Path) -> None:
    judge = "{name: replay, script: [{text: 'Yes it is', asked_logprobs: {'Yes': -1.0, 'No': -2.0}}]}"
    scorer = f"selector.scorer={{name: p_true, rationales: 2, judge: {judge}}}"
    solutions = solve(tmp_path, "one_shot", scorer)
    calls = lines(tmp_path / "run/scorer_calls.jsonl")
    for one in [*solutions, *solve(tmp_path, "one_shot", scorer), *rejudged(tmp_path).values()]:
        own = [line["completion"] for line in calls if line["problem_id"] == one.problem_id]
        spent = one.usage.engines["selector.scorer.judge"]
        assert spent.num_calls == len(own) == 3 * 2 * 2
        assert spent.prompt_tokens == sum(line["num_prompt_tokens"] for line in own) > 0
        assert spent.written_tokens == sum(line["num_tokens"] for line in own) > 0
