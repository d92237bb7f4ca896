"""Judges behind a server: what the ledger has of them is what the server counted, to the token."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from server_parts import FakeServer

from tts.errors import CapReachedError
from tts.pipeline.rejudging import Rejudging
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.runs.stored import StoredRun

PLACE = "selector.scorer.judge"
SCORERS: dict[str, dict[str, Any]] = {
    "judge": {"by": "samples", "num_samples": 3, "max_tokens": 7},
    "p_true": {"rationales": 2, "num_samples": 2, "max_tokens": 5},
    "pairwise": {"num_samples": 2, "max_tokens": 9, "tournament": "round_robin"},
    "genselect": {"max_tokens": 6},
}
ROWS = [{"id": f"p{number}", "problem": f"What is {number}?", "answer": "4"} for number in range(5)]


def recipe_of(folder: Path, server: FakeServer, name: str) -> Path:
    judge = {"name": "openai", "base_url": server.url, "model": server.model, "silence_seconds": 1.0}
    answers = ["so \\boxed{2}", "or \\boxed{4}", "hence \\boxed{7}"]
    recipe = {
        "task": "math",
        "engine": {"name": "replay", "script": answers},
        "sampler": {"name": "temperature", "num_candidates": 3},
        "selector": {"name": "best_of_n", "scorer": {"name": name, "judge": judge, **SCORERS[name]}},
    }
    path = folder / "r.yaml"
    path.write_text(json.dumps(recipe))
    return path


@pytest.mark.parametrize("name", SCORERS)
def test_what_a_judge_took_is_what_its_server_counted(tmp_path: Path, name: str) -> None:
    with FakeServer().running() as server:
        path = recipe_of(tmp_path, server, name)
        with open_run(load_recipe(str(path)), ROWS, tmp_path / "run") as run:
            solutions = [outcome.solution for outcome in run.outcomes()]
        opening = json.loads((tmp_path / "run/run.json").read_bytes())["opening"][PLACE]
        spent = [one.usage.engines[PLACE] for one in solutions]
        assert sum(one.prompt_tokens for one in spent) == server.num_read - opening["prompt_tokens"] > 0
        assert sum(one.written_tokens for one in spent) == server.num_written - opening["written_tokens"] > 0

        # Read again, or chosen by anew, it costs nothing more, and the ledger says the same.
        asked = server.num_asked
        stored = StoredRun(tmp_path / "run", ["selector=self_consistency", f"selector.scorer={_scorer(path)}"])
        again = {one.solution.problem_id: one.solution for one in Rejudging(stored, afresh=False).outcomes()}
        stored.close()
        assert server.num_asked == asked
        assert {one.problem_id: one.usage.engines[PLACE] for one in solutions} == {
            problem_id: one.usage.engines[PLACE] for problem_id, one in again.items()
        }


def _scorer(path: Path) -> str:
    return json.dumps(json.loads(path.read_text())["selector"]["scorer"])


@pytest.mark.usefixtures("quick_backoff")
def test_a_token_budget_holds_for_drawing_and_judging_retries_included(tmp_path: Path) -> None:
    """Whatever breaks off, the server never writes more than the budget, and the named budget is enough to go on."""
    with FakeServer().running() as server:
        path = recipe_of(tmp_path, server, "judge")
        recipe = json.loads(path.read_text())
        judge = {**recipe["selector"]["scorer"]["judge"], "max_tries": 3}
        recipe["engine"], recipe["selector"]["scorer"]["judge"] = judge, {**judge, "max_concurrency": 3}
        recipe["sampler"] |= {"temperature": 1.0, "max_tokens": 20, "stop": ["e"]}  # only what ended is judged
        path.write_text(json.dumps(recipe))
        rows = [{"id": f"p{one}", "problem": f"What is {one}? bad:cut:12", "answer": "4"} for one in range(24)]
        budget, reached = 1500, 0
        while True:
            try:
                with open_run(load_recipe(str(path)), rows, tmp_path / "run", token_budget=budget) as run:
                    assert len(list(run.outcomes())) == len(rows)
                break
            except CapReachedError as error:
                assert server.num_written <= budget
                reached, budget = reached + 1, int(re.findall(r"--token-budget (\d+)", str(error))[0]) + 100
        assert server.num_written <= budget
        assert reached > 0
