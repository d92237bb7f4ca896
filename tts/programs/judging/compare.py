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
from functools import lru_cache

from tts.programs.judging.records import Assertions, StdioTests, Tests
from tts.sandbox import Value

_NUMBER = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?")
_ROUNDED = Context(prec=60, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
"""For distances; whether numbers are equal is decided without rounding."""

_ABOUT = re.compile(
    r"\babs\(.*-.*\)\s*<=?\s*(?P<size>[\d.]+(?:[eE]-?\d+)?)|\b(?:isclose|allclose|approx|assert_?[aA]lmost_?[eE]qual)\("
    r"(?:.*(?:rel|abs|atol|rtol)(?:_tol)?\s*=\s*(?P<tolerance>[\d.]+(?:[eE]-?\d+)?))?"
)
"""How test code compares numbers that need only be near."""

_MOST_NEAR = 0.01
"""What is further apart is not near: that test code asks for something else."""

_MOST_BITS = 2**14
_REAL = (int, float, Fraction)


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
        tolerance = _tolerance_of(tests.tests)
        is_near = tolerance > 0 and same_value(got, expected, tolerance)
        return equal(got, expected) or _spelt_alike(got, expected) or is_near
    if isinstance(got, bytes) and isinstance(expected, bytes) and isinstance(tests, StdioTests):
        if tests.comparison == "livecodebench":
            return same_output_in_livecodebench(got, expected)
        return same_output(got, expected, tests.tolerance)
    if tests.comparison == "livecodebench":
        return same_value_in_livecodebench(got, expected)
    return same_value(got, expected, tests.tolerance)


@lru_cache(maxsize=64)
def _tolerance_of(sources: tuple[str, ...]) -> float:
    """Return by how much numbers may differ in test code that says that they need only be near, 0.0 elsewhere."""
    said = [found for source in sources for found in _ABOUT.finditer(source)]
    sizes = [float(found["size"] or found["tolerance"] or 1e-9) for found in said]
    return max((size for size in sizes if size <= _MOST_NEAR), default=0.0)


def equal(got: Value, expected: Value) -> bool:
    """Return `got == expected`; what cannot be compared (a signalling NaN) is not equal.

    Nor is a decimal equal to an integer of thousands of digits, all of which Python would look for first.
    """
    lengths = [each.bit_length() for each in (got, expected) if isinstance(each, int)]
    if lengths and max(lengths) > _MOST_BITS and (isinstance(got, Decimal) or isinstance(expected, Decimal)):
        return False
    try:
        return bool(got == expected)
    except ArithmeticError:
        return False


def _spelt_alike(got: Value, expected: Value) -> bool:
    try:
        return repr(got) == repr(expected)
    except ValueError:  # Python spells no integer of so many digits
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
    try:
        if isinstance(got, complex) or isinstance(expected, complex):
            a, b = (complex(value) for value in (got, expected))  # type: ignore[arg-type] # what is none raises
            return abs(a - b) <= tolerance * max(1.0, abs(b))
        if isinstance(got, Decimal) or isinstance(expected, Decimal):
            c, d = _decimal(got), _decimal(expected)
            bound = _ROUNDED.multiply(Decimal(repr(tolerance)), _ROUNDED.max(1, _ROUNDED.abs(d)))
            return c.is_finite() and d.is_finite() and _ROUNDED.abs(_ROUNDED.subtract(c, d)) <= bound
        if isinstance(got, _REAL) and isinstance(expected, _REAL):
            x, y = Fraction(got), Fraction(expected)
            return abs(x - y) <= Fraction(repr(tolerance)) * max(Fraction(1), abs(y))
    except (TypeError, ValueError, OverflowError):  # no number, NaN, infinity
        pass
    return False


def _decimal(value: Value) -> Decimal:
    """Return the number as a decimal, about it where it is a fraction or very long. Raises TypeError for none."""
    if isinstance(value, Fraction):
        return _ROUNDED.divide(_decimal(value.numerator), _decimal(value.denominator))
    if isinstance(value, int) and (extra := value.bit_length() - _MOST_BITS) > 0:  # all digits would take for ever
        return _ROUNDED.multiply(Decimal(value >> extra), _ROUNDED.power(2, extra))
    if isinstance(value, Decimal | int | float):
        return Decimal(value)
    raise TypeError(f"{type(value).__name__} is no real number")


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
