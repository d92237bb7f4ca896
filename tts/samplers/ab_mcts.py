"""AB-MCTS-A (Inoue et al. 2025, arXiv 2503.04412): Thompson sampling of wider or deeper, with Beta posteriors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from tts.protocols import Calls
from tts.samplers.steps import Path, StepSearch
from tts.types import Problem

PRIOR = 0.5
"""Both parameters of the Beta prior over rewards in [0, 1]."""


@dataclass(eq=False, slots=True)
class Node:
    """A path in the tree. `new` are the rewards of children drawn here, `below` all rewards seen here and below."""

    path: Path
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    below: list[float] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Add a child, and its reward to it and to all that stand above it."""
        self.children.append(Node(path, self))
        self.new += path.learned
        node: Node | None = self.children[-1]
        while node is not None:
            node.below += path.learned
            node = node.parent


class ABMCTS(StepSearch):
    """Decides at each node by chance whether a new child or an old one looks better, and grows the tree there.

    Its budget is its expansions: where only first steps look good, no answer may ever be over.
    """

    label: ClassVar[str] = "ab_mcts"
    of_odds: ClassVar[bool] = True

    width: int = Field(default=4, ge=1)
    """How many steps are asked for together; the source advises few."""

    max_expansions: int = Field(default=400, ge=1)
    """How many steps may be drawn for a problem."""

    @property
    def most_calls(self) -> int:
        """Return the calls of all expansions."""
        return 3 * (self.max_expansions + self.width)

    @property
    def most_tokens(self) -> int:
        """Return the tokens of all expansions."""
        return self.max_expansions * self.max_tokens

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Expand until enough answers are over, or the budget is used up."""
        del problem
        root, made = Node(Path()), list[Path]()
        while (
            len(made) < self.max_expansions
            and sum(path.finish_reason is not None for path in made) < self.num_candidates
        ):
            chosen = [self._choose(calls, root) for _ in range(min(self.width, self.max_expansions - len(made)))]
            grown = [calls.branch(self.grow, node.path) for node in chosen]
            for node, pending in zip(chosen, grown, strict=True):
                made.append(await pending)
                node.add(made[-1])
        self.emit(calls, sorted(made, key=lambda path: (path.finish_reason is None, -path.value)))

    def _choose(self, calls: Calls, node: Node) -> Node:
        """Go down as long as an old child looks better than a new one would."""
        while going_on := [child for child in node.children if child.path.finish_reason is None]:
            drawn = [self._drawn(calls, child.below) for child in going_on]
            if self._drawn(calls, node.new) >= max(drawn):
                break
            node = going_on[drawn.index(max(drawn))]
        return node

    @staticmethod
    def _drawn(calls: Calls, rewards: Sequence[float]) -> float:
        return calls.rng.betavariate(*posterior(rewards))


def posterior(rewards: Sequence[float]) -> tuple[float, float]:
    """Return both parameters of the Beta posterior after these rewards."""
    return PRIOR + sum(rewards), PRIOR + len(rewards) - sum(rewards)
