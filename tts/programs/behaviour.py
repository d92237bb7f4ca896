"""Which programs behave alike, as far as the examples of the problem and inputs like them can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from tts.programs.judging.records import Observation
from tts.sandbox import Value

Behaviour: TypeAlias = tuple[Observation, ...]
"""What a program gave for each input; all errors that it raised are one."""

Observe: TypeAlias = Callable[[Sequence[str]], list[list[Observation]]]
"""Programs → what each does with every input of one set; shorter where it could not go on."""

_RAISED = Observation("runtime_error")


def behaviours(programs: Sequence[str], on_examples: Observe, on_mutants: Observe) -> dict[str, Behaviour]:
    """Return the behaviour of each program that has one to compare; `programs` are distinct.

    A program that fails on an example has none, nor has one that is stopped by a limit: it is like no other. Mutants
    may be no valid inputs: one that at most half of the remaining programs take says nothing, and is left out.
    """
    # What each program gives for the examples; those that fail on one are out.
    sound: dict[str, Behaviour] = {}
    for program, seen in zip(programs, on_examples(programs), strict=True):
        if seen and all(one.outcome == "ok" for one in seen):
            sound[program] = tuple(seen)
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
        if len(more) == len(valid) and all(one.outcome in ("ok", "runtime_error", "wrong_answer") for one in more):
            found[program] = (*sound[program], *(one if one.outcome == "ok" else _RAISED for one in more))
    return found


def classes(behaviours: Mapping[str, Behaviour], same: Callable[[Value, Value], bool]) -> dict[str, str]:
    """Return for each program the first, by its text, of those that behave alike.

    Two do where all that they gave is the same; with a tolerance that is no equivalence, and a class is then what such
    pairs hold together.
    """

    def alike(one: str, other: str) -> bool:
        pairs = zip(behaviours[one], behaviours[other], strict=True)
        return all(
            a.outcome == b.outcome and (a.outcome != "ok" or same(a.value, b.value) or same(b.value, a.value))
            for a, b in pairs
        )

    # Most are equal to the last byte; only one of those is compared.
    first: dict[str, str] = {}
    twins = {}
    for program in sorted(behaviours):
        try:
            twins[program] = first.setdefault(repr(behaviours[program]), program)
        except ValueError:  # Python spells no integer of so many digits: it is compared
            twins[program] = first.setdefault(program, program)
    found: list[list[str]] = []
    for program in first.values():
        joined = [members for members in found if any(alike(program, member) for member in members)]
        rest = [members for members in found if members not in joined]
        found = [*rest, [program, *(member for members in joined for member in members)]]
    heads = {member: min(members) for members in found for member in members}
    return {program: heads[twin] for program, twin in twins.items()}
