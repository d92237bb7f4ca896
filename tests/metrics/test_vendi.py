import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.errors import UsageError
from tts.metrics.vendi import mean_similarity, vendi_score
from tts.similarity.embedding import cosine_kernel
from tts.similarity.ngrams import distinct_n, ngram_kernel, words

ORDERS = [0, 0.5, 1 - 1e-14, 1, 1 + 1e-14, 2, 7, 5000, math.inf]


@pytest.mark.parametrize("q", ORDERS)
@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_n_alike_are_one_and_n_that_share_nothing_are_n(n: int, q: float) -> None:
    assert vendi_score(np.ones((n, n)), q) == pytest.approx(1)
    assert vendi_score(np.eye(n), q) == pytest.approx(n)


@pytest.mark.parametrize(
    ("q", "score"),
    [
        # Three alike and one apart: eigenvalues of kernel / 4 are 3/4 and 1/4.
        (0, 2.0),
        (1, (4 / 3) ** 0.75 * 4**0.25),
        (2, 1 / (9 / 16 + 1 / 16)),
        (math.inf, 4 / 3),
    ],
)
def test_three_alike_and_one_apart(q: float, score: float) -> None:
    kernel = np.block([[np.ones((3, 3)), np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]])
    assert vendi_score(kernel, q) == pytest.approx(score)


def test_two_half_alike() -> None:
    # Eigenvalues of [[1, 1/2], [1/2, 1]] / 2 are 3/4 and 1/4.
    assert vendi_score(np.array([[1, 0.5], [0.5, 1]]), 2) == pytest.approx(1.6)


@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_it_lies_between_1_and_n_and_falls_with_q(n: int, dimensions: int, seed: int) -> None:
    kernel = cosine_kernel(np.random.default_rng(seed).normal(size=(n, dimensions)))
    scores = [vendi_score(kernel, q) for q in ORDERS]
    assert all(1 - 1e-6 <= score <= n + 1e-6 for score in scores)
    assert all(first >= second - 1e-6 for first, second in itertools.pairwise(scores))


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(UsageError, match=r"1 on its diagonal, got 0\.5"):
        vendi_score(np.array([[1, 0.2], [0.2, 0.5]]))
    with pytest.raises(UsageError, match="symmetric square"):
        vendi_score(np.array([[1, 0.2], [0.3, 1]]))
    with pytest.raises(UsageError, match="`q` must be at least 0, got -1"):
        vendi_score(np.eye(2), -1)
    assert math.isnan(vendi_score(np.zeros((0, 0))))


def test_cosines_and_their_mean_by_hand() -> None:
    kernel = cosine_kernel(np.array([[1.0, 0], [3, 4], [0, 0], [0, 0]]))
    assert np.allclose(kernel, [[1, 0.6, 0, 0], [0.6, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    assert mean_similarity(kernel) == pytest.approx(1.6 / 6)
    assert math.isnan(mean_similarity(np.eye(1)))


def test_words_are_runs_of_letters_and_digits_in_any_script() -> None:
    assert words("It's 3.5 Äpfel — naïve!") == ["it", "s", "3", "5", "äpfel", "naïve"]
    assert words("GPU で動く猫") == ["gpu", "で", "動", "く", "猫"]
    assert words(" …\n") == []


def test_distinct_n_by_hand() -> None:
    texts = ["a b a b", "b a"]  # words: a b a b b a; pairs: ab ba ab, ba
    assert distinct_n(texts, 1) == pytest.approx(2 / 6)
    assert distinct_n(texts, 2) == pytest.approx(2 / 4)
    assert math.isnan(distinct_n(texts, 5))
    with pytest.raises(UsageError, match="`n` must be at least 1, got 0"):
        distinct_n(texts, 0)


def test_the_ngram_kernel_by_hand() -> None:
    # Pairs: {ab: 2, ba: 1}, {ba: 1}, {bc: 1}; the short ones count as themselves.
    kernel = ngram_kernel(["a b a b", "B a.", "b c", "", "b", "B!", "..."])
    assert kernel[0, 1] == pytest.approx(1 / math.sqrt(5))
    expected = np.eye(7)
    expected[0, 1] = expected[1, 0] = 1 / math.sqrt(5)
    expected[4, 5] = expected[5, 4] = expected[3, 6] = expected[6, 3] = 1
    assert np.allclose(kernel, expected)


@given(st.lists(st.text(alphabet="ab c", max_size=12), min_size=1, max_size=6), st.integers(1, 3))
def test_the_ngram_kernel_equals_that_of_plain_counts(texts: list[str], n: int) -> None:
    def counts(text: str) -> dict:
        tokens = words(text)
        grams = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)] or [tuple(tokens)]
        return {gram: grams.count(gram) for gram in grams}

    def cosine(one: dict, other: dict) -> float:
        dot = sum(count * other.get(gram, 0) for gram, count in one.items())
        return dot / math.sqrt(sum(c * c for c in one.values()) * sum(c * c for c in other.values()))

    expected = [[cosine(counts(one), counts(other)) for other in texts] for one in texts]
    assert np.allclose(ngram_kernel(texts, n), expected)
    assert vendi_score(ngram_kernel(texts, n)) <= len(set(map(str.lower, texts))) + 1e-6
