"""The vote by similarity: who is in the middle wins, whatever the order."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts.errors import UsageError
from tts.selectors.similarity_vote import SimilarityVote
from tts.similarity.embedding import packaged_embedding_model
from tts.similarity.ngrams import ngram_kernel, ngram_similarity
from tts.types import Answer, Ballot, Candidate, FinishReason

WORDS = ["sea", "the", "blue", "is", "a"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


def ballot(*texts: str, ended: FinishReason = "stop", logprobs: tuple[float, ...] = ()) -> Ballot:
    candidates = tuple(
        Candidate("p", index, text, None, ended, 1, 1, None, logprobs[index] if logprobs else None, None, 0, "t")
        for index, text in enumerate(texts)
    )
    nodes = tuple(range(len(texts)))  # every text is an answer of its own
    return Ballot(candidates, tuple(Answer(text, "last_line") for text in texts), nodes)


def test_the_text_in_the_middle_wins() -> None:
    texts = ("the sea is blue", "the sea is blue today", "the sea was blue today", "my cat sleeps")
    for order in permutations(texts):
        selection = SimilarityVote().select(ballot(*order))
        assert selection.answer == "the sea is blue today"
        assert selection.num_tied == 1
    # Bigrams: 3, 4 and 4 of them; 3 and 1 and 2 of these are shared.
    means = [(1 + 3 / 12**0.5 + 2 / 4) / 4, (1 + 3 / 12**0.5 + 1 / 12**0.5) / 4, (1 + 2 / 4 + 1 / 12**0.5) / 4, 1 / 4]
    assert selection.weights == pytest.approx(means)


def test_copies_support_each_other_and_a_tie_goes_to_the_likeliest() -> None:
    selection = SimilarityVote().select(ballot("one two", "three four", "three four"))
    assert (selection.index, selection.num_tied) == (1, 2)
    assert selection.weights == pytest.approx((2 / 3, 2 / 3, 1 / 3))
    assert SimilarityVote().select(ballot("a b", "c d", logprobs=(-2.0, -1.0))).index == 1
    assert SimilarityVote().select(ballot("alone")).weights == (1.0,)
    assert SimilarityVote().select(ballot("cut", "off", ended="length")).index is None


@given(st.lists(TEXTS, min_size=1, max_size=6), st.randoms(use_true_random=False), st.integers(1, 3))
def test_the_order_of_the_candidates_changes_nothing(texts: list[str], rng, n: int) -> None:
    whole = ballot(*texts)
    order = list(range(len(texts)))
    rng.shuffle(order)
    shuffled = Ballot(
        *(tuple(column[one] for one in order) for column in (whole.candidates, whole.answers, whole.nodes))
    )
    assert SimilarityVote(n=n).select(shuffled) == SimilarityVote(n=n).select(whole)


@given(st.lists(TEXTS, min_size=1, max_size=6), st.integers(1, 3))
def test_two_texts_are_as_similar_as_the_kernel_says(texts: list[str], n: int) -> None:
    pairs = [[ngram_similarity(one, other, n) for other in texts] for one in texts]
    assert np.allclose(pairs, ngram_kernel(texts, n))
    assert pairs == [list(column) for column in zip(*pairs, strict=True)]


def test_embeddings_know_what_words_do_not() -> None:
    pytest.importorskip("torch", reason="needs the hf extra")
    if packaged_embedding_model() is None:
        pytest.skip("the packaged embedding model is not installed")
    texts = ("A dog runs in the park.", "Puppies are playing outdoors.", "The hound sprints over grass.", "Taxes rose.")
    with SimilarityVote(by="embeddings") as selector:
        found = {selector.select(ballot(*order)).answer for order in permutations(texts)}
        weights = {selector.select(ballot(*order)).weights for order in permutations(texts)}
    assert len(found) == len(weights) == 1
    assert found != {"Taxes rose."}
    assert SimilarityVote().select(ballot(*texts)).num_tied == 4


def test_a_model_that_is_not_installed_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts.similarity.embedding.EMBEDDING_PACKAGE", "gt_no_such_package")
    with pytest.raises(UsageError, match="--no-deps gt-no-such-package"):
        SimilarityVote(by="embeddings").check()
    SimilarityVote().check()


def test_the_length_of_n_grams_is_of_words_alone() -> None:
    with pytest.raises(ValidationError, match="`n` must be left out where `by` is `embeddings`"):
        SimilarityVote(by="embeddings", n=3)
