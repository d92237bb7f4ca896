"""When two outputs, or two returned values, are the same. Nothing of what is compared is parsed, but plain numbers."""

from __future__ import annotations

import math
import re

from tts.sandbox import Value

_NUMBER = re.compile(rb"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?")


def same_output(got: bytes, expected: bytes, tolerance: float | None = None) -> bool:
    """Tell whether the stripped lines are the same, else the tokens, else (with a tolerance) the numbers in them."""
    if _lines(got) == _lines(expected):
        return True
    tokens, wanted = got.split(), expected.split()
    if tokens == wanted:
        return True
    if tolerance is None or len(tokens) != len(wanted):
        return False
    return all(_same_token(a, b, tolerance) for a, b in zip(tokens, wanted, strict=True))


def same_value(got: Value, expected: Value, tolerance: float | None = None) -> bool:
    """Tell whether two returned values are equal as Python sees it, a tuple counting as a list and NaN as NaN."""
    if isinstance(expected, list | tuple):
        return (
            isinstance(got, list | tuple)
            and len(got) == len(expected)
            and all(same_value(a, b, tolerance) for a, b in zip(got, expected, strict=True))
        )
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(same_value(got[key], value, tolerance) for key, value in expected.items())
        )
    if isinstance(got, int | float) and isinstance(expected, int | float):
        return got == expected or _close(got, expected, tolerance)
    return got == expected


def _lines(text: bytes) -> list[bytes]:
    return [line.strip() for line in text.strip().split(b"\n")]


def _same_token(got: bytes, expected: bytes, tolerance: float) -> bool:
    if got == expected:
        return True
    if expected.lower() == b"nan":
        return got.lower() == b"nan"
    if not (_NUMBER.fullmatch(got) and _NUMBER.fullmatch(expected)):
        return False
    return _close(float(got), float(expected), tolerance)


def _close(got: float, expected: float, tolerance: float | None) -> bool:
    """Tell whether two numbers are so near that they count as one; NaN is near NaN alone, infinity near itself."""
    try:
        a, b = float(got), float(expected)
    except OverflowError:
        return False
    if math.isnan(b):
        return math.isnan(a)
    if a == b:
        return got == expected or tolerance is not None
    return tolerance is not None and math.isfinite(a) and math.isfinite(b) and abs(a - b) <= tolerance * max(1, abs(b))
