r"""Is one formula equal to another? math-verify parses and compares; exact arithmetic has the last word.

math-verify takes numbers for equal whose difference is below 10⁻¹⁵, or that agree to six decimals, so that 1/2004!
«is» 1/2006!. Here a difference that sympy can certify not to be zero decides first: with each decimal as the exact
fraction that it is, and each variable at a fixed rational value, where equal formulas would have to agree.

This module imports sympy; only worker processes import it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, TypeAlias

import math_verify
import sympy

Comparison: TypeAlias = Literal["equal", "different", "unparsable_left", "unparsable_right"]

CERTIFIED_DIGITS = 5
MAX_WORKING_DIGITS = 400
LATEX = (math_verify.LatexExtractionConfig(),)


def compare(left: str, right: str) -> Comparison:
    """Compare two normalised answers; the outcome does not depend on which side is the reference."""
    a, b = parse(left), parse(right)
    if a is None:
        return "unparsable_left"
    if b is None:
        return "unparsable_right"
    if a == b:
        return "equal"
    are_expressions = isinstance(a, sympy.Expr) and isinstance(b, sympy.Expr)
    # math-verify compares a lone symbol with anything else as text.
    one_symbol = isinstance(a, sympy.Symbol) != isinstance(b, sympy.Symbol)
    if one_symbol and are_expressions and sympy.simplify(a - b) == 0:
        return "equal"
    if contradicted(a, b):
        return "different"
    # Where the two differ in kind it adapts one side to the other, so its answer may depend on the order.
    same = math_verify.verify(a, b, timeout_seconds=0)
    if not same and type(a) is not type(b) and not are_expressions:
        same = math_verify.verify(b, a, timeout_seconds=0)
    return "equal" if same else "different"


@lru_cache(256)
def parse(text: str) -> Any:
    """Return sympy's object for a normalised answer, None where math-verify cannot parse it."""
    found = math_verify.parse(f"${text}$", LATEX, fallback_mode="no_fallback", parsing_timeout=0)
    if not found or not isinstance(found[0], sympy.Expr):
        return found[0] if found else None
    return found[0].xreplace({symbol: sympy.I for symbol in found[0].free_symbols if symbol.name == "i"})


def contradicted(a: Any, b: Any) -> bool:
    """Tell whether `a` and `b` certainly differ: in a number, an element, an end, an entry or a value assigned."""
    if isinstance(a, sympy.FiniteSet) and isinstance(b, sympy.FiniteSet):
        return _some_alone(a.args, b.args) or _some_alone(b.args, a.args)
    parts = _paired(a, b)
    if parts:
        return any(contradicted(left, right) for left, right in parts)
    if not all(isinstance(side, sympy.Expr) and not isinstance(side, sympy.Symbol) for side in (a, b)):
        return False
    try:
        return differ(a, b)
    except (TypeError, ValueError, AttributeError, ArithmeticError, NotImplementedError):
        return False  # sympy's ways to say that it cannot subtract or evaluate these


def _paired(a: Any, b: Any) -> list[tuple[Any, Any]]:
    """Return the parts of two containers that have to agree one by one; empty for anything else."""
    match a, b:
        case sympy.Interval(), sympy.Interval():
            return [(a.start, b.start), (a.end, b.end)]
        case sympy.Eq(), sympy.Eq() if a.lhs == b.lhs:
            return [(a.rhs, b.rhs)]
        case (sympy.Tuple(), sympy.Tuple()) | (sympy.MatrixBase(), sympy.MatrixBase()) if len(a) == len(b):
            return list(zip(a, b, strict=True))
    return []


def _some_alone(elements: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    return any(all(contradicted(element, other) for other in others) for element in elements)


def differ(a: sympy.Expr, b: sympy.Expr) -> bool:
    """Tell whether a − b is certainly not zero (at a sample point, if there are variables). False: cannot tell."""
    difference = (_sampled(a) - _sampled(b)).doit()
    if difference.is_Rational:
        return not difference.is_zero
    if difference.free_symbols or not difference.is_number or difference.has(sympy.nan, sympy.zoo, sympy.oo):
        return False
    value = difference.evalf(CERTIFIED_DIGITS, maxn=MAX_WORKING_DIGITS)
    parts = value.as_real_imag()
    return any(part.is_Float and part._prec > 1 and part != 0 for part in parts)  # precision 1: no digit is certain


def _sampled(expression: sympy.Expr) -> sympy.Expr:
    """Return `expression` with decimals as fractions and variables at values that depend on their names alone."""
    exact = {number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)}
    point = {}
    for symbol in expression.free_symbols:  # positive, with a large denominator; names as good as never share one
        number = int.from_bytes(symbol.name.encode("utf-8", "surrogatepass"), "big")
        point[symbol] = sympy.Rational(number % 999_983 + 10**5, 1_000_003)
    return expression.xreplace(exact).xreplace(point)
