"""Giving a problem up while it is drawn: what it costs, what is kept, and that a run which goes on draws it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from tts import ProblemRow
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.types import Problem, Reference

SAMPLE = "{name: temperature, num_candidates: 4, max_tokens: 60}"
SEARCH = "{name: adaptive_consistency, num_candidates: 4, max_tokens: 60}"
QUICK, SLOW = "so \\boxed{1}", {"text": "so \\boxed{2}", "delay_seconds": 60.0}


def recipe_of(folder: Path, sampler: str, slow: object = SLOW):
    path = folder / "r.yaml"
    script = {"p1": [QUICK, slow, slow, QUICK], "*": [QUICK]}
    told = json.dumps({"name": "replay", "script": script, "batch_size": 64})
    path.write_text(f"task: math\nengine: {told}\nsampler: {sampler}\nselector: majority_vote\n")
    return load_recipe(str(path))


def rows() -> list[ProblemRow]:
    return [ProblemRow(Problem(f"p{one}", f"{one}?", "math"), Reference("1"), one + 1) for one in range(3)]


def solved(recipe, folder: Path, *cancelled: str, once: int = 8):
    """Solve all; give some up `once` so many candidates are there."""
    with open_run(recipe, rows(), folder) as run:

        def cancel() -> None:
            while run.progress.num_candidates < once and not run.stop.is_set():
                time.sleep(0.01)
            for one in cancelled:
                run.cancel(one)

        thread = threading.Thread(target=cancel)
        thread.start()
        found = {outcome.solution.problem_id: outcome.solution for outcome in run.outcomes()}
        thread.join()
        return found, run.tally


@pytest.mark.parametrize("sampler", [SAMPLE, SEARCH])
def test_a_cancelled_problem_ends_at_once_is_in_no_figure_and_is_drawn_when_the_run_goes_on(
    tmp_path: Path, sampler: str
) -> None:
    began = time.monotonic()
    found, tally = solved(recipe_of(tmp_path, sampler), tmp_path / "run", "p1", "unknown", once=5)
    assert time.monotonic() - began < 20
    assert found["p1"].error == "it was cancelled"
    assert found["p1"].verdict.reason == "cancelled"
    assert found["p1"].text is None
    assert {found[name].error for name in ("p0", "p2")} == {None}
    assert (tally.num_problems, tally.num_graded, tally.num_cancelled) == (2, 2, 1)
    whole, tally = solved(recipe_of(tmp_path, sampler, QUICK), tmp_path / "again")
    (tmp_path / "run" / "run.json").write_bytes((tmp_path / "again" / "run.json").read_bytes())
    again, tally = solved(recipe_of(tmp_path, sampler, QUICK), tmp_path / "run")
    assert {name: one.selection for name, one in again.items()} == {name: one.selection for name, one in whole.items()}
    assert (tally.num_problems, tally.num_cancelled) == (3, 0)


def test_a_problem_that_is_cancelled_before_it_is_read_is_not_drawn(tmp_path: Path) -> None:
    for sampler in (SAMPLE, SEARCH):
        folder = tmp_path / sampler[7:12]
        with open_run(recipe_of(tmp_path, sampler, QUICK), rows(), folder) as run:
            run.cancel("p2")
            found = {outcome.solution.problem_id: outcome.solution for outcome in run.outcomes()}
        assert found["p2"].error == "it was cancelled"
        assert found["p2"].counts.num_candidates == 0
        assert b'"p2"' not in (folder / "candidates.jsonl").read_bytes()


def test_what_a_cancelled_problem_took_stays_on_record(tmp_path: Path) -> None:
    found, _ = solved(recipe_of(tmp_path, SAMPLE), tmp_path / "run", "p1", once=10)
    assert found["p1"].counts.num_candidates == 2
    assert found["p1"].usage.engines["engine"].num_calls == 4
    aside = [json.loads(line) for line in (tmp_path / "run" / "superseded.jsonl").read_bytes().splitlines()]
    assert [(one["problem_id"], one["finish_reason"]) for one in aside] == [("p1", "cancelled")] * 2
