"""Plain data as bytes: exact built-in types, bounded in depth and size, read without running anything.

A value is a tag and what the tag needs. Values of the standard library that compare by what they hold (fractions,
decimals, dates, views of dicts, ranges, deques, …) travel as the plain parts that they are made of. What is no plain
data goes through a hook that puts a reference in its place, where there is a hook.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias

MAX_DEPTH: Final = 64
MAX_FRAME: Final = 2**25
"""The largest value that a call may return; its arguments have no limit."""

MAX_ALIKE: Final = 64
"""How many keys of one set or dict may have the same hash; more only come from someone who wants us to hang."""

Reference: TypeAlias = Callable[[object], tuple[str, int]]
"""Gives a thing that is no plain data a kind (one ASCII character) and a number."""

_MAX_BITS = 2**15
_TYPECODES = tuple("bBhHiIlLqQfd")

_LENGTH = struct.Struct(">I")
_FLOAT = struct.Struct(">d")
_COMPLEX = struct.Struct(">dd")
_SEQUENCES: dict[type, bytes] = {list: b"l", tuple: b"t", set: b"S", frozenset: b"Z", dict: b"d"}
_BASES = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)


class NotPlainError(ValueError):
    """A value, or bytes that should be one, is no plain data within the bounds."""


def encode(value: object, reference: Reference | None = None) -> bytes:
    """Return `value` as bytes. Instances of subclasses go as their built-in base, numpy's scalars as plain numbers;
    `reference` names what is none of these.
    """
    out = bytearray()
    _encode(value, out, MAX_DEPTH, reference)
    return bytes(out)


def decode(data: bytes, resolve: Callable[[str, int], object] | None = None) -> Any:
    """Return the value in `data`; `resolve` makes something of the references. Raises NotPlainError."""
    reader = _Decoder(data, resolve)
    try:
        value = reader.value(MAX_DEPTH)
    except NotPlainError:
        raise
    except (struct.error, IndexError, TypeError, ValueError, ArithmeticError) as error:
        raise NotPlainError(f"malformed data: {error}") from None
    if reader.position != len(data):
        raise NotPlainError("malformed data: bytes are left over")
    return value


def _encode(value: Any, out: bytearray, depth: int, reference: Reference | None) -> None:
    if depth < 0:
        raise NotPlainError(f"nested more than {MAX_DEPTH} deep")
    kind = type(value)
    if value is None:
        out += b"N"
    elif kind is bool:
        out += b"T" if value else b"F"
    elif kind is int:
        data = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
        out += b"i%c" % len(data) + data if len(data) < 256 else b"I" + _LENGTH.pack(len(data)) + data
    elif kind is str:
        data = value.encode("utf-8", "surrogatepass")
        out += b"s" + _LENGTH.pack(len(data)) + data
    elif kind is float:
        out += b"f" + _FLOAT.pack(value)
    elif kind in _SEQUENCES:
        out += _SEQUENCES[kind] + _LENGTH.pack(len(value))
        items: Iterable[Any] = value if kind is not dict else (part for item in value.items() for part in item)
        for item in items:
            _encode(item, out, depth - 1, reference)
    elif kind is bytes:
        out += b"b" + _LENGTH.pack(len(value)) + value
    elif kind is complex:
        out += b"c" + _COMPLEX.pack(value.real, value.imag)
    else:
        _encode_other(value, out, depth, reference)


def _encode_other(
    value: Any, out: bytearray, depth: int, reference: Callable[[object], tuple[str, int]] | None
) -> None:
    for number, (base, parts, _) in enumerate(_MADE_OF_PARTS):
        if isinstance(value, base):
            out += b"P%c" % number
            return _encode(parts(value), out, depth - 1, reference)
    for base in _BASES:
        if isinstance(value, base):
            return _encode(_as_base(value, base), out, depth, reference)
    if _is_scalar(value):
        return _encode(value.item(), out, depth - 1, reference)
    if reference is None:
        raise NotPlainError(f"{type(value).__name__} is not plain data")
    kind, number = reference(value)
    out += b"R" + kind.encode("ascii") + _LENGTH.pack(number)
    return None


def _is_scalar(value: object) -> bool:
    """Tell whether this is a single number of numpy's, which equals a plain one."""
    return isinstance(value, getattr(sys.modules.get("numpy"), "generic", ()))


def _as_base(value: Any, base: type) -> object:
    """Return an instance of `base` itself, by the means of the base and not of the subclass."""
    convert = _CONVERSIONS.get(base)
    return convert(value) if convert else base(base.__iter__(value))  # type: ignore[attr-defined]  # collections iterate


_CONVERSIONS: dict[type, Callable[[Any], object]] = {
    int: int.__index__,
    str: str.__str__,
    float: float.__float__,
    complex: lambda value: complex.__add__(value, 0j),
    bytes: lambda value: bytes.__add__(value, b""),
    dict: lambda value: dict(dict.items(value)),
}


def _clock(value: Any) -> tuple[Any, ...]:
    """Return the fields of a time of the day; of zones, plain data knows fixed offsets alone."""
    if not (value.tzinfo is None or type(value.tzinfo) is timezone):
        raise NotPlainError(f"{type(value).__name__} with a zone is not plain data")
    return value.hour, value.minute, value.second, value.microsecond, value.utcoffset(), value.fold


def _moment(kind: Callable[..., object], parts: Any) -> object:
    *fields, offset, fold = parts
    return kind(*_integers(fields), tzinfo=None if offset is None else timezone(offset), fold=fold)


def _integers(parts: Iterable[Any]) -> list[int]:
    """Return the parts, integers of a bounded size: of others a fraction could take for ever to make."""
    numbers = list(parts)
    if any(type(number) is not int or number.bit_length() > _MAX_BITS for number in numbers):
        raise NotPlainError("malformed data: no integers, or very large ones")
    return numbers


def _array(typecode: str, data: bytes) -> array[Any]:
    if typecode not in _TYPECODES:  # of characters, any bytes would be no text
        raise NotPlainError(f"array of {typecode!r} is not plain data")
    return array(typecode, _as(bytes, data))


def _as(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise NotPlainError(f"malformed data: {type(value).__name__} where {kind.__name__} was expected")
    return value


_MADE_OF_PARTS: tuple[tuple[type, Callable[[Any], object], Callable[[Any], object]], ...] = (
    (Fraction, lambda value: (value.numerator, value.denominator), lambda parts: Fraction(*_integers(parts))),
    (Decimal, Decimal.__str__, lambda text: Decimal(_as(str, text))),
    (bytearray, bytes, lambda data: bytearray(_as(bytes, data))),
    (memoryview, bytes, memoryview),
    (range, lambda value: (value.start, value.stop, value.step), lambda parts: range(*_integers(parts))),
    (type({}.keys()), dict.fromkeys, lambda pairs: _as(dict, pairs).keys()),
    (type({}.items()), dict, lambda pairs: _as(dict, pairs).items()),
    (type({}.values()), list, lambda values: dict(enumerate(values)).values()),
    (deque, lambda value: (list(value), value.maxlen), lambda parts: deque(*parts)),
    (Counter, lambda value: dict(dict.items(value)), lambda counts: Counter(_as(dict, counts))),
    (OrderedDict, lambda value: dict(OrderedDict.items(value)), lambda pairs: OrderedDict(_as(dict, pairs))),
    (array, lambda value: (value.typecode, value.tobytes()), lambda parts: _array(*parts)),
    (timedelta, lambda value: (value.days, value.seconds, value.microseconds), lambda p: timedelta(*_integers(p))),
    (datetime, lambda value: (value.year, value.month, value.day, *_clock(value)), lambda p: _moment(datetime, p)),
    (date, lambda value: (value.year, value.month, value.day), lambda parts: date(*_integers(parts))),
    (time, _clock, lambda parts: _moment(time, parts)),
)
"""A kind, what its values are made of, and how they are made again; each checks what it is given."""


class _Decoder:
    """Reads one value after the other from `data`."""

    def __init__(self, data: bytes, resolve: Callable[[str, int], object] | None) -> None:
        self.data = data
        self.position = 0
        self._resolve = resolve

    def value(self, depth: int) -> Any:
        tag = self.data[self.position]
        self.position += 1
        read = _DECODERS.get(tag)
        if read:
            return read(self)
        if tag in _COLLECTIONS:
            return self._collection(_COLLECTIONS[tag], depth - 1)
        if tag == ord("P") and depth > 0:
            _, _, make = _MADE_OF_PARTS[self._take(1)[0]]
            return make(self.value(depth - 1))
        raise NotPlainError(f"malformed data: tag {tag}")

    def _take(self, length: int) -> bytes:
        start = self.position
        taken = self.data[start : start + length]
        if len(taken) != length:
            raise NotPlainError("malformed data: cut short")
        self.position = start + length
        return taken

    def _length(self) -> int:
        (length,) = _LENGTH.unpack_from(self.data, self.position)
        self.position += 4
        return int(length)

    def short_integer(self) -> int:
        length = self.data[self.position]
        self.position += 1
        return int.from_bytes(self._take(length), "big", signed=True)

    def long_integer(self) -> int:
        return int.from_bytes(self._take(self._length()), "big", signed=True)

    def real(self) -> float:
        (number,) = _FLOAT.unpack_from(self.data, self.position)
        self.position += 8
        return float(number)

    def imaginary(self) -> complex:
        return complex(*_COMPLEX.unpack(self._take(16)))

    def text(self) -> str:
        return self._take(self._length()).decode("utf-8", "surrogatepass")

    def raw(self) -> bytes:
        return self._take(self._length())

    def reference(self) -> object:
        kind, number = chr(self._take(1)[0]), self._length()
        if self._resolve is None:
            raise NotPlainError("the value is not plain data")
        return self._resolve(kind, number)

    def _collection(self, kind: type, depth: int) -> object:
        length = self._length()
        if depth < 0:
            raise NotPlainError(f"nested more than {MAX_DEPTH} deep")
        if length > len(self.data) - self.position:
            raise NotPlainError("malformed data: cut short")
        if kind is dict:
            pairs = [(self.value(depth), self.value(depth)) for _ in range(length)]
            _refuse_collisions([key for key, _ in pairs])
            return dict(pairs)
        items = [self.value(depth) for _ in range(length)]
        if kind is set or kind is frozenset:
            _refuse_collisions(items)
        return items if kind is list else kind(items)


_COLLECTIONS: dict[int, type] = {tag[0]: kind for kind, tag in _SEQUENCES.items()}
_DECODERS: dict[int, Callable[[_Decoder], Any]] = {
    ord("N"): lambda _: None,
    ord("T"): lambda _: True,
    ord("F"): lambda _: False,
    ord("i"): _Decoder.short_integer,
    ord("I"): _Decoder.long_integer,
    ord("f"): _Decoder.real,
    ord("c"): _Decoder.imaginary,
    ord("s"): _Decoder.text,
    ord("b"): _Decoder.raw,
    ord("R"): _Decoder.reference,
}


def _refuse_collisions(keys: list[object]) -> None:
    """Raise where so many keys have one hash that a set of them would take for ever to build."""
    if len(keys) <= MAX_ALIKE:
        return
    alike = Counter(map(hash, keys)).most_common(1)
    if alike and alike[0][1] > MAX_ALIKE:
        raise NotPlainError("too many keys with one hash")
