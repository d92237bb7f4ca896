from __future__ import annotations

import io
import json
from collections.abc import Iterable

import pytest

from tts.problems import ProblemRow, read_rows
from tts.types import Kind, Message, RowError


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
