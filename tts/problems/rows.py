"""Rows become problems and references, or `RowError` records; nothing is dropped and nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import BinaryIO, get_args

from tts.errors import ProblemsError, nearest, shown
from tts.problems.choices import labels_of, read_answer_letter, read_choices
from tts.problems.code_formats import in_our_keys
from tts.problems.code_rows import CODE_KEYS, CodeRow, read_code
from tts.problems.jsonl import BadRow, Row, check_portable, read_json_lines, usable_id
from tts.protocols import ReadsReferences
from tts.types import JSON, InputRow, Kind, Message, Problem, ProblemRow, Reference, RowError

KINDS: tuple[Kind, ...] = get_args(Kind)
PROMPT_KEYS = ("problem", "prompt", "question", "messages")
CHOICES_KEYS = ("choices", "options")
KNOWN_KEYS = frozenset((*PROMPT_KEYS, *CHOICES_KEYS, "id", "answer", "tests", "kind"))
ROLES = ("system", "user", "assistant")


def read_rows(stream: BinaryIO, default_kind: Kind) -> Iterator[ProblemRow | RowError]:
    """Yield one record for every line of JSON lines that is not blank, in order, each as soon as it is read.

    A row is `{"problem" | "prompt" | "question": text, or "messages": [{role, content}, …]}` with, if wanted, `id`,
    `answer`, `tests`, `choices` | `options` and `kind`; a key whose value is null counts as absent. A row without an id
    is called `line-<its line>`. The kind is the row's own, else `choice` where it has choices, `code` where it has
    tests, else `default_kind`. A row of kind `code` may bring `entry_point`, `starter_code`, `tests` (hidden) and
    `public_tests` (those that the prompt shows) in the forms of `tts.programs.forms`; rows as HumanEval, MBPP and
    LiveCodeBench publish them are understood too. All other keys become the problem's metadata. `cluster` among
    them names what problems share (a passage, a template): intervals and tests take those of one cluster as a unit.
    """
    return understand(read_json_lines(stream), default_kind)


def understand(
    rows: Iterable[Row | InputRow], default_kind: Kind, first_places: dict[str, str] | None = None, source: str = ""
) -> Iterator[InputRow]:
    """Turn rows into problems; problems and errors are passed on. An id belongs to the first good row that has it.

    Of several sources each is told the `first_places` of ids, which are noted there, and what to call it.
    """
    first_places = {} if first_places is None else first_places
    for row in rows:
        if isinstance(row, ProblemRow | RowError):
            yield row
            continue
        problem_id: str | None = usable_id(row.values.get("id", row.values.get("task_id"))) or row.default_id
        try:
            values = in_our_keys(row.values)
            problem_id = row.default_id if values.get("id") is None else usable_id(values["id"])
            if problem_id is None:
                wanted = "`id` must be a non-empty string or an integer"
                raise BadRow("bad_id", f"{wanted}, got {shown(values['id'])}: change it")
            if problem_id in first_places:
                got = f"{shown(problem_id)} again (first on {first_places[problem_id]})"
                raise BadRow("duplicate_id", f"`id` must be unique, got {got}: give this row another id")
            understood = _read_problem(replace(row, values=values), problem_id, default_kind)
        except BadRow as error:
            error.problem_id = problem_id
            yield error.record(row.line)
        else:
            first_places[problem_id] = f"line {row.line}{source}"
            yield understood


def from_python(rows: Iterable[InputRow | Mapping[str, JSON]], default_kind: Kind) -> Iterator[InputRow]:
    """Yield the rows; plain dicts among them are read as the same objects on lines of JSON would be.

    Raises ProblemsError for anything else.
    """

    def read() -> Iterator[Row | InputRow]:
        for number, row in enumerate(rows, start=1):
            if isinstance(row, ProblemRow | RowError):
                yield row
            elif isinstance(row, Mapping) and all(isinstance(key, str) for key in row):
                try:
                    values = json.loads(json.dumps(dict(row)))
                    check_portable(values)
                    yield Row(number, f"line-{number}", values)
                except BadRow as error:
                    yield error.record(number)
                except (TypeError, ValueError, RecursionError) as error:
                    message = f"a row must hold what JSON can, got: {error}: convert it, or leave it out"
                    yield RowError(number, usable_id(row.get("id")), "not_json_value", message)
            else:
                wanted = f"row {number} must be a dict such as {{'problem': …}}, or a row of tts.open_problems"
                raise ProblemsError(f"{wanted}, got {type(row).__name__} {shown(row)}")

    return understand(read(), default_kind)


def judgeable(row: ProblemRow | RowError, verifier: object) -> ProblemRow | RowError:
    """Return the row, or an error in its place where its verifier cannot read the answer that it brings."""
    if isinstance(row, RowError) or not isinstance(verifier, ReadsReferences) or not verifier.unreadable(row.reference):
        return row
    wanted = f"`answer` must be one that can be read as {row.problem.kind}, got {shown(row.reference.answer)}"
    return RowError(row.line, row.problem.id, "bad_answer", f"{wanted}: correct it, or leave it out")


def _read_problem(row: Row, problem_id: str, default_kind: Kind) -> ProblemRow:
    values = {key: value for key, value in row.values.items() if value is not None}
    messages = _read_messages(values["messages"]) if "messages" in values else ()
    prompt = _read_prompt(values, messages)
    given_choices = _only_one(values, CHOICES_KEYS, "choices")
    choices = read_choices(given_choices)
    kind = _read_kind(values, default_kind)
    code = read_code(values, prompt) if kind == "code" else CodeRow(tests=_read_tests(values.get("tests")))
    answer = _read_answer(values.get("answer"))
    if kind == "choice" and choices and answer is not None:
        answer = read_answer_letter(labels_of(given_choices).get(answer.strip().upper(), answer), choices)
    known = KNOWN_KEYS | set(CODE_KEYS) if kind == "code" else KNOWN_KEYS
    metadata = {key: value for key, value in row.values.items() if key not in known} | dict(row.extra)
    if metadata.get("cluster") is not None and usable_id(metadata["cluster"]) is None:
        wanted = "`cluster` must be a non-empty string or an integer, the same for all problems that share something"
        raise BadRow("bad_cluster", f"{wanted}, got {shown(metadata['cluster'])}: change it, or rename the key")
    visible = (code.entry_point, code.starter_code, code.public_tests)
    problem = Problem(problem_id, prompt, kind, messages, choices, metadata, *visible)
    return ProblemRow(problem, Reference(answer, code.tests), row.line)


def _only_one(values: Mapping[str, JSON], keys: tuple[str, ...], what: str) -> JSON:
    """Return the value of the one key that is there, None where none is."""
    present = [key for key in keys if key in values]
    if len(present) > 1:
        message = f"a row must bring its {what} once, got {' and '.join(f'`{key}`' for key in present)}"
        raise BadRow(f"ambiguous_{what}", f"{message}: keep one, rename the other")
    return values[present[0]] if present else None


def _read_prompt(values: Mapping[str, JSON], messages: tuple[Message, ...]) -> str:
    prompt = _only_one(values, PROMPT_KEYS, "prompt")
    if messages:
        prompt = messages[-1].content
    if prompt is None:
        raise BadRow("no_prompt", "a row must have a prompt, got none: add the key `problem`")
    if not isinstance(prompt, str):
        raise BadRow("bad_prompt", f"the prompt must be a string, got {shown(prompt)}: a conversation is `messages`")
    if not prompt.strip():
        raise BadRow("empty_prompt", f"the prompt must not be blank, got {shown(prompt)}: write the question")
    return prompt


def _read_messages(value: JSON) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise BadRow("bad_messages", f"`messages` must be a non-empty list, got {shown(value)}")
    messages = []
    for index, item in enumerate(value):
        if not isinstance(item, dict) or set(item) != {"role", "content"}:
            message = f"`messages[{index}]` must have exactly the keys `role` and `content`, got {shown(item)}"
            raise BadRow("bad_messages", message)
        role, content = item["role"], item["content"]
        if not isinstance(role, str) or role not in ROLES:
            wanted = f"`messages[{index}].role` must be one of {', '.join(ROLES)}"
            raise BadRow("bad_messages", f"{wanted}, got {shown(role)}")
        if not isinstance(content, str):
            raise BadRow("bad_messages", f"`messages[{index}].content` must be a string, got {shown(content)}")
        messages.append(Message(role, content))
    if messages[-1].role != "user":
        got = shown(messages[-1].role)
        raise BadRow("bad_messages", f"`messages` must end with the user's, got {got} last: cut what follows it")
    return tuple(messages)


def _read_answer(value: JSON) -> str | None:
    if isinstance(value, str) and not value.strip():
        raise BadRow("bad_answer", '`answer` must not be blank, got "": leave the key out where no answer is known')
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict):
        message = f"`answer` must be a string or a number, got {shown(value)}: write it as a string"
        raise BadRow("bad_answer", message)
    return format(Decimal(repr(value)), "f")  # the number's digits, never with an exponent


def _read_tests(value: JSON) -> JSON:
    if value is None or (isinstance(value, str | list | dict) and value):
        return value
    raise BadRow("bad_tests", f"`tests` must be a non-empty list, object or string, got {shown(value)}: leave it out")


def _read_kind(values: Mapping[str, JSON], default_kind: Kind) -> Kind:
    if "kind" not in values:
        has_choices = any(key in values for key in CHOICES_KEYS)
        has_tests = "tests" in values or "public_tests" in values
        return "choice" if has_choices else "code" if has_tests else default_kind
    for kind in KINDS:
        if values["kind"] == kind:
            return kind
    hint = nearest(str(values["kind"]), KINDS, "did you mean {}?", "leave it out to take the recipe's", most=1)
    raise BadRow("bad_kind", f"`kind` must be one of {', '.join(KINDS)}, got {shown(values['kind'])}: {hint}")
