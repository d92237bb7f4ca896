"""What a report is about: the runs' names, the problems that they share, and the values of k they allow."""

from __future__ import annotations

from collections.abc import Sequence

from tts.errors import UsageError
from tts.runs.stored import Stored, identity


def distinct_names(runs: Sequence[Stored]) -> list[str]:
    """Return a name for each run that no other has: the recipe's, else the folder's, else a number behind it."""
    names = [run.name for run in runs]
    names = [run.path.name if names.count(name) > 1 else name for name, run in zip(names, runs, strict=True)]
    return [name if names.count(name) == 1 else f"{name}-{place + 1}" for place, name in enumerate(names)]


def choose_problems(
    names: Sequence[str], runs: Sequence[Stored], ks: Sequence[int]
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return each run's problems that the report is about, and what is left out and why.

    These are the problems that all runs have with the same question and reference; where there are none, each its own.
    """
    warnings: list[str] = []
    complete = [_complete(name, run, warnings, need_all=not ks) for name, run in zip(names, runs, strict=True)]
    if len(runs) == 1:
        return complete, warnings
    sets = [{(name, identity(run.row(name))) for name in ids} for run, ids in zip(runs, complete, strict=True)]
    common = {name for name, _ in set.intersection(*sets)}
    if not common:
        warnings.append("the runs have no problem in common, so nothing is compared: give them the same problems")
        return complete, warnings
    for name, ids in zip(names, complete, strict=True):
        if len(ids) > len(common):
            warnings.append(
                f"{name}: {len(ids) - len(common)} of {len(ids)} problems are not in every run (with the same question "
                "and reference) and are left out: give all runs the same problems"
            )
    order = tuple(name for name in complete[0] if name in common)
    return [order] * len(runs), warnings


def _complete(name: str, run: Stored, warnings: list[str], *, need_all: bool) -> tuple[str, ...]:
    """Return the problems with candidates; with `need_all` those with as many as any other."""
    ids = tuple(run.problem_ids)
    if run.waiting_ids:
        warnings.append(f"{name}: {len(run.waiting_ids)} problems have no candidates and are left out: draw them")
    most = max((run.num_candidates(one) for one in ids), default=0)
    full = tuple(one for one in ids if run.num_candidates(one) == most)
    if need_all and len(full) < len(ids):
        warnings.append(
            f"{name}: {len(ids) - len(full)} problems have fewer than {most} candidates and are left out: go on with "
            "the run, or name the values of k"
        )
        return full
    return ids


def check_ks(runs: Sequence[Stored], chosen: Sequence[Sequence[str]], ks: tuple[int, ...]) -> tuple[int, ...]:
    """Return the values of k in order, once each. Raises UsageError where a problem has fewer candidates."""
    sizes = [(run.num_candidates(name), name, run.path) for run, ids in zip(runs, chosen, strict=True) for name in ids]
    if not sizes:
        raise UsageError(f"a report must have at least one problem with candidates, got none in {runs[0].path}")
    fewest, name, path = min(sizes, key=lambda size: size[0])
    if not ks:
        return tuple(sorted({fewest, *(1 << bit for bit in range(fewest.bit_length()) if 1 << bit <= fewest)}))
    if min(ks) < 1:
        raise UsageError(f"`k` must be at least 1, got {min(ks)}")
    if max(ks) > fewest:
        short = sum(size < max(ks) for size, _, _ in sizes)
        raise UsageError(
            f"`k` must be at most {fewest}, the number of candidates of problem {name!r} in {path}, got {max(ks)} "
            f"({short} of {len(sizes)} problems have fewer). Go on with that run if it was interrupted, draw more "
            "candidates, or leave this k out"
        )
    return tuple(sorted(set(ks)))
