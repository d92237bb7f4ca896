"""Figures by what rows say of their problems, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_parts import boxed, draw
from test_counts import pool_of

from tts.metrics.curves import curves
from tts.metrics.intervals import wilson
from tts.report.analyse import report_of
from tts.report.groups import groups_of, told
from tts.report.page import page


def test_a_stored_run_is_told_by_level(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "problem": "a?", "answer": "1", "level": 2, "note": "x" * 99},
        {"id": "b", "problem": "b?", "answer": "1", "level": 10, "note": "y"},
        {"id": "c", "problem": "c?", "answer": "2", "level": 10, "note": "y"},
        {"id": "d", "problem": "d?", "answer": "2", "source": "only one value"},
    ]
    problems = tmp_path / "p.jsonl"
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = report_of([draw(tmp_path / "r", problems, boxed("1", "1", "2", "3"))], (1, 2), embeddings="none")
    (arm,) = found.arms
    told = {(one.value, one.figure, one.k): (one.num_problems, one.lower) for one in arm.groups}
    assert {one.key for one in arm.groups} == {"level"}
    assert [value for value, figure, _ in told if figure == "random"] == ["2", "10", None]
    assert told["2", "random", 1] == (1, 0.5)
    assert told["10", "random", 1] == (2, (0.5 + 0.25) / 2)
    assert told["10", "pass@k", 2] == (2, pytest.approx((5 / 6 + 1 / 2) / 2))
    ten = next(one for one in arm.groups if one.value == "10" and one.figure == "random")
    assert (ten.interval_low, ten.interval_high) == pytest.approx(wilson(0.375, 2))
    assert "By level: single figures" in page(found)


def test_what_is_no_word_for_a_table_is_not_told() -> None:
    assert told({"a": [1], "b": None, "c": True, "d": 1.5, "e": "x" * 61}) == {
        "a": None, "b": None, "c": "true", "d": "1.5", "e": None
    }  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(["x", "y", "z"]), min_size=2, max_size=9), st.data())
def test_groups_add_up_to_the_whole(values: list[str], data: st.DataObject) -> None:
    words = [data.draw(st.text("pfu", min_size=2, max_size=2)) for _ in values]
    lines = curves(pool_of(*words), [2])
    rows = {str(place): {"key": value} for place, value in enumerate(values)}
    found = groups_of(rows, lines, "maj@k", 2, {})
    assert bool(found) == (len(set(values)) > 1)
    for line in lines:
        parts = [one for one in found if one.figure == line.name]
        if parts:
            assert sum(one.num_problems for one in parts) == len(values)
            whole = sum(one.num_problems * one.lower for one in parts) / len(values)
            assert whole == pytest.approx(line.lower.mean(), abs=1e-9)
