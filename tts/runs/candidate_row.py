"""One row of another tool's candidates: what it says of text, tokens, scores and verdict, read leniently.

A text is dear and a number is not: a value that cannot be what its key says is dropped and told, and the candidate
stays. Only a row that names no problem, or brings neither text nor answer, is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, get_args

from tts.errors import shown
from tts.problems.jsonl import BadRow, usable_id
from tts.runs.records import MOST
from tts.types import JSON, FinishReason, Given, Status, Verdict

TEXT_KEYS = ("completion", "generation", "output", "response", "solution")
"""What other tools call the text; none of it is taken for it, but an error can tell."""
SCORE_KEYS = ("score", "reward")
VERDICT_KEYS = ("correct", "is_correct", "passed")
FINISH_REASONS: Mapping[str, FinishReason] = {
    **{reason: reason for reason in get_args(FinishReason)},
    **dict.fromkeys(("eos", "eos_token", "stop_sequence", "end_turn"), "stop"),
    **dict.fromkeys(("max_tokens", "max_length"), "length"),
}
"""What servers and tools call the ways to end → what we do."""


def _number(value: JSON) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(float(value)):
        raise ValueError("a finite number")
    return float(value)


def _logarithm(value: JSON) -> float:
    if _number(value) > 1e-6:  # a rounding error
        raise ValueError("at most 0")
    return _number(value)


def _certainty(value: JSON) -> float:
    if _number(value) < 0:
        raise ValueError("at least 0")
    return _number(value)


def _whole(value: JSON) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -MOST < value < MOST:
        raise ValueError("a whole number")
    return value


def _count(value: JSON) -> int:
    if _whole(value) < 0:
        raise ValueError("a whole number from 0 on")
    return _whole(value)


def _string(value: JSON) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _finish_reason(value: JSON) -> FinishReason:
    if not isinstance(value, str) or value not in FINISH_REASONS:
        raise ValueError(f"one of {', '.join(get_args(FinishReason))}")
    return FINISH_REASONS[value]


def _logarithms(value: JSON) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of numbers that are at most 0")
    return tuple(_logarithm(one) for one in value)


def _is_right(value: JSON) -> Verdict:
    if not (isinstance(value, bool) or value in (0, 1)):
        raise ValueError("true or false")
    return Verdict("passed" if value else "failed")


def _verdict(value: JSON) -> Verdict:
    parts = value if isinstance(value, dict) else {"status": value}
    reason, detail = parts.get("reason", ""), parts.get("detail", "")
    for status in get_args(Status):
        if parts.get("status") == status and isinstance(reason, str) and isinstance(detail, str):
            return Verdict(status, reason or ("given" if status == "undecided" else ""), detail)
    raise ValueError(f"one of {', '.join(get_args(Status))}")


READERS: Mapping[str, Callable[[JSON], Any]] = {
    "index": _count,
    "text": _string,
    "reasoning": _string,
    "finish_reason": _finish_reason,
    "error": _string,
    "num_prompt_tokens": _count,
    "num_tokens": _count,
    "cumulative_logprob": _logarithm,
    "mean_logprob": _logarithm,
    "self_certainty": _certainty,
    "token_logprobs": _logarithms,
    "seed": _whole,
    "sampler": _string,
    **dict.fromkeys(SCORE_KEYS, _number),
    **dict.fromkeys(VERDICT_KEYS, _is_right),
    "verdict": _verdict,
}
TABLES = ("engine_stats", "scores")
"""Keys that hold figures by name."""
NO_FIGURE = frozenset({"problem_id", "answer", "delay_seconds"})
"""Keys with a meaning that are read apart, or that mean something to another reader of such rows."""


@dataclass(slots=True)
class CandidateRow:
    """What a row says. `found` has the fields of a candidate; of those that are missing, or null, it has none.

    `figures` are the scores, by name, and what the engine noted; `scorers` names the scores among them. `dropped` says
    for each key what its value had to be, and what it was; `unused` names the keys that mean nothing here.
    """

    problem_id: str
    found: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    scorers: list[str] = field(default_factory=list)
    given: Given = field(default_factory=Given)
    dropped: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


def read_candidate(values: Mapping[str, JSON]) -> CandidateRow:
    """Return what the row says. Raises BadRow where it is no candidate."""
    problem_id = usable_id(values.get("problem_id"))
    if problem_id is None:
        raise BadRow("bad_problem_id", f"`problem_id` must be an id, got {shown(values.get('problem_id'))}")
    row = CandidateRow(problem_id)
    verdicts: dict[str, Verdict] = {}
    for key, value in values.items():
        if key in TABLES and isinstance(value, dict):
            for name, figure in value.items():
                _note_figure(row, name, figure, key, is_score=key == "scores")
        elif key in TABLES and value is not None:
            row.dropped[key] = f"an object of numbers, got {shown(value)}"
        elif key in SCORE_KEYS:
            _note_figure(row, key, value, key, is_score=True)
        elif key in READERS and value is not None:
            try:
                read = READERS[key](value)
            except (ValueError, OverflowError) as error:
                row.dropped[key] = f"{error}, got {shown(value)}"
                continue
            (verdicts if isinstance(read, Verdict) else row.found)[key] = read
        elif key not in READERS and key not in NO_FIGURE and key not in TABLES:
            row.unused.append(key)

    # Several verdicts must be one.
    if len({verdict.status for verdict in verdicts.values()}) > 1:
        for key in verdicts:
            row.dropped[key] = f"the same verdict as {' and '.join(sorted(verdicts.keys() - {key}))}, got another"
        verdicts = {}
    answer = _ending(row, values)
    row.given = Given(answer, next(iter(verdicts.values()), None))
    return row


def _note_figure(row: CandidateRow, name: str, value: JSON, key: str, *, is_score: bool) -> None:
    if is_score and name not in row.scorers:
        row.scorers.append(name)
    if value is None:
        return
    try:
        row.figures[name] = _number(value)
    except (ValueError, OverflowError):
        row.dropped[key if key == name else f"{key}.{name}"] = f"a finite number, got {shown(value)}"


def _ending(row: CandidateRow, values: Mapping[str, JSON]) -> str | None:
    """Settle text, error and the reason to end; return the answer that stands in the place of the text."""
    found, has_text = row.found, "text" in row.found
    if "error" in found or found.get("finish_reason") == "error":
        found["finish_reason"] = "error"
        found.setdefault("error", "the row does not say why")
        found.setdefault("text", "")
        return None
    if has_text:
        if "answer" in values:
            row.unused.append("answer (beside text, in which the answer is found)")
        return None
    if "answer" not in values:
        texts = [key for key in row.unused if key in TEXT_KEYS and isinstance(values[key], str)]
        hint = f": rename `{texts[0]}`" if texts else ""
        raise BadRow(
            "bad_candidate", f"a candidate must bring `text`, or an `answer`, got neither{hint}", row.problem_id
        )
    answer = values["answer"]
    if isinstance(answer, int | float) and not isinstance(answer, bool) and math.isfinite(answer):
        answer = format(Decimal(repr(answer)), "f")  # the number's digits, never with an exponent
    if answer is not None and not isinstance(answer, str):
        message = f"`answer` must be a string, a number, or null where none was found, got {shown(answer)}"
        raise BadRow("bad_candidate", message, row.problem_id)
    found["text"] = answer or ""
    return answer if answer and answer.strip() else None
