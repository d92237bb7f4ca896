"""A star is told by a formula; gone through count by count it is the same."""

import numpy as np
import pytest

from tts.metrics.webs import Lottery, countable, web


@pytest.mark.parametrize(("sizes", "hub"), [([3, 5], 0), ([4, 2, 3], 1), ([1, 1, 1, 1], 3), ([6, 2, 2, 5], 0)])
def test_a_star_by_its_formula_is_the_star_by_all_its_counts(sizes: list[int], hub: int) -> None:
    points = np.exp(2j * np.pi * np.arange(7) / 13)
    lottery = Lottery(0.3, points ** np.arange(sum(sizes) + 1)[:, None])
    leaves = [node for node in range(len(sizes)) if node != hub]
    star = web(lottery, np.array(sizes), [(hub, leaf) for leaf in leaves])
    # A node of nobody, linked to a leaf, changes nothing, and makes of three nodes or more a web that is no star.
    links = [*((hub, leaf) for leaf in leaves), (leaves[0], len(sizes)), (len(sizes), len(sizes) + 1)]
    counted = web(lottery, np.array([*sizes, 0, 0]), links)
    assert type(star) is not type(counted)
    for votes in range(1, star.most + 1):
        assert np.allclose(star.below(votes), counted.below(votes), rtol=0, atol=1e-14)
        (fast, fast_parts), (slow, slow_parts) = star.exactly(votes), counted.exactly(votes)
        assert np.allclose(fast, slow, rtol=0, atol=1e-14)
        assert np.allclose(fast_parts, slow_parts[: len(sizes)], rtol=0, atol=1e-14)


def test_stars_are_countable_whatever_their_size_and_other_webs_up_to_a_number_of_ways() -> None:
    assert countable(np.array([500, 500, 500]), [(0, 1), (1, 2)], 400)
    assert countable(np.array([5, 5, 5, 5]), [(0, 1), (1, 2), (2, 3)], 4)
    assert not countable(np.array([50, 50, 50, 50]), [(0, 1), (1, 2), (2, 3)], 40)
