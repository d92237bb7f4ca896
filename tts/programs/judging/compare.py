"""When two outputs, or two returned values, are the same.

Numbers are compared exactly, as decimals and as Python compares them, before a tolerance above 0 asks whether they are
near. Nothing of what is compared is parsed, but plain numbers.

The second half compares as LiveCodeBench's own harness does (`lcb_runner/evaluation/testing_util.py`), for figures
beside published ones: outputs line by line, values by `==`.
"""

from __future__ import annotations

import math
import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from fractions import Fraction

from tts.programs.judging.records import Assertions, StdioTests, Tests
from tts.sandbox import Value

_NUMBER = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?")
_ROUNDED = Context(prec=60, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
"""For distances; whether numbers are equal is decided without rounding."""


def same_output(got: bytes, expected: bytes, tolerance: float | None = None) -> bool:
    """Tell whether the tokens are the same, wherever lines end, or (with a tolerance) the numbers in them."""
    tokens, wanted = got.split(), expected.split()
    if tolerance is None or len(tokens) != len(wanted):
        return tokens == wanted
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
    if equal(got, expected) or (_is_nan(got) and _is_nan(expected)):
        return True
    return bool(tolerance) and _near(got, expected, tolerance or 0.0)


def same_result(got: Value, expected: Value, tests: Tests) -> bool:
    """Tell whether two results are the same as the judge of these tests sees it: stdout as bytes, or any value."""
    if isinstance(tests, Assertions):  # what they compare is compared by Python; of NaN only the spelling can be
        return equal(got, expected) or repr(got) == repr(expected)
    if isinstance(got, bytes) and isinstance(expected, bytes) and isinstance(tests, StdioTests):
        if tests.comparison == "livecodebench":
            return same_output_in_livecodebench(got, expected)
        return same_output(got, expected, tests.tolerance)
    if tests.comparison == "livecodebench":
        return same_value_in_livecodebench(got, expected)
    return same_value(got, expected, tests.tolerance)


def equal(got: Value, expected: Value) -> bool:
    """Return `got == expected`; what cannot be compared (a signalling NaN) is not equal."""
    try:
        return bool(got == expected)
    except ArithmeticError:
        return False


def _same_token(got: bytes, expected: bytes, tolerance: float) -> bool:
    if got == expected:
        return True
    if expected.lower() == b"nan":
        return got.lower() == b"nan"
    if not (_NUMBER.fullmatch(got) and _NUMBER.fullmatch(expected)):
        return False
    a, b = Decimal(got.decode("ascii")), Decimal(expected.decode("ascii"))
    return a == b or (tolerance > 0 and _near(a, b, tolerance))


def _is_nan(value: Value) -> bool:
    return (isinstance(value, float) and math.isnan(value)) or (isinstance(value, Decimal) and value.is_nan())


def _near(got: Value, expected: Value, tolerance: float) -> bool:
    """Tell whether the numbers differ by at most `tolerance`, absolute or relative to `expected`."""
    if isinstance(got, complex) or isinstance(expected, complex):
        try:
            a, b = (complex(value) for value in (got, expected))  # type: ignore[arg-type] # what is none raises
            return abs(a - b) <= tolerance * max(1.0, abs(b))
        except (TypeError, ValueError, OverflowError):
            return False
    x, y = _decimal(got), _decimal(expected)
    if x is None or y is None or not (x.is_finite() and y.is_finite()):
        return False
    bound = _ROUNDED.multiply(Decimal(repr(tolerance)), _ROUNDED.max(1, _ROUNDED.abs(y)))
    return _ROUNDED.abs(_ROUNDED.subtract(x, y)) <= bound


def _decimal(value: Value) -> Decimal | None:
    """Return a real number as a decimal, None for what is none. Only fractions are rounded."""
    if isinstance(value, Fraction):
        return _ROUNDED.divide(Decimal(value.numerator), Decimal(value.denominator))
    return value if isinstance(value, Decimal) else Decimal(value) if isinstance(value, int | float) else None


def same_output_in_livecodebench(got: bytes, expected: bytes) -> bool:
    """Tell whether the stripped lines are the same, each as it is or as decimals (of any spelling)."""
    lines, wanted = (text.decode("utf-8", "replace").strip().split("\n") for text in (got, expected))
    pairs = zip(lines, wanted, strict=False)
    return len(lines) == len(wanted) and all(_same_line(a.strip(), b.strip()) for a, b in pairs)


def same_value_in_livecodebench(got: Value, expected: Value) -> bool:
    """Return `got == expected`, where a tuple counts as a list; one inside of another value does not."""
    return equal([*got] if isinstance(got, tuple) else got, expected)


def _same_line(got: str, expected: str) -> bool:
    if got == expected:
        return True
    try:
        return [*map(Decimal, got.split())] == [*map(Decimal, expected.split())]
    except InvalidOperation:
        return False
