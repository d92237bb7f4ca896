"""What a program runner is asked to do, and what it tells: plain data in JSON, on both sides of a call.

A search or a scorer that wants programs run asks for it as it asks a model, through its `calls`. So nothing waits for
a program, what came of it is on record, and nothing is run twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import Field

from tts.components import registry
from tts.components.slot import Slot
from tts.errors import CallError
from tts.protocols import Engine
from tts.types import JSON, Completion, Decoding, Message

Runner = Annotated[Engine, Slot("engines", needs="runs_programs")]
"""A field that holds a program runner."""

WRITES_NOTHING = Decoding(0, temperature=0.0)
"""How a program runner decodes."""


def built_in_runner() -> Any:
    """Return the default of a `Runner`: the built-in one with its defaults."""

    def made() -> Engine:
        return cast("Engine", registry.load("engines", "program_runner")())

    return Field(default_factory=made)


@dataclass(frozen=True, slots=True)
class Case:
    """What came of one test or input: an outcome (`ok`, `wrong_answer`, …), and why, or what was returned."""

    outcome: str
    text: str = ""


def to_check(program: str, tests: JSON) -> tuple[Message, ...]:
    """Ask for every test of a problem (see `tts.programs.forms`); `Case.text` says what went wrong."""
    return _asked("check", program=program, tests=tests)


def to_assert(program: str, entry_point: str, asserts: Sequence[str]) -> tuple[Message, ...]:
    """Ask for every one of some assertions, which may be a model's and many; `Case.text` says little."""
    return _asked("assert", program=program, entry_point=entry_point, asserts=list(asserts))


def to_compare(program: str, tests: Sequence[tuple[str, str]], tolerance: JSON = None) -> tuple[Message, ...]:
    """Ask for every one of some tests by standard input, what is read and printed, which may be a model's and many.

    `Case.text` says little. `tolerance`: by how much numbers may differ (see `tts.programs.forms`).
    """
    stated: dict[str, JSON] = {"stdin": [{"input": read, "output": printed} for read, printed in tests]}
    return _asked("compare", program=program, tests=stated if tolerance is None else stated | {"tolerance": tolerance})


def to_find(entry_point: str, texts: Sequence[str], most: int, *, calls: bool = False) -> tuple[Message, ...]:
    """Ask for the assertions about a function in each of some texts, or its calls, the first `most` of each."""
    return _asked("find", entry_point=entry_point, texts=list(texts), most=most, calls=calls)


def to_try(program: str, entry_point: str, inputs: Sequence[str]) -> tuple[Message, ...]:
    """Ask what a program does with each input, a call of its function, or what it reads where it names none.

    `Case.text` is what was returned or printed, where the outcome is `ok`.
    """
    return _asked("try", program=program, entry_point=entry_point, inputs=list(inputs))


def read_task(messages: Sequence[Message]) -> dict[str, Any]:
    """Return what is asked. Raises ValueError where it is none of these."""
    if len(messages) != 1 or messages[0].role != "runner":
        raise ValueError("a program runner must be asked to run programs, got a prompt; it writes no answers")
    found: dict[str, Any] = json.loads(messages[0].content)
    return found


def cases_of(reply: Completion) -> list[Case]:
    """Return what came of each test. Raises CallError where the sandbox could tell of none.

    One alone is `harness_error` where it fails by itself, before it comes to the program.
    """
    cases = [Case(*one) for one in json.loads(reply.text)]
    if all(case.outcome == "harness_error" for case in cases):
        raise CallError(cases[0].text if cases else "there are no tests")
    return cases


def found_in(reply: Completion) -> list[list[str]]:
    """Return what was found in each text."""
    found: list[list[str]] = json.loads(reply.text)
    return found


def _asked(action: str, **task: JSON) -> tuple[Message, ...]:
    return (Message("runner", json.dumps({"action": action, **task})),)
