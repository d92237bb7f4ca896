"""Candidates as the page carries them: one block a problem, JSON → gzip → base 85, unpacked when it is opened.

Columns instead of rows, and candidates in the order of their answers, so that what is alike stands close together: the
window of gzip is 32 kB, and 64 candidates of a problem are more.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

from tts.report.data import ArmView, CandidateView, ProblemView
from tts.report.page.html import Html, tag
from tts.runs.records import finite

COLUMNS = ("index", "group", "answer", "rule", "detail", "finish_reason", "num_tokens", "sampler", "text", "reasoning")


def block(number: int, problem: ProblemView) -> Html:
    """Return the block of one problem, which no browser runs; without `<` nothing in it can end it.

    Base 85 takes 5 characters for 4 bytes, where base 64 takes 5⅓.
    """
    packed = gzip.compress(_json(_problem(problem)), compresslevel=9, mtime=0)
    data = base64.b85encode(packed).decode("ascii").replace("<", ",")
    return tag("script", Html(data), type="application/json+gzip", id=f"data-{number}")


def _json(value: Any) -> bytes:
    """Return compact JSON; lone surrogates, which UTF-8 has not, are escaped with all else that is not ASCII."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _problem(problem: ProblemView) -> dict[str, Any]:
    return {
        "prompt": problem.prompt,
        "reference": problem.reference,
        "arms": [_arm(view) for view in problem.arms],
    }


def _arm(view: ArmView) -> dict[str, Any]:
    sizes: dict[int | None, int] = {}
    for candidate in view.candidates:
        sizes[candidate.group] = sizes.get(candidate.group, 0) + 1
    ordered = sorted(view.candidates, key=lambda one: (one.group is None, -sizes[one.group], one.group or 0, one.index))
    columns = {name: [getattr(one, name) for one in ordered] for name in COLUMNS}
    return {
        "name": view.arm,
        "selected": view.selected,
        "status": view.status,
        "reason": view.reason,
        **columns,
        "statuses": [one.status for one in ordered],
        "reasons": [one.reason for one in ordered],
        "scores": _scores(ordered),
    }


def _scores(candidates: Sequence[CandidateView]) -> dict[str, list[float | None]]:
    """Return each scorer's column, four digits a score; null where it could not tell."""
    names = dict.fromkeys(name for one in candidates for name in one.scores)
    return {name: [_short(one.scores.get(name)) for one in candidates] for name in names}


def _short(score: float | None) -> float | None:
    known = finite(score)
    return None if known is None else float(f"{known:.4g}")
