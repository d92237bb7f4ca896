"""What a row of another tool may bring, and what is dropped of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.problems.jsonl import BadRow
from tts.runs.candidate_row import READERS, read_candidate
from tts.runs.records import dumps
from tts.types import Given, Verdict

TEXT = {"problem_id": "a", "text": "so 4"}


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("num_tokens", 12.0, 12),
        ("index", 3.0, 3),
        ("mean_logprob", -1, -1.0),
        ("mean_logprob", 1e-9, 1e-9),
        ("finish_reason", "max_tokens", "length"),
        ("finish_reason", "eos_token", "stop"),
        ("token_logprobs", [-1, -0.5], (-1.0, -0.5)),
        ("seed", -1, -1),
    ],
)
def test_a_value_is_read_as_what_it_says(key: str, value: Any, read: Any) -> None:
    row = read_candidate({**TEXT, key: value})
    assert (row.found[key], row.dropped) == (read, {})


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("mean_logprob", math.nan, "a finite number"),
        ("mean_logprob", -math.inf, "a finite number"),
        ("mean_logprob", 0.7, "at most 0"),
        ("mean_logprob", "-0.5", "a finite number"),
        ("mean_logprob", -(10**400), "too large"),
        ("num_tokens", -1, "a whole number from 0 on"),
        ("num_tokens", 12.5, "a whole number"),
        ("num_tokens", True, "a whole number"),
        ("index", "0", "a whole number"),
        ("self_certainty", -0.1, "at least 0"),
        ("token_logprobs", [-1.0, math.nan], "a finite number"),
        ("finish_reason", "because", "one of stop, length"),
        ("sampler", 5, "a string"),
        ("score", math.nan, "a finite number"),
        ("reward", [0.1, 0.2], "a finite number"),
        ("scores", 3, "an object of numbers"),
        ("engine_stats", [1], "an object of numbers"),
        ("correct", "yes", "true or false"),
        ("correct", 0.5, "true or false"),
        ("verdict", "good", "one of passed, failed, undecided"),
    ],
)
def test_a_value_that_cannot_be_is_dropped_and_the_candidate_stays(key: str, value: Any, told: str) -> None:
    row = read_candidate({**TEXT, key: value})
    assert told in row.dropped[key]
    assert row.found == {"text": "so 4"}
    assert (row.figures, row.given) == ({}, Given())


@pytest.mark.parametrize("key", [key for key in READERS if key != "text"])
def test_null_counts_as_left_out(key: str) -> None:
    row = read_candidate({**TEXT, key: None})
    assert (row.found, row.dropped, row.given) == ({"text": "so 4"}, {}, Given())


@pytest.mark.parametrize(
    ("brought", "verdict"),
    [
        ({"correct": True}, Verdict("passed")),
        ({"is_correct": 0}, Verdict("failed")),
        ({"passed": 1.0}, Verdict("passed")),
        ({"verdict": "undecided"}, Verdict("undecided", "given")),
        (
            {"verdict": {"status": "undecided", "reason": "timeout", "detail": "x"}},
            Verdict("undecided", "timeout", "x"),
        ),
        ({"correct": True, "verdict": "passed"}, Verdict("passed")),
        ({"correct": True, "verdict": "failed"}, None),
    ],
)
def test_a_verdict_comes_in_under_any_of_its_names(brought: dict[str, Any], verdict: Verdict | None) -> None:
    row = read_candidate({**TEXT, **brought})
    assert row.given.verdict == verdict
    assert set(row.dropped) == (set() if verdict else set(brought))


def test_scores_come_in_by_name() -> None:
    row = read_candidate({**TEXT, "score": 1, "reward": None, "scores": {"orm": -2.5, "prm": "x"}})
    assert row.figures == {"score": 1.0, "orm": -2.5}
    assert row.scorers == ["score", "reward", "orm", "prm"]
    assert list(row.dropped) == ["scores.prm"]


@pytest.mark.parametrize(("answer", "read"), [("1/2", "1/2"), (0.5, "0.5"), (10**20, "1" + "0" * 20), (None, None)])
def test_an_answer_stands_in_the_place_of_the_text(answer: Any, read: str | None) -> None:
    row = read_candidate({"problem_id": 1, "answer": answer})
    assert (row.problem_id, row.found["text"], row.given.answer) == ("1", read or "", read)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"problem_id": "a"}, "must bring `text`, or an `answer`, got neither"),
        ({"problem_id": "a", "generation": "x"}, "rename `generation`"),
        ({"problem_id": "a", "text": 5}, "got neither"),
        ({"problem_id": "a", "answer": [1]}, "`answer` must be a string"),
        ({"problem_id": "a", "answer": True}, "`answer` must be a string"),
        ({"text": "x"}, "`problem_id` must be an id, got null"),
    ],
)
def test_a_row_without_a_problem_or_anything_written_is_none(row: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRow, match=told):
        read_candidate(row)


def test_a_failed_candidate_needs_no_text() -> None:
    row = read_candidate({"problem_id": "a", "text": None, "error": "HTTP 500"})
    assert row.found == {"error": "HTTP 500", "finish_reason": "error", "text": ""}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=300, derandomize=True)
@given(st.dictionaries(st.sampled_from([*READERS, "scores", "engine_stats", "answer", "mine"]), values, max_size=6))
def test_no_value_of_another_key_costs_a_sound_text(row: dict[str, Any]) -> None:
    read = read_candidate({**row, **TEXT})
    assert read.found["text"] == "so 4"
    dumps([read.found, read.figures, read.given])  # all that is left can be written
    for key, value in row.items():
        kept = key in read.found or key in read.dropped or any(key in told for told in read.unused)
        inside = key in ("score", "reward", "scores", "engine_stats") or read.given.verdict is not None
        assert value is None or kept or inside or key == "text"
