"""What a report is about: the runs' names, the problems that they share, and the values of k they allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tts.errors import UsageError, plural
from tts.metrics.subsets import short
from tts.report.wording import NBSP
from tts.runs.stored import Stored, identity

MOST_NAMED = 20  # problems in one warning


def distinct_names(runs: Sequence[tuple[str, str]], baseline: str | None = None) -> list[str]:
    """Return a name for each run that no other has: the recipe's, else the folder's, else a number behind it.

    `runs` are the names of recipes and folders. Raises UsageError where the `baseline` is none of several.
    """
    recipes = [name for name, _ in runs]
    names = [folder if recipes.count(name) > 1 else name for name, folder in runs]
    names = [name if names.count(name) == 1 else f"{name}-{place + 1}" for place, name in enumerate(names)]
    if baseline is not None and len(names) < 2:
        raise UsageError(f"`baseline` must go with two recipes or more, got {baseline!r} beside none")
    if baseline is not None and baseline not in names:
        raise UsageError(f"`baseline` must be one of {', '.join(names)}, got {baseline!r}")
    return names


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is about: all that was asked, of every run.

    `keys` names each run's problems so that two runs have one under the same name only if question and reference are
    the same. `ks` are in order; `fewest` is the least number of candidates of a problem that is not `short`.
    """

    keys: tuple[Mapping[str, str], ...]
    ks: tuple[int, ...]
    fewest: int
    warnings: tuple[str, ...]


def scope(names: Sequence[str], runs: Sequence[Stored], ks: tuple[int, ...]) -> Scope:
    """Return what the report of these runs is about; `ks` empty: powers of two and the fewest candidates.

    No problem is left out: what was not drawn counts as undecided. Raises UsageError where there are no candidates, or
    fewer than a k that is asked for of a problem that is not `short`.
    """
    keys, fewest = _keys(runs), _fewest(runs)
    if not ks:
        chosen = {fewest.number, *(1 << bit for bit in range(fewest.number.bit_length()))}
    else:
        chosen = set(ks)
        _check(runs, chosen, fewest)
    warnings: list[str] = []
    for name, run in zip(names, runs, strict=True):
        if run.waiting_ids:
            warnings.append(
                f"{name}: {_told(run.waiting_ids, 'no candidates')}: undecided, between 0 and 100{NBSP}% at every k; "
                "draw them"
            )
        few = [one for one in run.problem_ids if run.num_candidates(one) < max(chosen)]
        if few:
            warnings.append(
                f"{name}: {_told(few, f'fewer than {max(chosen)} candidates')}: undecided at a k beyond theirs; draw "
                "more"
            )
        if (
            not ks
            and run is fewest.run
            and 2 * fewest.number < np.median([run.num_candidates(one) for one in run.problem_ids])
        ):
            warnings.append(
                f"{name}: k goes no further than {fewest.number}, the number of candidates of problem "
                f"{fewest.problem_id!r}: draw more"
            )
    for first, second in combinations(range(len(runs)), 2):
        own, other = (set(keys[place].values()) for place in (first, second))
        if own != other:
            common = len(own & other)
            shared = f"{plural(common, 'problem')} in common, on which alone they are compared"
            warnings.append(
                f"{names[first]} ({len(own)}) and {names[second]} ({len(other)}) have "
                f"{shared if common else 'no problem in common, so they are not compared'}; the same question and "
                "reference count: give both the same problems"
            )
    return Scope(keys, tuple(sorted(chosen)), fewest.number, tuple(warnings))


@dataclass(frozen=True, slots=True)
class _Fewest:
    number: int
    problem_id: str
    run: Stored


def _fewest(runs: Sequence[Stored]) -> _Fewest:
    """Return which problem sets how far k can go."""
    found: list[_Fewest] = []
    for run in runs:
        sizes = np.array([run.num_candidates(one) for one in run.asked_ids], dtype=np.int64)
        named = zip(sizes.tolist(), run.asked_ids, short(sizes), strict=True)
        setting = [(size, name) for size, name, too_few in named if not too_few]
        found += [_Fewest(*min(setting, key=lambda one: one[0]), run)] if setting else []
    if not found:
        raise UsageError(f"a report must have at least one problem with candidates, got none in {runs[0].path}")
    return min(found, key=lambda one: one.number)


def _keys(runs: Sequence[Stored]) -> tuple[dict[str, str], ...]:
    """Return each run's problems, by id, with a name that says whether two runs mean the same by it."""
    if len(runs) == 1:
        return ({name: name for name in runs[0].asked_ids},)
    known: dict[str, list[bytes]] = {}
    keys: list[dict[str, str]] = []
    for run in runs:
        keys.append({})
        for name in run.asked_ids:
            digest, seen = identity(run.row(name)), known.setdefault(name, [])
            if digest not in seen:
                seen.append(digest)
            place = seen.index(digest)
            keys[-1][name] = f"{name}\0{place}" if place else name
    return tuple(keys)


def _check(runs: Sequence[Stored], ks: Collection[int], fewest: _Fewest) -> None:
    if min(ks) < 1:
        raise UsageError(f"`k` must be at least 1, got {min(ks)}")
    if max(ks) > fewest.number:
        sizes = [run.num_candidates(name) for run in runs for name in run.asked_ids]
        num_fewer = sum(size < max(ks) for size in sizes)
        raise UsageError(
            f"`k` must be at most {fewest.number}, the number of candidates of problem {fewest.problem_id!r} in "
            f"{fewest.run.path}, got {max(ks)} ({plural(num_fewer, 'problem', of=len(sizes))} with fewer). Go on "
            "with that run if it was interrupted, draw more candidates, or leave this k out"
        )


def _told(ids: Sequence[str], what: str) -> str:
    """Return `2 problems have no candidates ('a', 'b')`, all named up to a number."""
    named = ", ".join(map(repr, ids[:MOST_NAMED])) + (", …" if len(ids) > MOST_NAMED else "")
    return f"{plural(len(ids), 'problem')} {'has' if len(ids) == 1 else 'have'} {what} ({named})"
