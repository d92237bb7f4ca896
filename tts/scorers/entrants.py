"""The answers that a comparison is between: each sends its likeliest candidate, so its cost goes with the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tts.types import Candidate


@dataclass(slots=True)
class Entrant:
    """An answer: its members' places among the candidates, who stands for it, and how many candidates support it."""

    members: list[int]
    candidate: Candidate
    votes: int
    points: list[float] = field(default_factory=list)


def entrants_of(
    candidates: Sequence[Candidate], nodes: Sequence[int | None], links: frozenset[tuple[int, int]]
) -> list[Entrant]:
    """Return the answers, those with most votes first, then the likeliest; linked answers support each other."""
    members: dict[int, list[int]] = {}
    for position, node in enumerate(nodes):
        if node is not None:
            members.setdefault(node, []).append(position)
    votes = {node: len(places) for node, places in members.items()}
    for left, right in links:
        if left in members and right in members:
            votes[left] += len(members[right])
            votes[right] += len(members[left])

    def likeliest(position: int) -> tuple[bool, float, str, int]:
        one = candidates[position]
        return (one.mean_logprob is None, -(one.mean_logprob or 0.0), one.text, one.index)

    found = []
    for node, places in members.items():
        best = min(places, key=likeliest)
        found.append((-votes[node], likeliest(best), Entrant(places, candidates[best], votes[node])))
    return [entrant for _, _, entrant in sorted(found, key=lambda one: one[:2])]
