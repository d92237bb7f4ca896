r"""A recursive-descent reader of LaTeX arithmetic: `-\frac{1}{2}x^2 + 3\sqrt{2}` → a Polynomial."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from math import factorial

from tts.verifiers.math.polynomial import NoExactForm, Polynomial

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\d+\.(?!\d)|\.\d+", re.ASCII)
TOKEN = re.compile(rf" *({NUMBER.pattern}|\\[a-zA-Z]+|\\.|[^ ])", re.ASCII)
GREEK = re.compile(
    r"\\(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|chi|psi|omega|ell)"
)
NO_FACTOR = {*"+-)]}/*,=<>|!^_:", r"\cdot"}
"""Tokens that no factor begins with."""

FUNCTION_LETTERS = frozenset("fghFGHPQ")
CLOSING = {"(": ")", "[": "]", "{": "}"}
MAX_DEPTH = 40
MAX_DIGITS = 10_000
MAX_FACTORIAL = 1000


def number(digits: str) -> Fraction:
    """Return the exact value of an integer, decimal or `1e3`; NoExactForm where it is absurdly long."""
    mantissa, _, exponent = digits.lower().partition("e")
    if len(mantissa) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > MAX_DIGITS:
        raise NoExactForm
    numerator, denominator = Decimal(digits).as_integer_ratio()  # has no limit on digits, as `int` has
    return Fraction(numerator, denominator)


def polynomial(text: str) -> Polynomial:
    """Return the value of a normalised expression; NoExactForm where it is none that can be read exactly."""
    reader = Reader(text)
    value = reader.sum()
    if reader.token:
        raise NoExactForm
    return value


class Reader:
    """One pass over the tokens of an expression; `token` is the next one, "" at the end."""

    def __init__(self, text: str) -> None:
        self._tokens = [match[1] for match in TOKEN.finditer(text.strip())]
        self._tokens.append("")
        self._at = 0
        self._depth = 0

    @property
    def token(self) -> str:
        """The next token."""
        return self._tokens[self._at]

    def take(self, *wanted: str) -> str:
        """Step over the next token if it is one of `wanted`; return it or ""."""
        token = self.token
        if token and token in wanted:
            self._at += 1
            return token
        return ""

    def expect(self, wanted: str) -> None:
        """Step over `wanted`, or give up."""
        if not self.take(wanted):
            raise NoExactForm

    def sum(self) -> Polynomial:
        """Read terms joined by + and −."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NoExactForm
        value = self.product()
        while sign := self.take("+", "-"):
            term = self.product()
            value = value + term if sign == "+" else value - term
        self._depth -= 1
        return value

    def product(self) -> Polynomial:
        """Read signed factors joined by ·, / or nothing."""
        if sign := self.take("+", "-"):
            value = self.product()
            return -value if sign == "-" else value
        value = self.power()
        while True:
            if self.take("*", r"\cdot"):
                value = value * self.signed()
            elif self.take("/", r"\div"):
                value = value / self.signed()
            elif NUMBER.fullmatch(self.token):
                raise NoExactForm  # `2 3` could mean anything
            elif self.token and self.token not in NO_FACTOR:
                value = value * self.power()
            else:
                return value

    def signed(self) -> Polynomial:
        """Read one factor that may carry a sign: the −3 of `2 \\cdot -3`."""
        return -self.signed() if self.take("-") else self.power()

    def power(self) -> Polynomial:
        """Read an atom with its factorial or exponent."""
        value = self.atom()
        while self.take("!"):
            operand = value.constant
            if operand is None or operand.denominator != 1 or not 0 <= operand <= MAX_FACTORIAL:
                raise NoExactForm
            value = Polynomial.of(factorial(int(operand)))
        if self.take("^"):
            exponent = self.atom().constant
            if exponent is None:
                raise NoExactForm
            value = value.power(exponent)
        return value

    def atom(self) -> Polynomial:
        """Read a number, a symbol, a fraction, a root or a bracket."""
        token = self.token
        self._at += bool(token)
        if NUMBER.fullmatch(token):
            return Polynomial.of(number(token))
        if token in CLOSING:
            value = self.sum()
            self.expect(CLOSING[token])
            return value
        if token == r"\frac":
            return self.argument() / self.argument()
        if token == r"\sqrt":
            if self.token == "[":
                raise NoExactForm
            return self.argument().sqrt()
        if GREEK.fullmatch(token) or (token.isascii() and token.isalpha()):
            return self._symbol(token)
        raise NoExactForm

    def argument(self) -> Polynomial:
        r"""Read what a command applies to: a group in braces, or one token (of a number one digit: `\frac12`)."""
        digits = self.token
        if len(digits) > 1 and digits.isascii() and digits.isdigit():
            self._tokens[self._at] = digits[1:]
            return Polynomial.of(int(digits[0]))
        if digits in ("-", "+"):
            raise NoExactForm
        return self.atom()

    def _symbol(self, name: str) -> Polynomial:
        r"""Return a variable; `x_1` and `x_{12}` are names of their own, `f(…)` is no product."""
        if self.take("_"):
            braced = self.take("{")
            name = f"{name}_{self.token}"
            if not self.token.isalnum():
                raise NoExactForm
            self._at += 1
            if braced:
                self.expect("}")
        if self.token == "(" and name[0] in FUNCTION_LETTERS:
            raise NoExactForm
        return Polynomial.symbol(name)
