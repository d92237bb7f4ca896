import math
from array import array
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import timedelta, timezone
from enum import IntEnum
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.sandbox.inside import frames, wire

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary()
)
KEYS = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.tuples(st.integers(), st.text())
ZONES = st.none() | st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
KNOWN = (
    st.fractions()
    | st.decimals(allow_nan=False)
    | st.binary().map(bytearray)
    | st.builds(range, st.integers(), st.integers(), st.integers(1))
    | st.dictionaries(KEYS, st.integers()).flatmap(lambda pairs: st.sampled_from([pairs.keys(), pairs.items()]))
    | st.lists(st.integers()).map(deque)
    | st.binary().map(partial(array, "b"))
    | st.dictionaries(KEYS, st.integers()).map(Counter)
    | st.dictionaries(KEYS, st.integers()).map(OrderedDict)
    | st.dates()
    | st.datetimes(timezones=ZONES)
    | st.times(timezones=ZONES)
    | st.timedeltas()
)
VALUES = st.recursive(
    SCALARS | KNOWN | st.sets(KEYS) | st.frozensets(KEYS),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)
Point = namedtuple("Point", "x y")


class Colour(IntEnum):
    RED = 1


class Liar(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__

    def __str__(self) -> str:
        return "lie"


@given(VALUES)
def test_plain_data_arrives_as_it_was(value: object) -> None:
    arrived = wire.decode(wire.encode(value))
    assert type(arrived) is type(value)
    assert arrived == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error(data: bytes) -> None:
    try:
        wire.decode(data)
    except wire.NotPlainError:
        return
    assert data


@given(VALUES, st.data())
def test_cut_short_or_with_more_behind_it_is_an_error(value: object, data: st.DataObject) -> None:
    encoded = wire.encode(value)
    with pytest.raises(wire.NotPlainError):
        wire.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(wire.NotPlainError):
        wire.decode(encoded + b"N")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, 1),
        (Point(1, 2), (1, 2)),
        (defaultdict(int, a=1), {"a": 1}),
        (Liar("text"), "text"),
        ([Liar("x"), {Colour.RED: Point(3, Colour.RED)}], ["x", {1: (3, 1)}]),
    ],
)
def test_instances_of_subclasses_become_their_base(value: object, plain: object) -> None:
    arrived = wire.decode(wire.encode(value))
    assert repr(arrived) == repr(plain)


@pytest.mark.parametrize("value", [object(), print, iter([1]), type, [iter(range(3))], {"x": object()}])
def test_what_is_no_plain_data_is_refused(value: object) -> None:
    with pytest.raises(wire.NotPlainError, match="is not plain data"):
        wire.encode(value)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_is_bounded_on_both_sides() -> None:
    assert wire.decode(wire.encode(nested(63))) == nested(63)
    with pytest.raises(wire.NotPlainError, match="deep"):
        wire.encode(nested(100_000 % 65 + 64))
    with pytest.raises(wire.NotPlainError, match="deep"):
        wire.decode(b"l\0\0\0\1" * 10_000 + b"N")


def test_keys_made_to_collide_are_refused_and_others_are_not() -> None:
    def as_set(numbers: list[int]) -> bytes:
        items = b"".join(wire.encode(number) for number in numbers)
        return b"S" + len(numbers).to_bytes(4, "big") + items

    with pytest.raises(wire.NotPlainError, match="hash"):
        wire.decode(as_set([k * (2**61 - 1) for k in range(1, 200_000)]))
    assert wire.decode(as_set(list(range(50_000)))) == set(range(50_000))


def test_numbers_too_long_for_text_arrive() -> None:
    assert wire.decode(wire.encode([10**10_000, -(10**5_000), 0, -1, 2**63])) == [
        10**10_000,
        -(10**5_000),
        0,
        -1,
        2**63,
    ]
    assert math.isnan(wire.decode(wire.encode(math.nan)))


def test_frames_come_out_whole_and_in_order_however_they_are_cut() -> None:
    payloads = [b"", b"a", b"bc" * 1000]
    stream = b"".join(map(frames.pack, payloads))
    for step in (1, 3, 5000):
        buffer, seen = bytearray(), []
        for start in range(0, len(stream), step):
            buffer += stream[start : start + step]
            while (frame := frames.unpack(buffer, 5000)) is not None:
                seen.append(frame)
        assert seen == payloads
    with pytest.raises(ValueError, match="at most 10"):
        frames.unpack(bytearray(frames.pack(b"x" * 11)), 10)
