"""Exact arithmetic with sums of rational multiples of √n and of powers of symbols (π, i, e, x, …).

Such a sum has one normal form: square-free radicands, i² = −1, no zero terms. So equality is equality of terms.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, isqrt, lcm
from typing import TypeAlias

Powers: TypeAlias = tuple[tuple[str, int], ...]
Monomial: TypeAlias = tuple[int, Powers]  # square-free radicand, then symbols with their exponents in order

ONE: Monomial = (1, ())
MAX_TERMS = 64
MAX_BITS = 40_000
MAX_EXPONENT = 1000
MAX_RADICAND = 10**9


class NoExactForm(ValueError):  # noqa: N818 - it is an answer, not a mistake
    """The value is outside of this arithmetic, or too large for it."""


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A sum of terms; no coefficient is zero. Operations raise NoExactForm where the result has no such form."""

    terms: dict[Monomial, Fraction]

    @classmethod
    def of(cls, value: Fraction | int) -> Polynomial:
        """Return the constant `value`."""
        return cls({ONE: Fraction(value)} if value else {})

    @classmethod
    def symbol(cls, name: str) -> Polynomial:
        """Return the symbol `name`; "i" is the imaginary unit."""
        return cls({(1, ((name, 1),)): Fraction(1)})

    @property
    def constant(self) -> Fraction | None:
        """The value of a rational constant, else None."""
        if not self.terms:
            return Fraction(0)
        return self.terms.get(ONE) if len(self.terms) == 1 else None

    def key(self) -> Hashable:
        """Return the normal form: a Fraction for a rational number, a set of terms for the rest."""
        constant = self.constant
        return frozenset(self.terms.items()) if constant is None else constant

    def relation(self) -> Hashable | None:
        """Return the normal form of «self = 0», the same for all multiples of it; None where no variable is in it."""
        names = {name for _, powers in self.terms for name, _ in powers} - {"i", "e", r"\pi"}
        if not names:
            return None
        # Multiplied by what makes the exponents of all symbols positive, divided by the first coefficient.
        whole = self
        for name in names:
            lowest = min(dict(powers).get(name, 0) for _, powers in self.terms)
            whole = whole * Polynomial({(1, ((name, -lowest),)): Fraction(1)}) if lowest < 0 else whole
        first = min(whole.terms, key=lambda monomial: (monomial[1], monomial[0]))
        leading = Polynomial({(first[0], ()): whole.terms[first]})
        return ("equation", frozenset((whole / leading).terms.items()))

    def __add__(self, other: Polynomial) -> Polynomial:
        terms = dict(self.terms)
        for monomial, coefficient in other.terms.items():
            _accumulate(terms, monomial, coefficient)
        return _checked(terms)

    def __neg__(self) -> Polynomial:
        return Polynomial({monomial: -coefficient for monomial, coefficient in self.terms.items()})

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + -other

    def __mul__(self, other: Polynomial) -> Polynomial:
        terms: dict[Monomial, Fraction] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                factor, monomial = _times(left, right)
                _accumulate(terms, monomial, a * b * factor)
        return _checked(terms)

    def __truediv__(self, other: Polynomial) -> Polynomial:
        return self * other.reciprocal()

    def reciprocal(self) -> Polynomial:
        """Return 1 / self; only a single term has one here, and zero has none."""
        if len(self.terms) != 1:
            raise NoExactForm
        ((radicand, powers), coefficient), *_ = self.terms.items()
        inverse = Polynomial({(radicand, ()): 1 / (coefficient * radicand)})
        for name, exponent in powers:
            factor, power = (-1, 1) if name == "i" else (1, -exponent)
            inverse = inverse * Polynomial({(1, ((name, power),)): Fraction(factor)})
        return inverse

    def power(self, exponent: Fraction) -> Polynomial:
        """Return self to an integer or half-integer `exponent`; 0⁰ has no value."""
        if 1 < exponent.denominator <= MAX_EXPONENT:
            return self.root(exponent.denominator).power(Fraction(exponent.numerator))
        if exponent.denominator != 1 or (not self.terms and exponent <= 0):
            raise NoExactForm
        steps = abs(exponent.numerator)
        constant = self.constant
        if constant is not None:
            if abs(constant) == 1:
                return Polynomial.of(constant ** (exponent.numerator % 2))
            bits = max(constant.numerator.bit_length(), constant.denominator.bit_length())
            if constant and bits * steps > MAX_BITS:
                raise NoExactForm
            return Polynomial.of(constant**exponent.numerator if constant else 0)
        if steps > MAX_EXPONENT:
            raise NoExactForm
        root, result = (self if exponent > 0 else self.reciprocal()), Polynomial.of(1)
        while steps:
            if steps & 1:
                result = result * root
            steps >>= 1
            root = root * root if steps else root
        return result

    def sqrt(self) -> Polynomial:
        """Return the principal square root of a rational constant."""
        constant = self.constant
        if constant is None:
            raise NoExactForm
        if constant < 0:
            return Polynomial.symbol("i") * (-self).sqrt()
        if not constant:
            return self
        outside, inside = _square_free(constant.numerator * constant.denominator)
        return Polynomial({(inside, ()): Fraction(outside, constant.denominator)})

    def root(self, degree: int) -> Polynomial:
        """Return the real root of a rational constant of which it is rational; of −8 the third one is −2."""
        if degree == 2:
            return self.sqrt()
        constant = self.constant
        if constant is None or degree < 1 or (constant < 0 and not degree % 2):
            raise NoExactForm
        parts = [_whole_root(abs(part), degree) for part in (constant.numerator, constant.denominator)]
        return Polynomial.of(Fraction(parts[0], parts[1]) * (-1 if constant < 0 else 1))


def _whole_root(number: int, degree: int) -> int:
    if number.bit_length() > MAX_BITS // 40:
        raise NoExactForm
    root: int = round(float(number) ** (1 / degree))
    if root**degree != number:
        raise NoExactForm
    return root


def _accumulate(terms: dict[Monomial, Fraction], monomial: Monomial, coefficient: Fraction) -> None:
    total = terms.get(monomial, 0) + coefficient
    if total:
        terms[monomial] = Fraction(total)
    else:
        terms.pop(monomial, None)


def _checked(terms: dict[Monomial, Fraction]) -> Polynomial:
    if len(terms) > MAX_TERMS or any(
        max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS for value in terms.values()
    ):
        raise NoExactForm
    return Polynomial(terms)


def _times(left: Monomial, right: Monomial) -> tuple[int, Monomial]:
    """Return the integer factor and the monomial of a product: √6·√10 is 2·√15, and i·i is −1."""
    common = gcd(left[0], right[0])
    radicand = lcm(left[0], right[0]) // common
    if not (left[1] and right[1]):
        return common, (radicand, left[1] or right[1])
    powers = dict(left[1])
    for name, exponent in right[1]:
        powers[name] = powers.get(name, 0) + exponent
    if powers.get("i", 0) > 1:
        common, powers["i"] = -common, powers["i"] - 2
    return common, (radicand, tuple(sorted((name, exponent) for name, exponent in powers.items() if exponent)))


def _square_free(number: int) -> tuple[int, int]:
    """Return (a, b) with number = a²·b and b square-free, for 0 < number ≤ MAX_RADICAND (or any perfect square)."""
    root = isqrt(number)
    if root * root == number:
        return root, 1
    if number > MAX_RADICAND:
        raise NoExactForm
    outside, inside, prime = 1, 1, 2
    while prime**3 <= number:
        while number % prime**2 == 0:
            outside, number = outside * prime, number // prime**2
        if number % prime == 0:
            inside, number = inside * prime, number // prime
        prime += 1
    root = isqrt(number)  # what is left is 1, a prime, a square of a prime, or two primes
    return (outside * root, inside) if root * root == number else (outside, inside * number)
