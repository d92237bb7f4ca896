"""What a report is about: the arms that its runs make, the problems that they share, and the values of k they allow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from tts.errors import UsageError, plural
from tts.metrics.subsets import short
from tts.report.wording import NBSP
from tts.runs.stored import Stored, identity

MOST_NAMED = 20  # problems in one warning


@dataclass(frozen=True, slots=True)
class ArmRuns:
    """The runs of one arm: one, or of candidates that influence each other one for each k, by rising k."""

    name: str
    runs: tuple[Stored, ...]

    @property
    def whole(self) -> bool:
        """Whether candidates influence each other, so that a point is a whole run and no subset of one."""
        return self.runs[0].recipe.sampler.interacting

    @property
    def ks(self) -> tuple[int, ...]:
        """The numbers of candidates that its runs were made for."""
        return tuple(run.recipe.sampler.num_candidates for run in self.runs)

    @property
    def views(self) -> tuple[str, ...]:
        """What to call each run."""
        several = len(self.runs) > 1
        return tuple(f"{self.name}, k = {k}" if several else self.name for k in self.ks)


def arms_of(runs: Sequence[Stored], baseline: str | None = None) -> list[ArmRuns]:
    """Return the arms that these runs make. Raises UsageError as `distinct_names` does."""
    found: dict[tuple[Path, str], list[Stored]] = {}
    for place, run in enumerate(runs):
        found.setdefault((run.path.parent, run.line) if run.line else (run.path, str(place)), []).append(run)
    grouped = [sorted(each, key=lambda run: run.recipe.sampler.num_candidates) for each in found.values()]
    names = distinct_names([(each[0].name, each[0].line or each[0].path.name) for each in grouped], baseline)
    return [ArmRuns(name, tuple(each)) for name, each in zip(names, grouped, strict=True)]


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

    `arms` have the runs that are looked at. `keys` names, by arm and run, its problems so that two runs have one under
    the same name only if question and reference are the same. `ks` are those of all lines, in order; lines of
    candidates that know nothing of each other are at `pool_ks`, up to `most`. `headline_k` is the largest of these of
    which each problem has two subsets that share no candidate, if there is such a one at which all others were run,
    too; where all are runs that were made for their k, it is the largest.
    """

    arms: tuple[ArmRuns, ...]
    keys: tuple[tuple[Mapping[str, str], ...], ...]
    ks: tuple[int, ...]
    pool_ks: tuple[int, ...]
    most: int
    headline_k: int
    warnings: tuple[str, ...]


def scope(given: Sequence[ArmRuns], asked: tuple[int, ...]) -> Scope:
    """Return what the report of these runs is about; `asked` empty: powers of two and the fewest candidates.

    No problem is left out: what was not drawn counts as undecided. Raises UsageError where there are no candidates, or
    fewer than a k that is asked for of a problem that is not `short`, or no run of any k that is asked for.
    """
    warnings: list[str] = []
    for arm in [arm for arm in given if arm.whole and asked]:
        if not set(asked) & set(arm.ks):
            raise UsageError(
                f"`k` must be one that {arm.name} was run with, {' or '.join(map(str, arm.ks))}, got "
                f"{', '.join(map(str, asked))}: its candidates influence each other, so a part of them says nothing"
            )
        lacking = [str(k) for k in asked if k not in arm.ks]
        if lacking:
            warnings.append(f"{arm.name}: its line has no point at k = {', '.join(lacking)}, of which there is no run")
    arms = [
        replace(arm, runs=tuple(run for run, k in zip(arm.runs, arm.ks, strict=True) if not asked or k in asked))
        if arm.whole
        else arm
        for arm in given
    ]
    pools = [(arm.name, run) for arm in arms if not arm.whole for run in arm.runs]
    keys, fewest = _keys(arms), _fewest([run for _, run in pools])
    if fewest is None and (pools or not any(run.problem_ids for arm in arms for run in arm.runs)):
        raise UsageError(f"a report must have at least one problem with candidates, got none in {arms[0].runs[0].path}")

    # Runs that were made for their k: whether they are over.
    made = {k for arm in arms if arm.whole for k in arm.ks}
    for arm in [arm for arm in arms if arm.whole]:
        for view, run in zip(arm.views, arm.runs, strict=True):
            open_ones = [one for one in run.asked_ids if not run.num_candidates(one) or not run.is_complete(one)]
            if open_ones:
                warnings.append(
                    f"{view}: {_told(open_ones, 'not all candidates')}: undecided, between 0 and 100{NBSP}%; go on "
                    "with the run"
                )

    # Candidates that know nothing of each other: how far k can go.
    pool_ks: tuple[int, ...] = ()
    if fewest is None:
        shown = sorted(made)
    else:
        if asked:
            _check([run for _, run in pools], asked, fewest)
        powers = {1 << bit for bit in range(fewest.number.bit_length())}
        chosen = set(asked) or {fewest.number, *powers, *(k for k in made if k <= fewest.number)}
        pool_ks = tuple(sorted(chosen))
        shown = sorted(chosen | made)
        warnings += _on_pools(pools, pool_ks, fewest, asked=bool(asked))
    headline_k = max(shown)
    if fewest is not None:
        apart = [k for k in pool_ks if 2 * k <= fewest.number] or [min(pool_ks)]
        headline_k = max([k for k in apart if all(k in arm.ks for arm in arms if arm.whole)] or apart)
    warnings += _on_problems(arms, keys)
    return Scope(tuple(arms), keys, tuple(shown), pool_ks, fewest.number if fewest else 0, headline_k, tuple(warnings))


def _on_pools(pools: Sequence[tuple[str, Stored]], ks: Sequence[int], fewest: _Fewest, *, asked: bool) -> Iterator[str]:
    """Yield which problems have no candidates, or too few."""
    for name, run in pools:
        if run.waiting_ids:
            yield (
                f"{name}: {_told(run.waiting_ids, 'no candidates')}: undecided, between 0 and 100{NBSP}% at every k; "
                "draw them"
            )
        few = [one for one in run.problem_ids if run.num_candidates(one) < max(ks)]
        if few:
            yield f"{name}: {_told(few, f'fewer than {max(ks)} candidates')}: undecided at a k beyond theirs; draw more"
        typical = np.median([run.num_candidates(one) for one in run.problem_ids]) if run is fewest.run else 0
        if not asked and 2 * fewest.number < typical:
            yield (
                f"{name}: k goes no further than {fewest.number}, the number of candidates of problem "
                f"{fewest.problem_id!r}: draw more"
            )


def _on_problems(arms: Sequence[ArmRuns], keys: Sequence[Sequence[Mapping[str, str]]]) -> Iterator[str]:
    """Yield which arms do not have the same problems."""
    of_arms = [
        (arm.name, {key for of_run in of_arm for key in of_run.values()})
        for arm, of_arm in zip(arms, keys, strict=True)
    ]
    for (first, own), (second, other) in combinations(of_arms, 2):
        if own != other:
            common = len(own & other)
            shared = f"{plural(common, 'problem')} in common, on which alone they are compared"
            yield (
                f"{first} ({len(own)}) and {second} ({len(other)}) have "
                f"{shared if common else 'no problem in common, so they are not compared'}; the same question and "
                "reference count: give both the same problems"
            )


@dataclass(frozen=True, slots=True)
class _Fewest:
    number: int
    problem_id: str
    run: Stored


def _fewest(runs: Sequence[Stored]) -> _Fewest | None:
    """Return which problem sets how far k can go; None where there is no candidate."""
    found: list[_Fewest] = []
    for run in runs:
        sizes = np.array([run.num_candidates(one) for one in run.asked_ids], dtype=np.int64)
        named = zip(sizes.tolist(), run.asked_ids, short(sizes), strict=True)
        setting = [(size, name) for size, name, too_few in named if not too_few]
        found += [_Fewest(*min(setting, key=lambda one: one[0]), run)] if setting else []
    return min(found, key=lambda one: one.number, default=None)


def _keys(arms: Sequence[ArmRuns]) -> tuple[tuple[dict[str, str], ...], ...]:
    """Return each run's problems, by id, with a name that says whether two runs mean the same by it."""
    if len(arms) == len(arms[0].runs) == 1:
        return (({name: name for name in arms[0].runs[0].asked_ids},),)
    known: dict[str, list[bytes]] = {}

    def keys(run: Stored) -> dict[str, str]:
        found = {}
        for name in run.asked_ids:
            digest, seen = identity(run.row(name)), known.setdefault(name, [])
            if digest not in seen:
                seen.append(digest)
            place = seen.index(digest)
            found[name] = f"{name}\0{place}" if place else name
        return found

    return tuple(tuple(keys(run) for run in arm.runs) for arm in arms)


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
