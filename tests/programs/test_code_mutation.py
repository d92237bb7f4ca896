"""Inputs like the examples: what they keep of what they change."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.programs.mutation import mutants
from tts.sandbox.inside import wire

NUMBERS = st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=3), st.text(max_size=5))
def test_mutants_are_plain_data_of_the_same_types_and_new(calls: list[tuple[object, object]], seed: str) -> None:
    found = mutants(calls, 8, seed)  # type: ignore[type-var]  # plain data
    shapes = {tuple(map(type, call)) for call in calls}
    places = [set(column) for column in zip(*shapes, strict=True)]
    for mutant in found:
        assert wire.decode(wire.encode(mutant)) == mutant
        assert all(type(value) in allowed for value, allowed in zip(mutant, places, strict=True))
    texts = [repr(each) for each in (*calls, *found)]
    assert len(set(texts[len(calls) :])) == len(found)
    assert not set(texts[: len(calls)]) & set(texts[len(calls) :])
    assert found == mutants(calls, 8, seed)  # type: ignore[type-var]  # as above


@given(st.lists(NUMBERS, min_size=1, max_size=6), st.text(max_size=5))
def test_numbers_in_a_text_stay_numbers_of_their_kind_and_place(numbers: list[float], seed: str) -> None:
    given_text = f"{len(numbers)}\n{' '.join(map(str, numbers))}\n"
    kinds = {kind for kind in (int, float) if any(type(number) is kind for number in numbers)}
    for mutant in mutants([given_text], 8, seed):
        count, line, rest = mutant.split("\n")
        assert (count.isdigit(), len(line.split()), rest) == (True, len(numbers), "")
        assert all(float in kinds or re.fullmatch(r"-?\d+", word) for word in line.split())
        assert all(float(word) is not None for word in line.split())


@pytest.mark.parametrize(
    ("word", "shape"), [("-7", r"-\d+"), ("-0.25", r"-[025]\.[025]{2}"), ("[-1,", r"\[-1,"), ("#.#", None)]
)
def test_a_sign_stays_where_it_is(word: str, shape: str | None) -> None:
    for mutant in mutants([word], 8, "seed"):
        assert len(mutant.split()) == 1
        assert shape is None or re.fullmatch(shape, mutant), mutant
