"""The exact vote over random subsets: how fast it is, and that it is exact.

    python benchmarks/votes.py

One table of CPU seconds for one problem and one k. Then 1,000 simulated pools without abstention, of which maj@2 must
be pass@1; and 150 pools of linked answers against all their subsets, one by one.
"""

from __future__ import annotations

import itertools
import math
import time

import numpy as np

from tts.metrics.majority import vote_odds
from tts.metrics.parties import outcome
from tts.metrics.subsets import Ints

SIZES = (
    (128, 16, 20),
    (1000, 100, 50),
    (10_000, 100, 50),
    (10_000, 1000, 50),
    (10_000, 5000, 50),
    (10_000, 100, 10_000),
)


def speed() -> None:
    print("| candidates | k | answers | CPU seconds | sum of the chances - 1 |\n|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for num_candidates, k, num_answers in SIZES:
        popularity = rng.dirichlet(np.full(num_answers, 0.5))
        votes = rng.choice(num_answers, num_candidates, p=popularity)
        nodes = np.arange(num_candidates) if num_answers == num_candidates else votes
        seconds = []
        for _ in range(3):
            began = time.process_time()
            found = vote_odds(nodes, k)
            seconds.append(time.process_time() - began)
        assert found is not None
        error = float(found[0].sum()) - 1
        print(f"| {num_candidates:,} | {k:,} | {num_answers:,} | {min(seconds):.3f} | {error:.0e} |", flush=True)


def second_vote(num_pools: int) -> float:
    """Return how far maj@2 is from pass@1, at most, over pools in which nobody abstains."""
    rng, worst = np.random.default_rng(1), 0.0
    for _ in range(num_pools):
        size = int(rng.integers(2, 200))
        nodes = rng.integers(0, rng.integers(1, size + 1), size)
        right = (rng.random(size) < 0.5)[nodes]
        found = vote_odds(nodes, 2)
        assert found is not None
        worst = max(worst, abs(float(found[0] @ right) - right.mean()))
    return worst


def against_all_subsets(num_pools: int) -> float:
    """Return the largest error of any chance in pools of few candidates whose answers are linked at random."""
    rng, worst = np.random.default_rng(2), 0.0
    for _ in range(num_pools):
        num_nodes = int(rng.integers(1, 7))
        nodes = rng.integers(-1, num_nodes, rng.integers(1, 12))
        k = int(rng.integers(1, len(nodes) + 1))
        pairs = itertools.combinations(range(num_nodes), 2)
        links = frozenset(pair for pair in pairs if rng.random() < 0.3)
        found = vote_odds(nodes, k, links)
        assert found is not None
        odds, tied = _counted(nodes, k, links, num_nodes)
        worst = max(worst, float(np.abs(found[0] - odds).max()), abs(found[1] - tied))
    return worst


def _counted(nodes: Ints, k: int, links: frozenset[tuple[int, int]], num_nodes: int) -> tuple[list[float], float]:
    odds: list[list[float]] = [[] for _ in nodes]
    ties = 0
    subsets = list(itertools.combinations(range(len(nodes)), k))
    for subset in subsets:
        voting = [one for one in subset if nodes[one] >= 0]
        drawn = np.bincount(nodes[voting], minlength=num_nodes)[None]
        found = outcome(drawn.astype(np.float64), drawn, links)
        ties += int(found.num_parties[0] > 1)
        for one in voting:
            odds[one].append(float(found.shares[0, nodes[one]] / drawn[0, nodes[one]]))
    return [math.fsum(each) / len(subsets) for each in odds], ties / len(subsets)


if __name__ == "__main__":
    speed()
    print(f"\nmaj@2 and pass@1 in 1,000 pools differ by {second_vote(1000):.0e} at most")
    print(f"150 pools of linked answers against all subsets: error {against_all_subsets(150):.0e} at most")
