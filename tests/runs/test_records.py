"""The one reader of what is on disk."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.errors import RunFolderError
from tts.runs.records import CHANGED, InputLine, Selections, dumps, input_line, loads
from tts.types import Answer, Candidate, Message, Problem, ProblemRow, Reference, RowError, Selection

TEXT = st.text(st.characters(codec=None), max_size=8)  # lone surrogates included
FLOATS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
CANDIDATES = st.builds(
    Candidate,
    problem_id=TEXT,
    index=st.integers(0, 99),
    text=TEXT,
    reasoning=st.none() | TEXT,
    finish_reason=st.sampled_from(["stop", "length", "cancelled", "error"]),
    num_prompt_tokens=st.integers(0, 10**6),
    num_tokens=st.integers(0, 10**6),
    cumulative_logprob=FLOATS,
    mean_logprob=FLOATS,
    self_certainty=FLOATS,
    seed=st.integers(0, 2**53),
    sampler=TEXT,
    token_logprobs=st.none() | st.lists(st.floats(-50, 0), max_size=3).map(tuple),
    error=st.none() | TEXT,
    engine_stats=st.dictionaries(TEXT, st.floats(-9, 9), max_size=2),
)


def read(line: bytes) -> Candidate:
    return loads(line, Candidate, lambda: "candidates.jsonl:3")


@given(CANDIDATES)
def test_what_is_written_is_read_back(candidate: Candidate) -> None:
    assert read(dumps(candidate)) == candidate


@given(CANDIDATES)
def test_a_key_of_a_later_version_is_ignored(candidate: Candidate) -> None:
    assert read(dumps({**json.loads(dumps(candidate)), "key_of_a_later_version": [1, {"a": None}]})) == candidate


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": None}, "Expected `int`, got `null` - at `$.seed`"),
        ({"text": 7}, "Expected `str`, got `int` - at `$.text`"),
        ({"finish_reason": "tired"}, "Invalid enum value 'tired' - at `$.finish_reason`"),
        ({"token_logprobs": ["a"]}, "Expected `float`, got `str` - at `$.token_logprobs[0]`"),
        ({"mean_logprob": float("nan")}, "NaN is no number of JSON"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(change: dict[str, Any], told: str) -> None:
    good = json.loads(dumps(Candidate("a", 0, "x", None, "stop", 1, 1, None, None, None, 0, "greedy")))
    with pytest.raises(RunFolderError) as caught:
        read(json.dumps({**good, **change}).encode())
    assert str(caught.value) == f"candidates.jsonl:3 cannot be read: {told}. {CHANGED}"


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(RunFolderError, match=r"^candidates\.jsonl:3 cannot be read: "):
        read(line)


def test_rows_come_back_as_they_were() -> None:
    messages = (Message("user", "hi"),)
    problem = Problem("p", "What?", "choice", messages, ("x", "y"), {"level": 3, "deep": {"a": [1, None]}})
    for row in (ProblemRow(problem, Reference("A"), 4), RowError(2, None, "not_json", "broken")):
        assert loads(dumps(input_line(row)), InputLine, str).row == row
    assert loads(b'{"end": 7}', InputLine, str).row is None


@pytest.mark.parametrize(
    "line", [b"{}", b'{"end": 1, "error": {"line": 1, "problem_id": null, "error_type": "x", "message": "y"}}']
)
def test_a_line_of_the_input_is_one_thing(line: bytes) -> None:
    with pytest.raises(RunFolderError, match="exactly one of `problem`, `error` and `end` must be there"):
        loads(line, InputLine, str)


def test_a_line_of_selections_names_links_only_where_there_are_any() -> None:
    selection = Selection(0, "5", (2.0,), num_tied=1, num_abstained=1)
    one = Selections("p", selection, (Answer("5", "boxed"), None, Answer("5 cm", "boxed")), (0, None, 1))
    linked = Selections(one.problem_id, selection, one.answers, one.classes, frozenset({(0, 1)}))
    for record, keys in ((one, ["problem_id", "selection", "answers", "classes"]), (linked, [*one.as_line(), "links"])):
        line = dumps(record.as_line())
        assert list(json.loads(line)) == keys
        assert loads(line, Selections, lambda: "selections.jsonl:1") == record
    assert json.loads(dumps(linked.as_line()))["links"] == [[0, 1]]
