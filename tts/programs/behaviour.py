"""Which programs behave alike, as far as the examples of the problem and inputs like them can tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from tts.programs.judging import Observation

Behaviour: TypeAlias = tuple[str | None, ...]
"""What a program gave for each input; None stands for an error that it raised."""

Observe: TypeAlias = Callable[[Sequence[str]], list[list[Observation]]]
"""Programs → what each does with every input of one set; shorter where it could not go on."""


def behaviours(programs: Sequence[str], on_examples: Observe, on_mutants: Observe) -> dict[str, Behaviour]:
    """Return the behaviour of each program that has one to compare; `programs` are distinct.

    A program that fails on an example has none, nor has one that is stopped by a limit: it is like no other. Mutants
    may be no valid inputs: one that at most half of the remaining programs take says nothing, and is left out.
    """
    shown = {program: _outputs(seen) for program, seen in zip(programs, on_examples(programs), strict=True)}
    sound = [program for program in programs if shown[program]]
    mutated = dict(zip(sound, on_mutants(sound), strict=True)) if len(sound) > 1 else {}
    valid = _valid(list(mutated.values()))
    found = {program: _reactions([mutated[program][place : place + 1] for place in valid]) for program in mutated}
    return {program: (*shown[program], *more) for program, more in found.items() if more is not None}


def _outputs(seen: Sequence[Observation]) -> Behaviour:
    """Return what a program gave for each example, () where it failed on one."""
    return tuple(one.output for one in seen) if all(one.outcome == "ok" for one in seen) else ()


def _valid(seen: Sequence[Sequence[Observation]]) -> list[int]:
    """Return the places of the mutants that more than half of the programs take."""
    counts = [sum(one.outcome == "ok" for one in column) for column in _columns(seen)]
    return [place for place, count in enumerate(counts) if 2 * count > len(seen)]


def _columns(seen: Sequence[Sequence[Observation]]) -> list[list[Observation]]:
    size = max(map(len, seen), default=0)
    return [[row[place] for row in seen if place < len(row)] for place in range(size)]


def _reactions(seen: Sequence[Sequence[Observation]]) -> Behaviour | None:
    """Return what a program did with each mutant (a list of one, or of none where it never came to it)."""
    outcomes = [one[0].outcome if one else "harness_error" for one in seen]
    if not set(outcomes) <= {"ok", "runtime_error"}:
        return None
    return tuple(one[0].output if one[0].outcome == "ok" else None for one in seen)
