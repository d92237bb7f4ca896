"""The algorithms of treequest (Inoue et al. 2025, arXiv 2503.04412) as a sampler: an example of a plugin.

How it works. Such an algorithm is driven by ask and tell: it says which node to expand, and is told what came of it and
how good that is. A node here is an answer as far as it is written; to expand it is to write one more step and have it
rated. A path that is over is not written on: where the algorithm comes back to it, it is told the same again, which
costs no call.

A search must come out the same when it is run again, since that is how a killed run goes on. The identifiers and dates
that treequest gives its trials do not matter to it. Its chance does: it comes from numpy's global generator, which is
therefore seeded from `calls.rng` whenever the algorithm chooses, and put back as it was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Self

import numpy
from pydantic import Field, model_validator
from treequest import ABMCTSA, Algorithm, StandardMCTS, TreeOfThoughtsBFSAlgo

from tts import Calls, Problem
from tts.samplers.steps import Path, StepSearch

ALGORITHMS: dict[str, type[Algorithm[Path, Any]]] = {
    "ab_mcts_a": ABMCTSA,
    "standard_mcts": StandardMCTS,
    "tree_of_thoughts_bfs": TreeOfThoughtsBFSAlgo,
}


class TreeQuest(StepSearch):
    """Lets an algorithm of treequest say which beginnings get one more step, until enough answers are over."""

    label: ClassVar[str] = "treequest"

    algorithm: Literal["ab_mcts_a", "standard_mcts", "tree_of_thoughts_bfs"] = "ab_mcts_a"
    """What chooses."""

    arguments: dict[str, str | int | float] = Field(default_factory=dict)
    """Arguments of the algorithm, as treequest names them: `dist_type: beta`, `samples_per_action: 4`, …"""

    width: int = Field(default=4, ge=1)
    """How many steps are asked for together. Of those beyond its own samples `standard_mcts` and
    `tree_of_thoughts_bfs` learn nothing."""

    max_expansions: int = Field(default=100, ge=1)
    """How often a problem's algorithm may choose."""

    @model_validator(mode="after")
    def _algorithm_takes_arguments(self) -> Self:
        try:
            self._algorithm()
        except (TypeError, ValueError, AssertionError) as error:
            raise ValueError(f"`arguments` must be those of treequest's {self.algorithm}: {error}") from error
        return self

    def _algorithm(self) -> Algorithm[Path, Any]:
        return ALGORITHMS[self.algorithm](**self.arguments)

    @property
    def most_calls(self) -> int:
        """Return the calls of all expansions: each is a branch, drawn, and rewarded."""
        return 3 * self.max_expansions

    @property
    def most_tokens(self) -> int:
        """Return the tokens of all expansions."""
        return self.max_expansions * self.max_tokens

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Ask, write, tell."""
        del problem
        algorithm = self._algorithm()
        state, left = algorithm.init_tree(), self.max_expansions
        written, num_over = list[Path](), 0
        while left > 0 and num_over < self.num_candidates:
            with numpy_seeded_from(calls.rng):
                state, trials = algorithm.ask_batch(state, min(self.width, left), ["step"])
            left -= len(trials)
            parents = [trial.parent_state or Path() for trial in trials]
            grown = [calls.branch(self.grow, parent) for parent in parents]
            for trial, parent, pending in zip(trials, parents, grown, strict=True):
                path = await pending
                if trial.trial_id in state.trial_store.running_trials:  # else others filled its place
                    state = algorithm.tell(state, trial.trial_id, (path, max(0.0, path.value)))  # a failed step: -inf
                if parent.finish_reason is None:
                    written.append(path)
                    num_over += path.finish_reason is not None
        self.emit(calls, sorted(written, key=lambda path: (path.finish_reason is None, -path.value)))


@contextmanager
def numpy_seeded_from(rng: random.Random) -> Iterator[None]:
    """Let numpy's global chance be a function of this one; what others draw from it is not touched."""
    before = numpy.random.get_state()
    numpy.random.seed(rng.getrandbits(32))
    try:
        yield
    finally:
        numpy.random.set_state(before)
