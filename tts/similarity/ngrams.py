"""Word n-grams: distinct-n, and a similarity of texts that needs no model."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tts.errors import UsageError

Floats: TypeAlias = NDArray[np.float64]
Ngram: TypeAlias = tuple[str, ...]

WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)
BLOCK = 8192  # n-grams in memory at once, times the number of texts


def words(text: str) -> list[str]:
    """Return the words of a text in lower case: runs of letters and digits; a Chinese or Japanese sign is a word."""
    return WORD.findall(text.lower())


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Return distinct-n: the share of the texts' word n-grams, all taken together, that differ, in (0, 1].

    NaN where no text has n words. Source: Li et al. 2016, «A Diversity-Promoting Objective Function». Differs from
    the source: divided by the number of n-grams, not of words, so that all different is 1 for every n.
    """
    _require_positive(n)
    counts = Counter(gram for text in texts for gram in _ngrams(words(text), n))
    return len(counts) / counts.total() if counts else float("nan")


def ngram_similarity(first: str, second: str, n: int = 2) -> float:
    """Return what `ngram_kernel` says of two texts, in [0, 1]; the same to the last bit whichever comes first."""
    _require_positive(n)
    one, other = (Counter(_ngrams(words(text), n) or [tuple(words(text))]) for text in (first, second))
    if one == other:
        return 1.0
    shared = sum(count * other[gram] for gram, count in one.items())
    return shared / math.sqrt(_squares(one) * _squares(other))


def ngram_kernel(texts: Sequence[str], n: int = 2) -> Floats:
    """Return the cosine similarities of the texts' counts of word n-grams, [texts, texts], in [0, 1], 1 with itself.

    A text of fewer than n words counts as one n-gram, so that it is like its copies and like nothing else.
    """
    _require_positive(n)
    counts = [Counter(_ngrams(words(text), n) or [tuple(words(text))]) for text in texts]
    norms = [sum(count * count for count in one.values()) ** 0.5 for one in counts]
    rows = [
        (gram, index, count / norm)
        for index, (one, norm) in enumerate(zip(counts, norms, strict=True))
        for gram, count in one.items()
    ]
    shared = Counter(gram for gram, _, _ in rows)
    columns = {gram: column for column, gram in enumerate(gram for gram, num in shared.items() if num > 1)}
    kernel = _products([(columns[gram], index, value) for gram, index, value in rows if gram in columns], len(texts))
    np.fill_diagonal(kernel, 1.0)  # with the n-grams that only one text has
    return kernel


def _products(entries: list[tuple[int, int, float]], num_texts: int) -> Floats:
    """Return the products of all rows of a sparse table that is given as (column, row, value)."""
    entries = sorted(entries)
    kernel = np.zeros((num_texts, num_texts))
    columns = np.array([column for column, _, _ in entries])
    for start in range(0, int(columns.max(initial=-1)) + 1, BLOCK):
        first, last = np.searchsorted(columns, [start, start + BLOCK])
        block = np.zeros((num_texts, BLOCK))
        for column, row, value in entries[first:last]:
            block[row, column - start] = value
        kernel += block @ block.T
    return np.clip(kernel, 0.0, 1.0)


def _ngrams(tokens: list[str], n: int) -> list[Ngram]:
    return list(zip(*(tokens[start:] for start in range(n)), strict=False))


def _squares(counts: Counter[Ngram]) -> int:
    return sum(count * count for count in counts.values())


def _require_positive(n: int) -> None:
    if n < 1:
        raise UsageError(f"`n` must be at least 1, got {n}")
