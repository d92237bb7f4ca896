"""Every searching sampler's tree, from a whole run, an interrupted one that went on, and an older folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tts import ProblemRow
from tts.components import registry
from tts.pipeline.run import open_run
from tts.recipe import rebuild_recipe
from tts.runs.search_tree import SearchTree, outline
from tts.runs.stored import StoredRun
from tts.types import Problem, Reference

SCRIPT: list[dict[str, Any]] = [
    {"text": "hm</think>", "stop": "</think>"},
    {"text": "so \\boxed{2}"},
    {"text": "add one\nadd two"},
    {"text": "likely"},
    {"text": "a thought</think>", "stop": "</think>"},
    {"text": "step one\n\n", "stop": "\n\n"},
    {"text": "", "finish_reason": "error", "error": "overloaded"},
    {"text": "so \\boxed{3}"},
    {"text": "step two\n\n", "stop": "\n\n"},
    {"text": "so \\boxed{", "finish_reason": "length"},
]
KEYS: dict[str, dict[str, Any]] = {
    "ab_mcts": {"max_expansions": 40},
    "adaptive_consistency": {"num_candidates": 30},
    "deepconf": {"num_candidates": 20, "warmup": 4},
    "esc": {"num_candidates": 12, "window": 3},
    "budget_forcing": {"max_thinking_tokens": 30},
    "tree_of_thoughts": {"num_candidates": 3, "num_steps": 2, "num_evaluations": 2},
}
SEARCHES = sorted(name for name in registry.builtin("samplers") if hasattr(registry.load("samplers", name), "search"))
PROBLEMS = ["p0", "p1", "p2"]


def draw(name: str, folder: Path) -> StoredRun:
    reward = {"reward": {"name": "replay", "rewards": [0.1, 0.9, 0.5]}}
    takes = reward if "reward" in registry.load("samplers", name).model_fields else {}
    script = [{**one, "engine_stats": {"least_confidence": float(len(one["text"]))}} for one in SCRIPT]
    recipe = rebuild_recipe(
        {
            "task": "math",
            "engine": {"name": "replay", "script": script, "batch_size": 5},
            "sampler": {"name": name, "num_candidates": 8, **takes, **KEYS.get(name, {})},
            "selector": "majority_vote",
        },
        name=name,
    )
    rows = [ProblemRow(Problem(one, f"{one} + 1?", "math"), Reference("2"), 1) for one in PROBLEMS]
    with open_run(recipe, rows, folder) as run:
        assert len(list(run.outcomes())) == len(PROBLEMS)
    return StoredRun(folder)


def trees(run: StoredRun) -> dict[str, SearchTree]:
    found = {one: run.search_tree(one, run.candidates(one)) for one in PROBLEMS}
    return {one: tree for one, tree in found.items() if tree is not None}


def told(tree: SearchTree) -> list[object]:
    """What does not depend on when a call was given up."""
    return [step for step in tree.steps if step.told]


@pytest.mark.parametrize("name", SEARCHES)
def test_a_tree_holds_every_call_once_and_adds_up_to_the_ledger(tmp_path: Path, name: str) -> None:
    run = draw(name, tmp_path / "run")
    drawn = trees(run)
    assert list(drawn) == PROBLEMS
    for problem_id, tree in drawn.items():
        candidates = run.candidates(problem_id)
        steps = {step.key: step for step in tree.steps}
        assert len(steps) == len(tree.steps)
        assert (tree.over, tree.error, tree.num_candidates, tree.num_asked_anew) == (True, None, len(candidates), 0)
        for engine, spent in run.spent(problem_id, candidates).items():
            of_engine = [step for step in tree.steps if step.engine == engine and step.kind != "classes"]
            assert len(of_engine) == spent.num_calls
            assert sum(step.tokens for step in of_engine) == spent.written_tokens
            assert sum(step.prompt_tokens for step in of_engine) == spent.prompt_tokens
        for candidate in candidates:
            for before, key in zip((None, *candidate.calls), candidate.calls, strict=False):
                assert candidate.index in steps[key].candidates
                assert before is None or steps[key].after == before
        rows = outline(tree, len(steps)).rows
        shown = {row.step.key for row in rows}
        assert shown >= {step.key for step in tree.steps if step.kind == "generate"}
        folded = [step for step in tree.steps if step.key not in shown]
        assert all(step.after in shown for step in folded)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_run_that_was_cut_off_and_went_on_has_the_tree_of_one_that_was_not(tmp_path: Path, name: str) -> None:
    whole = draw(name, tmp_path / "whole")
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in ("run.json", "problems.jsonl"):
        (cut / file).write_bytes((whole.path / file).read_bytes())
    lines = (whole.path / "calls.jsonl").read_bytes().splitlines(keepends=True)
    half = lines[: len(lines) // 2]
    (cut / "calls.jsonl").write_bytes(b"".join(half) + b'{"problem_id": "p')
    over = {json.loads(line)["problem_id"] for line in half if b'"end"' in line}
    candidates = (whole.path / "candidates.jsonl").read_bytes().splitlines(keepends=True)
    (cut / "candidates.jsonl").write_bytes(b"".join(one for one in candidates if json.loads(one)["problem_id"] in over))
    again = trees(draw(name, cut))
    for problem_id, tree in trees(whole).items():
        assert told(again[problem_id]) == told(tree)


@pytest.mark.parametrize("name", ["prm_beam", "budget_forcing"])
def test_a_folder_of_before_shows_what_its_candidates_know(tmp_path: Path, name: str) -> None:
    run = draw(name, tmp_path / "run")
    known = trees(run)
    lines = [json.loads(line) for line in (run.path / "calls.jsonl").read_bytes().splitlines()]
    older = [{key: value for key, value in line.items() if key not in ("after", "put")} for line in lines]
    (run.path / "calls.jsonl").write_text("".join(json.dumps(line) + "\n" for line in older))
    for problem_id, tree in trees(StoredRun(run.path)).items():
        alive = [(step.key, step.after, step.candidates) for step in tree.steps if step.candidates]
        assert alive == [(step.key, step.after, step.candidates) for step in known[problem_id].steps if step.candidates]


def test_what_a_sampler_puts_in_and_thinks_about_is_on_record(tmp_path: Path) -> None:
    forced = trees(draw("budget_forcing", tmp_path / "forced"))
    assert {"Wait", "</think>\n\n"} == {step.put for tree in forced.values() for step in tree.steps if step.after}
    thought = trees(draw("tree_of_thoughts", tmp_path / "thought"))
    for tree in thought.values():
        by_key = {step.key: step for step in tree.steps}
        behind = [step for step in tree.steps if step.after]
        assert behind
        assert all(step.put.strip() in by_key[step.after].text.splitlines() for step in behind)
