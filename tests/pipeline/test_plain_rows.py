"""Rows given in Python: plain dicts are read as lines of JSON are, what is neither dict nor row is refused."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tts
from tts.problems.rows import from_python, read_rows
from tts.recipe import rebuild_recipe

RECIPE = {
    "task": "math",
    "engine": {"name": "replay", "script": ["\\boxed{42}"]},
    "sampler": {"name": "temperature", "num_candidates": 2},
    "selector": "majority_vote",
}


def outcomes(rows: Any, folder: Path) -> list[Any]:
    with tts.open_run(rebuild_recipe(RECIPE), rows, folder / "run") as run:
        return list(run.outcomes(keep_order=True))


def test_dicts_are_solved_and_a_bad_one_is_an_error_record(tmp_path: Path) -> None:
    first, second, third, fourth = outcomes(
        [
            {"problem": "What is 6*7?", "answer": 42},
            {"id": "b"},
            {"id": "c", "problem": "p", "image": b""},
            {"id": "d", "question": "What is 6*8?", "answer": "48", "level": 3},
        ],
        tmp_path,
    )
    assert (first.row.problem.id, first.solution.verdict.status) == ("line-1", "passed")
    assert (second.problem_id, second.error_type, second.line) == ("b", "no_prompt", 2)
    assert (third.problem_id, third.error_type, third.line) == ("c", "not_json_value", 3)
    assert (fourth.solution.verdict.status, fourth.row.problem.metadata) == ("failed", {"level": 3})


@pytest.mark.parametrize("row", ["What is 6*7?", None, 7, {1: "x"}, ["problem"]])
def test_anything_else_is_refused_with_what_it_must_be(row: Any, tmp_path: Path) -> None:
    with pytest.raises(tts.ProblemsError, match=r"row 2 must be a dict such as \{'problem': …\}"):
        outcomes([{"problem": "p"}, row], tmp_path)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(["id", "problem", "question", "answer", "choices", "kind", "messages", "level"])


@settings(max_examples=150, derandomize=True)
@given(st.lists(st.dictionaries(KEYS, JSON_VALUES, max_size=4), max_size=4))
def test_dicts_mean_what_their_lines_of_json_mean(rows: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    assert list(from_python(rows, "math")) == list(read_rows(BytesIO(lines), "math"))
