r"""Is one formula equal to another? The same structure and grammar as for exact keys, with sympy's arithmetic.

Where the grammar ends, math-verify's parser reads an expression; it also has the last word on whether two expressions
are equal. It takes numbers for equal whose difference is below 10⁻¹⁵, or that agree to six decimals, so that 1/2004!
«is» 1/2006!. So a difference that sympy can certify not to be zero decides first: with each decimal as the exact
fraction that it is, and each variable at a fixed rational value, where equal formulas would have to agree.

Variables are real, and positive where a root of even degree or a logarithm needs it; an odd root of a negative number
is real, too.

This module imports sympy; only worker processes import it.
"""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import math_verify
import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy
from sympy.core.function import AppliedUndef

from tts.verifiers.math import exact
from tts.verifiers.math.normal import split
from tts.verifiers.math.polynomial import NoExactForm
from tts.verifiers.math.reader import Reader
from tts.verifiers.math.relations import ORDER, letters, solved, system
from tts.verifiers.math.words import is_scaled

Comparison: TypeAlias = Literal["equal", "different", "unparsable_left", "unparsable_right"]

CERTIFIED_DIGITS = 5
MAX_WORKING_DIGITS = 400
FAR = 1e-3
"""Of two values to CERTIFIED_DIGITS, the share by which they certainly differ."""
CONVERSION = ConversionConfig(lowercase_symbols=False)
CONSTANTS = {"i": sympy.I, "e": sympy.E, r"\pi": sympy.pi}
LAST_NAMES = {
    "ln": "log",
    "lg": "log",
    "abs": "Abs",
    "ceil": "ceiling",
    "max": "Max",
    "min": "Min",
    "gcd": "gcd",
    "lcm": "lcm",
}


def compare(left: str, right: str) -> Comparison:
    """Compare two normalised answers; the outcome does not depend on which side is the reference."""
    a, b = parse(left), parse(right)
    if a is None:
        return "unparsable_left"
    if b is None:
        return "unparsable_right"
    if _are_systems(a, b):
        a, b = a[:1], b[:1]
    return "equal" if any(same(left, right) for left in a for right in b) else "different"


def _are_systems(*parsed: tuple[Any, ...]) -> bool:
    return all(isinstance(found[0], tuple) and found[0][0] == "relations" for found in parsed)


@lru_cache(256)
def parse(text: str) -> tuple[Any, ...] | None:
    """Return what a normalised answer may be: structures with sympy's expressions in them; None where it is nothing."""
    try:
        sides = split(text, exact.EQUALS)
        if len(sides) == 2 and (names := letters(sides[0])):  # (x, y) = (1, 2)
            match exact.key(sides[1], expression):
                case ("tuple", tuple(values)) if len(values) == len(names):
                    return tuple(system(names, values))
        if len(sides) == 2 and not ORDER.search(text):
            return (("equation", expression(sides[0]) - expression(sides[1])),)
        if ORDER.search(text) or len(sides) > 1:
            found = solved(text, expression)
            return tuple(found[1]) if found else (_chain(text),)
        key = exact.key(text, expression)
    except (NoExactForm, RecursionError):
        return None
    return None if key is None else (key,)


def _chain(text: str) -> Any:
    """Return a relation that gives no variable a range: `f(2) < f(1) < f(4)`, read from the smaller to the larger."""
    signs, sides = ORDER.findall(text), [expression(side) for side in split(text, ORDER)]
    if {*signs} <= {">", r"\ge"}:
        signs, sides = [{">": "<", r"\ge": r"\le"}[sign] for sign in reversed(signs)], sides[::-1]
    return ("relation", *signs, *sides)


def expression(text: str) -> Any:
    """Return sympy's object for an expression. Raises NoExactForm where it cannot be parsed."""
    if is_scaled(text):
        raise NoExactForm
    try:
        return Reader(text, SYMBOLIC).read()
    except NoExactForm:
        found = _parse_otherwise(text)
    except (TypeError, ValueError, AttributeError, ArithmeticError):
        raise NoExactForm from None
    if isinstance(found, sympy.MatrixBase):
        return ("matrix", tuple(tuple(found.row(index)) for index in range(found.rows)))
    return found


def _parse_otherwise(text: str) -> Any:
    """Return what math-verify's parser makes of an expression without primes, which it would drop."""
    if not any(letter.isalnum() for letter in text) or text[-1] in "+-*/^_" or "'" in text:
        raise NoExactForm
    try:
        found = latex2sympy(text, is_real=None, conversion_config=CONVERSION)
    except Exception as error:  # the parser's ways to say no are many
        raise NoExactForm from error
    if isinstance(found, sympy.MatrixExpr):
        found = found.doit()
    if not isinstance(found, sympy.Expr | sympy.MatrixBase):
        raise NoExactForm
    symbols = {symbol: SYMBOLIC.symbol(symbol.name) for symbol in found.free_symbols}
    return found.xreplace(symbols)


class _Symbolic:
    """Sympy's expressions as the numbers of a reader."""

    def number(self, value: Fraction) -> Any:
        """Return a rational number."""
        return sympy.Rational(value.numerator, value.denominator)

    def symbol(self, name: str) -> Any:
        """Return a constant or a real variable."""
        return CONSTANTS.get(name) or sympy.Symbol(name)

    def power(self, base: Any, exponent: Any) -> Any:
        """Return a power."""
        return base**exponent

    def root(self, value: Any, degree: Any | None) -> Any:
        """Return a root."""
        return sympy.sqrt(value) if degree is None else sympy.root(value, degree)

    def call(self, name: str, arguments: list[Any]) -> Any:
        """Return a function's value; `log` of two arguments has the second for its base."""
        if name == "lg" and len(arguments) == 1:
            arguments = [*arguments, sympy.Integer(10)]
        if name.startswith("arc"):
            name = f"a{name[3:]}"
        if name == "binom":
            return sympy.binomial(*arguments)
        function = getattr(sympy, LAST_NAMES.get(name, name), None) if len(name.rstrip("'")) > 1 else None
        return (function or sympy.Function(name))(*arguments)

    def series(self, name: str, index: Any, ends: tuple[Any, Any], term: Any) -> Any:
        """Return a sum or a product, in closed form where there is one."""
        return (sympy.summation if name == "sum" else sympy.product)(term, (index, *ends))


SYMBOLIC = _Symbolic()


def same(a: Any, b: Any) -> bool:
    """Tell whether two structures are equal: part by part, sets in any order."""
    if a == b:
        return True
    match a, b:
        case (("set" | "union" as kind, left), (other, right)) if kind == other:
            return _covers(left, right) and _covers(right, left)
        case (("equation", left), ("equation", right)):
            return _proportional(left, right)
        case (tuple(), tuple()):
            return len(a) == len(b) and all(same(left, right) for left, right in zip(a, b, strict=True))
    expressions = all(isinstance(side, sympy.Basic | Fraction) for side in (a, b))
    return expressions and equal_expressions(sympy.sympify(a), sympy.sympify(b))


def _covers(members: frozenset[Hashable], others: frozenset[Hashable]) -> bool:
    return all(any(same(member, other) for other in others) for member in members)


def equal_expressions(a: Any, b: Any) -> bool:
    """Tell whether two expressions are equal for all real values of their variables that a grader would think of.

    Those are positive where a root of even degree or a logarithm needs it; else, where there are roots, of both signs.
    """
    roots = [part for side in (a, b) for part in side.atoms(sympy.Pow, sympy.log) if part.args[0].free_symbols]
    roots = [part for part in roots if isinstance(part, sympy.log) or (part.exp.is_Rational and part.exp.q > 1)]
    even = {
        s for part in roots if isinstance(part, sympy.log) or part.exp.q % 2 == 0 for s in part.args[0].free_symbols
    }
    odd = {symbol for part in roots for symbol in part.args[0].free_symbols} - even
    names = a.free_symbols | b.free_symbols
    point = {
        s: sympy.Symbol(s.name, positive=True) if s in even | odd else sympy.Symbol(s.name, real=True) for s in names
    }
    points = [point, {**point, **{symbol: -sympy.Symbol(symbol.name, positive=True) for symbol in odd}}]
    return all(_equal(_real(a.subs(point)), _real(b.subs(point))) for point in points[: 1 + bool(odd)])


def _real(expression: Any) -> Any:
    """Return `expression` with the real one of the odd roots of negative numbers."""
    return expression.replace(
        lambda part: (
            part.is_Pow and part.exp.is_Rational and part.exp.q % 2 and part.exp.q > 1 and part.base.is_negative
        ),
        lambda power: (-1) ** power.exp.p * (-power.base) ** power.exp,
    )


def _equal(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if isinstance(a, AppliedUndef) and isinstance(b, AppliedUndef):  # f(2), of which nothing is known
        return a.func == b.func and len(a.args) == len(b.args) and all(map(_equal, a.args, b.args))
    try:
        if differ(a, b):
            return False
    except (TypeError, ValueError, AttributeError, ArithmeticError, NotImplementedError):
        pass  # sympy's ways to say that it cannot subtract or evaluate these
    if sympy.simplify(sympy.expand_log(a - b, force=True)) == 0:
        return True
    return bool(math_verify.verify(a, b, timeout_seconds=0))


def _proportional(a: Any, b: Any) -> bool:
    """Tell whether «a = 0» is a multiple of «b = 0»: their ratio is the same at two points, and simplifies to one."""
    if differ(_sampled(a, 0) * _sampled(b, 1), _sampled(a, 1) * _sampled(b, 0)):
        return False
    ratio = sympy.simplify(a / b)
    return bool(ratio.is_number and ratio.is_finite and not ratio.is_zero)


def differ(a: Any, b: Any) -> bool:
    """Tell whether a − b is certainly not zero (at a sample point, if there are variables). False: cannot tell."""
    near, other = _value(a), _value(b)
    if near is not None and other is not None and abs(near - other) > FAR * (abs(near) + abs(other)):
        return True
    difference = (_sampled(a) - _sampled(b)).doit()
    if difference.is_Rational:
        return not difference.is_zero
    return any(part != 0 for part in _digits(difference, CERTIFIED_DIGITS))


@lru_cache(1024)
def _value(expression: Any) -> Any | None:
    """Return an expression's value at the sample point, near enough; it is found once, not in every pair."""
    parts = _digits(_sampled(expression), CERTIFIED_DIGITS)
    return parts[0] + parts[1] * sympy.I if len(parts) == 2 else None


def _digits(number: Any, digits: int) -> list[Any]:
    """Return the real and the imaginary part, those of them of which any digit is certain."""
    if number.free_symbols or not number.is_number or number.has(sympy.nan, sympy.zoo, sympy.oo):
        return []
    parts = number.evalf(digits, maxn=MAX_WORKING_DIGITS).as_real_imag()
    return [part for part in parts if part.is_zero or (part.is_Float and part._prec > 1)]  # 1: no digit is certain


def _sampled(expression: Any, seed: int = 0) -> Any:
    """Return `expression` with decimals as fractions and variables at values that depend on their names alone."""
    exact_values = {number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)}
    point = {}
    for symbol in expression.free_symbols:  # positive, with a large denominator; names as good as never share one
        number = int.from_bytes(symbol.name.encode("utf-8", "surrogatepass"), "big") * (seed + 1)
        point[symbol] = sympy.Rational(number % 999_983 + 10**5, 1_000_003)
    return expression.xreplace(exact_values).xreplace(point)
