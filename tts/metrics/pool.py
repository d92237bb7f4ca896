"""A pool: what is known of every candidate of every problem, as arrays. All curves are read off one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.errors import ScorerError, UsageError
from tts.metrics.subsets import Bools, Floats, Ints
from tts.selectors.contenders import contenders
from tts.types import ABANDONED, TRUNCATED, Ballot, Candidate, Judged, Score, Status

ABSTAINS = -1
"""The class of a candidate that no selector can hand in: unfinished, or without an answer."""

CODES: Mapping[Status, int] = {"failed": 0, "passed": 1, "undecided": 2}


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One problem's candidates, as parallel sequences.

    `classes` are the nodes of the answers; None abstains. `links` are those of the answers' `Grouping`. `scores` holds
    one sequence per scorer; None: the scorer could not tell. `cut` says whom the length limit cut; empty: nobody. An
    abandoned candidate is a failed one.
    """

    problem_id: str
    statuses: Sequence[Status]
    classes: Sequence[int | None]
    num_tokens: Sequence[int]
    num_prompt_tokens: Sequence[int]
    scores: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    links: frozenset[tuple[int, int]] = frozenset()
    cut: Sequence[bool] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """The candidates of all graded problems. Arrays are [num_problems, widest]; past `sizes` they hold padding.

    Of `passed`, `open` (undecided) and `cut` (by the length limit: wrong within its budget, and without a vote) at most
    one is true; a problem may have no candidates. `classes` is ABSTAINS or 0, 1, …; `scores` has NaN where there
    is none; `links` holds each problem's. Padding: none of the three, abstains, no tokens.
    """

    problem_ids: tuple[str, ...]
    sizes: Ints
    passed: Bools
    open: Bools
    cut: Bools
    classes: NDArray[np.int32]
    num_tokens: Ints
    num_prompt_tokens: Ints
    scores: Mapping[str, Floats]
    links: tuple[frozenset[tuple[int, int]], ...]

    @property
    def num_problems(self) -> int:
        """How many problems there are."""
        return len(self.problem_ids)


def pool_row(
    problem_id: str, candidates: Sequence[Candidate], judged: Judged, scores: Mapping[str, Sequence[Score]]
) -> PoolRow:
    """Return the row of one problem; `scores` holds, by the scorer's name, one score per candidate."""
    ballot = Ballot(tuple(candidates), judged.answers, judged.nodes)
    runs = {contender.position for contender in contenders(ballot)}
    return PoolRow(
        problem_id=problem_id,
        statuses=["failed" if verdict.reason == ABANDONED else verdict.status for verdict in judged.verdicts],
        classes=[node if position in runs else None for position, node in enumerate(judged.nodes)],
        num_tokens=[candidate.num_tokens or 0 for candidate in candidates],
        num_prompt_tokens=[candidate.num_prompt_tokens for candidate in candidates],
        scores={name: [score.value for score in values] for name, values in scores.items()},
        links=judged.links,
        cut=[verdict.reason == TRUNCATED for verdict in judged.verdicts],
    )


def pool(rows: Iterable[PoolRow], *, width: int = 0) -> Pool:
    """Return the pool of `rows`, in their order. Leave problems without a reference out: they have no verdicts.

    `width` is the least that the arrays have, so that pools can be joined.

    Raises UsageError for a problem that comes twice, or rows whose scorers differ.
    """
    rows = list(rows)
    _check(rows)
    sizes = np.array([len(row.statuses) for row in rows], dtype=np.int64)
    shape = (len(rows), int(sizes.max(initial=width)))
    status = _padded([[CODES[one] for one in row.statuses] for row in rows], shape, CODES["failed"])
    cut = _padded([row.cut or [0] * len(row.statuses) for row in rows], shape, 0) > 0
    classes = [[ABSTAINS if one is None else one for one in row.classes] for row in rows]
    return Pool(
        problem_ids=tuple(row.problem_id for row in rows),
        sizes=sizes,
        passed=status == CODES["passed"],
        open=(status == CODES["undecided"]) & ~cut,
        cut=cut,
        classes=_padded(classes, shape, ABSTAINS).astype(np.int32),
        num_tokens=_padded([row.num_tokens for row in rows], shape, 0),
        num_prompt_tokens=_padded([row.num_prompt_tokens for row in rows], shape, 0),
        scores={name: _scores(name, rows, shape) for name in (rows[0].scores if rows else ())},
        links=tuple(row.links for row in rows),
    )


def joined(pools: Sequence[Pool]) -> Pool:
    """Return one pool of the problems of several, of the same width and scorers, in their order."""
    return _each_field(pools, np.concatenate, lambda tuples: tuple(chain(*tuples)))


def picked(whole: Pool, places: Sequence[int]) -> Pool:
    """Return the pool of the problems at some places; itself, which nobody changes, where these are all of them."""
    if len(places) == whole.num_problems and list(places) == list(range(whole.num_problems)):
        return whole
    return _each_field([whole], lambda each: each[0][list(places)], lambda each: tuple(each[0][one] for one in places))


def class_sizes(classes: NDArray[np.integer]) -> Ints:
    """Return how many of its problem are in each candidate's class, [problems, candidates]; 0 where it abstains."""
    order = np.argsort(classes, axis=1, kind="stable")
    run = np.cumsum(np.diff(np.take_along_axis(classes, order, axis=1), prepend=ABSTAINS - 1) != 0) - 1
    found = np.empty(classes.shape, dtype=np.int64)
    np.put_along_axis(found, order, np.bincount(run)[run].reshape(classes.shape), axis=1)
    return np.where(classes < 0, 0, found)


def _each_field(
    pools: Sequence[Pool], of_arrays: Callable[[list[Any]], Any], of_tuples: Callable[[list[Any]], Any]
) -> Pool:
    """Return a pool made of the same field of all pools, field by field."""
    made: dict[str, Any] = {}
    for name in Pool.__slots__:
        parts = [getattr(one, name) for one in pools]
        if isinstance(parts[0], Mapping):
            made[name] = {key: of_arrays([part[key] for part in parts]) for key in parts[0]}
        else:
            made[name] = (of_tuples if isinstance(parts[0], tuple) else of_arrays)(parts)
    return Pool(**made)


def _padded(rows: Sequence[Sequence[int]], shape: tuple[int, int], padding: int) -> Ints:
    table = np.full(shape, padding, dtype=np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table


def _scores(name: str, rows: Sequence[PoolRow], shape: tuple[int, int]) -> Floats:
    table = np.full(shape, np.nan)
    for line, row in zip(table, rows, strict=True):
        if not all(one is None or math.isfinite(one) for one in row.scores[name]):
            raise ScorerError(f"every score of {name} must be finite, got {row.scores[name]} for {row.problem_id!r}")
        line[: len(row.scores[name])] = [np.nan if one is None else one for one in row.scores[name]]
    return table


def _check(rows: Sequence[PoolRow]) -> None:
    seen: set[str] = set()
    for row in rows:
        size = len(row.statuses)
        parallel = [row.classes, row.num_tokens, row.num_prompt_tokens, *row.scores.values(), row.cut or row.statuses]
        if not all(one is None or 0 <= one < size for one in row.classes):
            raise UsageError(f"problem {row.problem_id!r} must have classes from 0 to {size - 1}, got {row.classes}")
        if not all(0 <= left < right < size for left, right in row.links):
            raise UsageError(
                f"problem {row.problem_id!r} must have links (u, v), u < v, of classes from 0 to {size - 1}, "
                f"got {sorted(row.links)}"
            )
        if any(len(column) != size for column in parallel):
            raise UsageError(f"problem {row.problem_id!r} must have one class, token count and score a candidate")
        if row.problem_id in seen:
            raise UsageError(f"every problem must come once, got {row.problem_id!r} twice")
        if row.scores.keys() != rows[0].scores.keys():
            raise UsageError(
                f"every problem must have the same scorers, got {sorted(row.scores)} for {row.problem_id!r} "
                f"and {sorted(rows[0].scores)} for {rows[0].problem_id!r}"
            )
        seen.add(row.problem_id)
