from __future__ import annotations

import io
import json
from collections.abc import Iterable

import pytest

from tts.problems import read_rows
from tts.types import Kind, Message, ProblemRow, RowError


def read(*lines: bytes | str | dict[str, object], default_kind: Kind = "math") -> list[ProblemRow | RowError]:
    return list(read_rows(io.BytesIO(b"".join(as_bytes(lines))), default_kind))


def as_bytes(lines: Iterable[bytes | str | dict[str, object]]) -> Iterable[bytes]:
    for line in lines:
        text = json.dumps(line) if isinstance(line, dict) else line
        yield (text.encode() if isinstance(text, str) else text) + b"\n"


def good(record: ProblemRow | RowError) -> ProblemRow:
    assert isinstance(record, ProblemRow), record
    return record


def error_of(*lines: bytes | str | dict[str, object]) -> RowError:
    """Return the one error among the lines; every other line must have become a problem."""
    errors = [record for record in read(*lines) if isinstance(record, RowError)]
    assert len(errors) == 1, errors
    return errors[0]


def test_the_three_rows_of_the_manual_give_one_problem_and_two_errors() -> None:
    records = read('{"id":"a","problem":"What is 6*7?"}', "{bad", '{"id":"a","problem":"dup"}')
    assert good(records[0]).problem.prompt == "What is 6*7?"
    assert [(r.line, r.problem_id, r.error_type) for r in records[1:] if isinstance(r, RowError)] == [
        (2, None, "not_json"),
        (3, "a", "duplicate_id"),
    ]


@pytest.mark.parametrize("key", ["problem", "prompt", "question"])
def test_any_of_the_prompt_keys_brings_the_prompt(key: str) -> None:
    first, second = read({key: "one"}, {key: "two"})
    assert (good(first).problem.prompt, good(second).problem.prompt) == ("one", "two")
    assert (good(first).problem.id, good(second).problem.id) == ("line-1", "line-2")


def test_a_conversation_is_kept_whole_and_its_last_user_message_is_the_prompt() -> None:
    turns = [("system", "Be brief."), ("user", "2+2?"), ("assistant", "4"), ("user", "And 3+3?")]
    [record] = read({"messages": [{"role": role, "content": content} for role, content in turns]})
    assert good(record).problem.prompt == "And 3+3?"
    assert good(record).problem.messages == tuple(Message(role, content) for role, content in turns)


def test_a_missing_or_null_id_is_derived_from_the_line_and_still_has_to_be_unique() -> None:
    records = read({"problem": "a"}, "", {"problem": "b", "id": None}, {"problem": "c", "id": "line-3"})
    assert [good(record).problem.id for record in records[:2]] == ["line-1", "line-3"]
    assert records[2] == error_of({"problem": "a"}, "", {"problem": "b"}, {"problem": "c", "id": "line-3"})


def test_a_number_and_the_same_number_as_text_are_one_id() -> None:
    error = error_of({"id": 1, "problem": "a"}, {"id": "1", "problem": "b"})
    assert (error.line, error.problem_id, error.error_type) == (2, "1", "duplicate_id")
    assert "first on line 1" in error.message


def test_an_id_belongs_to_the_first_row_that_is_good() -> None:
    records = read({"id": "a", "problem": ""}, {"id": "a", "problem": "corrected"})
    assert isinstance(records[0], RowError)
    assert good(records[1]).problem.prompt == "corrected"


def test_every_line_that_is_not_blank_gives_one_record_in_order() -> None:
    lines = [b"[1]", b"", b'{"problem": "x"}', b"   \t", b"nonsense", b'{"problem": "y"}']
    assert [r.line for r in read(*lines)] == [1, 3, 5, 6]


def test_unknown_keys_are_kept_and_known_ones_are_not() -> None:
    extra = {"level": 3, "source": {"book": ["x", 1.5, None]}, "solution": "long"}
    first, second = read({"id": "a", "problem": "p", "answer": 1, **extra}, {"id": "b", "problem": "q"})
    assert good(first).problem.metadata == extra
    assert good(second).problem.metadata == {}


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("1/2", "1/2"),
        ("  padded ", "  padded "),
        (7, "7"),
        (-3, "-3"),
        (0.5, "0.5"),
        (204.0, "204.0"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (None, None),
    ],
)
def test_an_answer_is_text_or_a_number_written_out(value: object, answer: str | None) -> None:
    first, second = read({"problem": "p", "answer": value}, {"problem": "q"})
    assert good(first).reference.answer == answer
    assert good(second).reference.answer is None


@pytest.mark.parametrize("value", [True, False, [], ["1", "2"], {"a": 1}, "", "  "])
def test_an_answer_of_another_type_is_refused_and_never_turned_into_text(value: object) -> None:
    error = error_of({"problem": "p", "answer": "1"}, {"id": "b", "problem": "q", "answer": value})
    assert (error.line, error.problem_id, error.error_type) == (2, "b", "bad_answer")


@pytest.mark.parametrize("value", ["", "  ", 1.0, True, [], {}, "\ud800"])
def test_an_id_of_another_type_is_refused(value: object) -> None:
    error = error_of({"id": "a", "problem": "p"}, {"id": value, "problem": "q"})
    assert (error.line, error.problem_id) == (2, None)
    assert error.error_type == ("lone_surrogate" if value == "\ud800" else "bad_id")


@pytest.mark.parametrize(
    ("row", "error_type"),
    [
        ({}, "no_prompt"),
        ({"problem": None, "text": "x"}, "no_prompt"),
        ({"problem": ""}, "empty_prompt"),
        ({"question": " \n\t"}, "empty_prompt"),
        ({"problem": 5}, "bad_prompt"),
        ({"prompt": [{"role": "user", "content": "x"}]}, "bad_prompt"),
        ({"problem": "x", "question": "x"}, "ambiguous_prompt"),
        ({"problem": "x", "messages": [{"role": "user", "content": "x"}]}, "ambiguous_prompt"),
        ({"messages": []}, "bad_messages"),
        ({"messages": "hello"}, "bad_messages"),
        ({"messages": ["hello"]}, "bad_messages"),
        ({"messages": [{"role": "user"}]}, "bad_messages"),
        ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, "bad_messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "bad_messages"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "bad_messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "bad_messages"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "4"}]}, "bad_messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "empty_prompt"),
        ({"problem": "x", "tests": []}, "bad_tests"),
        ({"problem": "x", "tests": 5}, "bad_tests"),
        ({"problem": "x", "tests": False}, "bad_tests"),
    ],
)
def test_a_row_that_asks_nothing_clear_is_refused_with_its_id(row: dict[str, object], error_type: str) -> None:
    error = error_of({"id": "a", "problem": "fine"}, {"id": "b", **row}, {"id": "c", "problem": "fine"})
    assert (error.line, error.problem_id, error.error_type) == (2, "b", error_type)


def test_a_prompt_key_that_is_null_does_not_compete() -> None:
    first, second = read({"problem": None, "question": "q"}, {"prompt": "p", "messages": None})
    assert (good(first).problem.prompt, good(second).problem.prompt) == ("q", "p")


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({}, "text"),
        ({"choices": ["x", "y"]}, "choice"),
        ({"options": ["x", "y"]}, "choice"),
        ({"tests": ["assert f(1) == 1"]}, "code"),
        ({"public_tests": ["assert f(1) == 1"]}, "code"),
        ({"tests": ["t"], "choices": ["x", "y"]}, "choice"),
        ({"tests": ["t"], "kind": "math"}, "math"),
        ({"choices": ["x", "y"], "kind": "text"}, "text"),
        ({"choices": None, "tests": None, "kind": None}, "text"),
    ],
)
def test_the_kind_is_the_rows_own_then_its_shapes_then_the_callers(row: dict[str, object], kind: Kind) -> None:
    first, second = read({"problem": "p", **row}, {"problem": "q"}, default_kind="text")
    assert good(first).problem.kind == kind
    assert good(second).problem.kind == "text"


def test_a_wrong_kind_is_refused_with_the_nearest_one() -> None:
    assert "did you mean `math`?" in error_of({"problem": "p", "kind": "Maths"}, {"problem": "q"}).message
    assert error_of({"problem": "p", "kind": ["math"]}, {"problem": "q"}).error_type == "bad_kind"


def test_tests_of_another_kind_than_code_go_to_the_reference_as_they_are() -> None:
    tests = {"inputs": [[1, 2]], "outputs": [3]}
    rows = read({"problem": "p", "tests": tests, "kind": "text"}, {"problem": "q", "tests": "any", "kind": "math"})
    assert [good(row).reference.tests for row in rows] == [tests, "any"]
    assert "tests" not in good(rows[0]).problem.metadata


def test_choices_are_a_list_or_an_object_of_letters() -> None:
    listed, lettered = read(
        {"problem": "p", "choices": ["x", 2, 0.5]}, {"problem": "q", "options": {"B": "y", "A": "x", "C": "z"}}
    )
    assert good(listed).problem.choices == ("x", "2", "0.5")
    assert good(lettered).problem.choices == ("x", "y", "z")


@pytest.mark.parametrize(
    ("labels", "answer", "letter"),
    [("ABC", "b", "B"), ("123", "3", "C"), ("123", 2, "B"), ("BCA", "A", "C"), ("ABC", "z", "C")],
)
def test_choices_may_have_labels_and_texts_side_by_side(labels: str, answer: object, letter: str) -> None:
    choices = {"label": list(labels), "text": ["x", "y", "z"]}
    first, second = read({"problem": "p", "choices": choices, "answer": answer}, {"problem": "q", "choices": choices})
    assert good(first).problem.choices == ("x", "y", "z")
    assert good(first).reference.answer == letter
    assert good(second).reference.answer is None


@pytest.mark.parametrize(
    "choices",
    [
        [],
        {"label": ["A", "B"], "text": ["x"]},
        {"label": ["A", "A"], "text": ["x", "y"]},
        {"label": "AB", "text": ["x", "y"]},
        ["only"],
        "AB",
        5,
        ["x", ""],
        ["x", None],
        ["x", True],
        ["x", ["y"]],
        {"A": "x", "C": "y"},
        {"a": "x", "b": "y"},
        {"1": "x", "2": "y"},
        [str(i) for i in range(27)],
        {str(i): "x" for i in range(40)},
    ],
)
def test_choices_of_another_shape_are_refused(choices: object) -> None:
    error = error_of({"problem": "fine"}, {"id": "b", "problem": "p", "choices": choices})
    assert (error.problem_id, error.error_type) == ("b", "bad_choices")


def test_choices_and_options_at_once_are_refused() -> None:
    row = {"problem": "p", "choices": ["x", "y"], "options": ["x", "y"]}
    assert error_of(row, {"problem": "q"}).error_type == "ambiguous_choices"


@pytest.mark.parametrize(
    ("choices", "answer", "letter"),
    [
        (["x", "y", "z"], "B", "B"),
        (["x", "y", "z"], " c ", "C"),
        (["x", "y", "z"], "y", "B"),
        (["10", "20"], 20, "B"),
        (["A", "B"], "A", "A"),
        (["4", "4"], "B", "B"),
    ],
)
def test_the_answer_to_choices_becomes_a_letter(choices: list[str], answer: object, letter: str) -> None:
    first, second = read({"problem": "p", "choices": choices, "answer": answer}, {"problem": "q", "choices": choices})
    assert good(first).reference.answer == letter
    assert good(second).reference.answer is None


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        (["x", "y"], "C"),  # there is no third option
        (["x", "y"], 1),  # a position: counted from 0 or from 1?
        (["B", "A"], "A"),  # the letter A, or the text that stands at B
        (["4", "4"], "4"),  # a text that stands twice
        (["x", "y"], "X or Y"),
    ],
)
def test_an_answer_that_names_no_single_option_is_refused(choices: list[str], answer: object) -> None:
    row = {"id": "b", "problem": "p", "choices": choices, "answer": answer}
    error = error_of({"problem": "fine"}, row)
    assert (error.problem_id, error.error_type) == ("b", "bad_answer")
    assert "write the letter" in error.message


def test_a_row_of_another_kind_keeps_its_answer_whatever_its_choices() -> None:
    row = {"problem": "p", "kind": "math", "choices": ["1", "2"], "answer": "0.5"}
    first, second = read(row, {**row, "answer": "7"})
    assert (good(first).reference.answer, good(second).reference.answer) == ("0.5", "7")
