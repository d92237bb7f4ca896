"""Which programs behave alike, as far as the examples of the problem and inputs like them can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tts.programs.judging.records import Observation

Behaviour: TypeAlias = tuple[str | None, ...]
"""What a program gave for each input; None stands for an error that it raised."""

Observe: TypeAlias = Callable[[Sequence[str]], list[list[Observation]]]
"""Programs → what each does with every input of one set; shorter where it could not go on."""


def behaviours(programs: Sequence[str], on_examples: Observe, on_mutants: Observe) -> dict[str, Behaviour]:
    """Return the behaviour of each program that has one to compare; `programs` are distinct.

    A program that fails on an example has none, nor has one that is stopped by a limit: it is like no other. Mutants
    may be no valid inputs: one that at most half of the remaining programs take says nothing, and is left out.
    """
    # What each program gives for the examples; those that fail on one are out.
    sound: dict[str, Behaviour] = {}
    for program, seen in zip(programs, on_examples(programs), strict=True):
        if seen and all(one.outcome == "ok" for one in seen):
            sound[program] = tuple(one.output for one in seen)
    if len(sound) < 2:
        return {}
    # The mutants that more than half of them take; one that a program never came to counts as not taken.
    mutated = dict(zip(sound, on_mutants(list(sound)), strict=True))
    counts = Counter(place for seen in mutated.values() for place, one in enumerate(seen) if one.outcome == "ok")
    valid = [place for place, count in sorted(counts.items()) if 2 * count > len(mutated)]
    # What each program gives for those, too; one that is stopped by a limit, or never came to one, is out.
    found = {}
    for program, seen in mutated.items():
        more = [seen[place] for place in valid if place < len(seen)]
        if len(more) == len(valid) and all(one.outcome in ("ok", "runtime_error") for one in more):
            found[program] = (*sound[program], *(one.output if one.outcome == "ok" else None for one in more))
    return found
