"""What is asked, counted: nothing where there is nothing to tell apart, no more than the budget, and nothing twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from judge_parts import ANSWERS, critic, solve

from tts.errors import RecipeError
from tts.pipeline.rejudging import Rejudging
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.runs.stored import StoredRun

SCORERS = ("judge", "p_true", "pairwise", "genselect", "universal_self_consistency")
COMPARING = ("pairwise", "genselect", "universal_self_consistency")
SAYS = dict.fromkeys(("genselect", "universal_self_consistency"), "Judgment: 0")


def scorer(name: str, **keys: Any) -> dict[str, Any]:
    """A scorer whose model has an opinion of everybody."""
    told = {**{str(mark): -1.5 for mark in range(1, 6)}, "Yes": -0.2, "No": -2.0, "A": -0.2, "B": -2.0}
    judge = {"name": "replay", "script": [{"text": SAYS.get(name, "A"), "asked_logprobs": told}]}
    return {"name": name, "judge": judge, **keys}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def asked(folder: Path) -> list[dict[str, Any]]:
    """What was asked of the model."""
    return [line for line in lines(folder / "run/scorer_calls.jsonl") if "completion" in line]


@pytest.mark.parametrize("name", COMPARING)
@pytest.mark.parametrize(
    "answers", [["so \\boxed{2}"] * 4, ["so \\boxed{2}", "or 2, thus \\boxed{2.0}"], ["\\boxed{2}"]]
)
def test_equal_answers_are_not_compared(tmp_path: Path, name: str, answers: list[str]) -> None:
    for one in solve(tmp_path, scorer(name), answers=answers, number=2):
        assert (one.selection.answer, one.selection.fallback, one.error) == ("2", "", None)
    assert asked(tmp_path) == []


@pytest.mark.parametrize("name", SCORERS)
def test_where_nobody_has_an_answer_nothing_is_handed_in(tmp_path: Path, name: str) -> None:
    for one in solve(tmp_path, scorer(name), answers=["no idea", "none either"], number=2):
        assert (one.selection.index, one.error) == (None, None)
        assert one.verdict.reason == "no_answer"
    assert len(asked(tmp_path)) == (4 if name in ("judge", "p_true") else 0)


@pytest.mark.parametrize("name", SCORERS)
def test_where_nobody_finished_nothing_is_asked(tmp_path: Path, name: str) -> None:
    cut = [{"text": "so \\boxed{2}", "finish_reason": "length"}]
    for one in solve(tmp_path, scorer(name), answers=cut, number=2):
        assert (one.selection.index, one.error) == (None, None)
    assert asked(tmp_path) == []


@pytest.mark.parametrize(("most", "questions"), [(1, 2), (2, 4), (1_000_000, 4)])
def test_a_budget_of_comparisons_is_kept(tmp_path: Path, most: int, questions: int) -> None:
    keys = {"max_comparisons": most, "judge": critic("right")}
    [one] = solve(tmp_path, {"name": "pairwise", **keys}, number=1)
    assert len(asked(tmp_path)) == questions  # three answers take two comparisons, in both orders
    assert one.selection.answer == ("4" if most == 1 else "7")  # with one, 7 takes no part


def test_a_budget_of_no_comparison_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"max_comparisons.*1"):
        solve(tmp_path, scorer("pairwise", max_comparisons=0))


@pytest.mark.parametrize("name", ["judge", "p_true", "pairwise"])
def test_a_judge_whose_mind_is_elsewhere_cannot_tell_and_a_small_share_of_it_is_no_mark(
    tmp_path: Path, name: str
) -> None:
    faint = dict.fromkeys(("1", "2", "3", "4", "5", "Yes", "No", "A", "B"), -5.0)  # 0.7 % each
    judge = {"name": "replay", "script": [{"text": "Hm", "asked_logprobs": faint}]}
    for one in solve(tmp_path, {"name": name, "judge": judge}, number=2):
        assert one.selection.answer == "4"
        assert "`by: samples` reads what it says" in one.selection.fallback


@pytest.mark.parametrize("name", ["judge", "pairwise"])
def test_numbers_outside_the_scale_and_other_letters_decide_nothing(tmp_path: Path, name: str) -> None:
    for said in ("-4", "0", "6", "99", "4.5", "C", "A and B", "Score: 11"):
        judge = {"name": "replay", "script": [said]}
        [one] = solve(tmp_path / said, {"name": name, "judge": judge, "num_samples": 1}, number=1)
        assert (one.selection.answer, bool(one.selection.fallback)) == ("4", True), said


@pytest.mark.parametrize("name", SCORERS)
def test_candidates_too_long_for_the_judge_leave_the_plain_vote_and_say_why(tmp_path: Path, name: str) -> None:
    refused = {
        "name": "replay",
        "script": [{"text": "", "finish_reason": "error", "error": "12345 tokens are too many"}],
    }
    long = [f"{'so it goes ' * 900}{one}" for one in ANSWERS]
    for one in solve(tmp_path, {"name": name, "judge": refused}, answers=long, number=1):
        assert (one.selection.answer, one.error) == ("4", None)
        assert "could tell nothing of 6 of 6" in one.selection.fallback
        assert "12345 tokens are too many" in one.selection.fallback


def test_a_judge_that_fails_on_some_is_asked_about_those_alone_when_errors_are_tried_again(tmp_path: Path) -> None:
    good = {"text": "4", "asked_logprobs": {str(mark): -1.6 for mark in range(1, 6)}}
    lost = [{"key": f"score/@{index}/0/0", "finish_reason": "error", "error": "out", "text": ""} for index in (1, 4)]
    first = {"name": "judge", "by": "probabilities", "judge": {"name": "replay", "script": [*lost, good]}}
    solve(tmp_path, first, number=3)
    before = asked(tmp_path)
    failed = [line for line in before if line["completion"].get("error")]
    path = tmp_path / "r.yaml"
    with open_run(load_recipe(str(path)), None, tmp_path / "run", retry_errors=True) as run:
        assert len(list(run.outcomes())) == 3
    again = asked(tmp_path)[len(before) :]
    assert {(line["problem_id"], line["key"]) for line in again} == {(one["problem_id"], one["key"]) for one in failed}
    assert len(again) == len(failed) > 0


def test_a_scorer_whose_engine_is_missing_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    solve(tmp_path, {"name": "likelihood"}, selector="majority_vote", number=2)
    override = ["selector=best_of_n", "selector.scorer={name: reward_model}"]
    with pytest.raises(RecipeError, match=r"selector\.scorer\.reward"):
        StoredRun(tmp_path / "run", override)
    assert not (tmp_path / "run/scorer_calls.jsonl").exists()


@pytest.mark.parametrize("name", SCORERS)
def test_choosing_anew_by_a_scorer_asks_once_and_what_the_policy_itself_judges_too(tmp_path: Path, name: str) -> None:
    solve(tmp_path, {"name": "likelihood"}, selector="majority_vote", number=2)
    found = []
    for own in (False, True):
        chosen = {"name": name, "num_samples": 2} if own and name not in SAYS else scorer(name)
        override = ["selector=best_of_n", f"selector.scorer={json.dumps(chosen)}"]
        for _ in range(2):
            run = StoredRun(tmp_path / "run", override)
            found.append([one.solution.selection for one in Rejudging(run, afresh=False).outcomes()])
            run.close()
            found.append(len(asked(tmp_path)))  # type: ignore[arg-type]
        assert found[-4:-2] == found[-2:]
    names = [(line["problem_id"], line["key"], line["digest"]) for line in asked(tmp_path)]
    assert len(set(names)) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["judge", "pairwise", "genselect"])
def test_a_scorer_that_is_killed_at_ten_moments_asks_nothing_twice(tmp_path: Path, name: str) -> None:
    whole = solve(tmp_path / "whole", scorer(name), number=6)
    number = len(asked(tmp_path / "whole"))
    folder = tmp_path / "killed"
    folder.mkdir()
    recipe = yaml.safe_load((tmp_path / "whole/r.yaml").read_text())
    recipe["selector"]["scorer"]["judge"] |= {"delay_seconds": 0.03, "batch_size": 2}
    (folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    rows = [{"id": f"p{one}", "problem": f"What is {one}?", "answer": "7"} for one in range(6)]
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "tts", "solve", "p.jsonl", "-r", "r.yaml", "--run", "run"]
    calls, chance = folder / "run/scorer_calls.jsonl", random.Random(name)
    for moment in sorted(chance.sample(range(1, number), min(10, number - 1))):
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and len(calls.read_bytes().splitlines() if calls.exists() else ()) < moment:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        process.wait()
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    names = [(line["problem_id"], line["key"]) for line in asked(folder)]
    assert len(names) == len(set(names)) == number
    chosen = {one["id"]: one["answer"] for one in map(json.loads, done.stdout.splitlines())}
    assert chosen == {one.problem_id: one.selection.answer for one in whole}
