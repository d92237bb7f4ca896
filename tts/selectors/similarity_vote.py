"""A vote for free text: the candidate that is most like all the others (minimum Bayes risk).

Kumar & Byrne 2004, «Minimum Bayes-Risk Decoding for Statistical Machine Translation»; over samples of a language model
Eikema & Aziz 2022, «Sampling-Based Approximations to Minimum Bayes Risk Decoding». The gain is a similarity of texts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from tts.components.component import Component
from tts.errors import UsageError
from tts.selectors.contenders import contenders, rerank
from tts.similarity.embedding import Embedder, install_command, packaged_embedding_model
from tts.similarity.ngrams import ngram_similarity
from tts.types import Ballot, Selection

BIGRAMS = 2
NUM_PAIRS = 1 << 15
"""Similarities that are remembered, so that a curve over subsets of candidates compares two texts once."""


class SimilarityVote(Component):
    """Hands in the candidate whose text is on average most similar to those of all that take part, itself included.

    For answers that no verifier can call equal: a story, a summary. Copies of a text support each other in full. The
    text is what follows the thinking section. Ties: the most likely candidate (see `tts.selectors.contenders`).
    """

    scorer: ClassVar[None] = None

    by: Literal["words", "embeddings"] = "words"
    """What makes texts similar: the word n-grams that they share (no model), or a packaged sentence-embedding model."""

    n: int = Field(default=BIGRAMS, ge=1)
    """How many words an n-gram has; only `words` reads it."""

    _similarity: Callable[[str, str], float] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _n_is_of_words(self) -> Self:
        if self.by != "words" and self.n != BIGRAMS:
            raise ValueError(f"`n` must be left out where `by` is `{self.by}`: it is how many words an n-gram has")
        return self

    def check(self) -> None:
        """Raise UsageError where the embedding model is wanted and not installed."""
        if self.by == "embeddings" and packaged_embedding_model() is None:
            raise UsageError(f"`by: embeddings` needs a packaged model that is not installed: {install_command()}")

    def open(self) -> None:
        """Load the embedding model, where it is wanted. Raises UsageError."""
        self.check()
        compare = partial(ngram_similarity, n=self.n) if self.by == "words" else Embedder().similarity
        self._similarity = lru_cache(maxsize=NUM_PAIRS)(compare)

    def close(self) -> None:
        """Let go of the model and of what is remembered."""
        self._similarity = None

    def select(self, ballot: Ballot) -> Selection:
        """Return the candidate most similar to all; `weights` are the mean similarities, at most 1."""
        if self._similarity is None:
            self.open()
        similarity = self._similarity
        assert similarity is not None
        entrants = contenders(ballot)
        counts = Counter(entrant.candidate.text for entrant in entrants)
        means = {
            text: math.fsum(number * similarity(*sorted((text, other))) for other, number in counts.items())
            / len(entrants)
            for text in counts
        }
        return rerank(ballot, [replace(one, weight=means[one.candidate.text]) for one in entrants])
