"""Candidates as the page carries them: one block a problem, JSON → gzip → base 85, unpacked when it is opened.

Columns instead of rows, and candidates in the order of their answers, so that what is alike stands close together: the
window of gzip is 32 kB, and 64 candidates of a problem are more.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from typing import Any

from markupsafe import Markup

from tts.report.data import ArmView, ProblemView
from tts.runs.records import as_dict, finite

COLUMNS = ("index", "group", "answer", "rule", "detail", "finish_reason", "num_tokens", "sampler", "text", "reasoning")


def packed(problem: ProblemView) -> Markup:
    """Return one problem as the content of a script that no browser runs; without `<` nothing in it can end it.

    Base 85 takes 5 characters for 4 bytes, where base 64 takes 5⅓.
    """
    record = {
        "prompt": problem.prompt,
        "reference": problem.reference,
        "arms": [arm_record(view) for view in problem.arms],
    }
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # lone surrogates, which UTF-8 has not: escaped, with all else that is not ASCII
        text = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
    return Markup(base64.b85encode(gzip.compress(text, compresslevel=9, mtime=0)).decode("ascii").replace("<", ","))


def arm_record(view: ArmView) -> dict[str, Any]:
    """Return what the page knows of one arm on one problem: a column for each thing, parallel over candidates."""
    # Each group is supported by its own candidates and those of the groups linked to it.
    sizes = Counter(one.group for one in view.candidates if one.group is not None)
    beside = {group: {group} for group in sizes}
    for one, other in view.links:
        if one in sizes and other in sizes:
            beside[one].add(other)
            beside[other].add(one)
    support = {group: sum(sizes[each] for each in linked) for group, linked in beside.items()}

    # The best supported group first, beside it what is linked to it, directly or not; no answer last.
    places: dict[int | None, int] = {}
    for first in sorted(sizes, key=lambda group: (-support[group], -sizes[group], group)):
        party = [first]
        for group in party:  # which grows
            places.setdefault(group, len(places))
            party += sorted(beside[group] - set(party) - places.keys(), key=lambda each: (-support[each], each))
    ordered = sorted(view.candidates, key=lambda one: (places.get(one.group, len(places)), one.index))
    # Each scorer's column, four digits a score; null where it could not tell.
    scores: dict[str, list[float | None]] = {name: [] for one in ordered for name in one.scores}
    for name, column in scores.items():
        known = [finite(one.scores.get(name)) for one in ordered]
        column += [None if score is None else float(f"{score:.4g}") for score in known]
    return {
        "name": view.arm,
        "selected": view.selected,
        "support": support,  # by group
        "links": [[one, other] for one, other in view.links if one in sizes and other in sizes],
        "status": view.status,
        "reason": view.reason,
        **{name: [getattr(one, name) for one in ordered] for name in COLUMNS},
        "statuses": [one.status for one in ordered],
        "reasons": [one.reason for one in ordered],
        "scores": scores,
        **({} if view.search is None else {"search": as_dict(view.search)}),
    }
