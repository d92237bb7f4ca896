import math
import random
from dataclasses import replace

import numpy as np
import pytest
from pool_parts import labelled, random_case

from tts.errors import ScorerError, UsageError
from tts.metrics.bootstrap import estimates
from tts.metrics.curves import curves
from tts.metrics.distinct import expected_distinct_answers
from tts.metrics.pool import ABSTAINS, Pool, joined, picked, pool


def test_problems_of_different_sizes_are_padded_with_what_counts_for_nothing() -> None:
    one = pool([labelled("a", "+?-", reward=[0.5, None, 1.0]), labelled("b", "-", reward=[0.25])])
    assert one.sizes.tolist() == [3, 1]
    assert one.passed.tolist() == [[True, False, False], [False] * 3]
    assert one.open.tolist() == [[False, True, False], [False] * 3]
    assert one.classes.tolist() == [[0, 1, 2], [0, ABSTAINS, ABSTAINS]]
    assert one.num_tokens.tolist() == [[5, 5, 5], [5, 0, 0]]
    assert [[None if math.isnan(x) else x for x in row] for row in one.scores["reward"].tolist()] == [
        [0.5, None, 1.0],
        [0.25, None, None],
    ]


@pytest.mark.parametrize("seed", range(10))
def test_pools_of_a_width_are_joined_to_the_pool_of_all_and_picked_from_it(seed: int) -> None:
    rng = random.Random(seed)
    rows = [random_case(rng, f"p{number}", rng.randint(1, 6)).row() for number in range(7)]
    cut, width = rng.randrange(8), max(len(row.statuses) for row in rows)
    whole = pool(rows)
    parts = [pool(part, width=width) for part in (rows[:cut], rows[cut:]) if part]
    assert same(joined(parts), whole)
    places = sorted(rng.sample(range(7), 3))
    assert same(picked(whole, places), pool([rows[one] for one in places], width=width))


def same(one: Pool, other: Pool) -> bool:
    """Whether two pools hold the same; problems without scores have no scorers."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in Pool.__slots__ if name != "scores"]
    pairs += [(one.scores[name], other.scores[name]) for name in one.scores.keys() & other.scores.keys()]
    return all(
        np.array_equal(left, right, equal_nan=left.dtype.kind == "f") if isinstance(left, np.ndarray) else left == right
        for left, right in pairs
    )


def test_without_problems_every_curve_is_empty_and_nothing_is_known() -> None:
    none = pool([])
    assert expected_distinct_answers(none, [1]).shape == (1, 0)
    for curve in curves(none, [1, 4]):
        value = estimates(curve.lower, curve.upper)[0]
        assert (math.isnan(value.lower), value.interval_low, value.interval_high) == (True, 0.0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem_id": "b"}, "every problem must come once, got 'b' twice"),
        ({"num_tokens": [5]}, "must have one class, token count and score a candidate"),
        ({"classes": [0, 2]}, r"problem 'a' must have classes from 0 to 1, got \[0, 2\]"),
        ({"scores": {"reward": [1.0, 1.0]}}, r"the same scorers, got \['reward'\] for 'a' and \[\] for 'b'"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pool([labelled("b", "+-"), replace(labelled("a", "+-"), **change)])


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ScorerError, match="every score of reward must be finite"):
        pool([labelled("a", "+", reward=[1.0]), labelled("b", "+", reward=[math.inf])])
