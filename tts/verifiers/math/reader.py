r"""A recursive-descent reader of LaTeX arithmetic: `-\frac{1}{2}x^2 + 3\sqrt{2}\sin 30^\circ` → a value.

The grammar stands here once. What its numbers are is left to `Arithmetic`: exact sums of terms (`Exact`), or sympy's
expressions (in `compare`), so that both read every formula alike. Where the first gives up, the second goes on.

- Two factors side by side are a product; `2 3` is nothing. A letter with a subscript or primes is a name of its own.
- A function takes a bracket, or the factors behind it up to the next function, sign, slash or bracket.
- A degree sign is the factor π/180.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import comb, factorial
from typing import Generic, Protocol, Self, TypeVar

from tts.verifiers.math.normal import FUNCTIONS, GREEK_NAMES
from tts.verifiers.math.polynomial import NoExactForm, Polynomial

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\d+\.(?!\d)|\.\d+", re.ASCII)
TOKEN = re.compile(rf" *({NUMBER.pattern}|\\[a-zA-Z]+|\\.|[^ ])", re.ASCII)
GREEK = re.compile(rf"\\(?:{GREEK_NAMES}|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|ell|hbar|aleph)")
CALL = re.compile(rf"\\(?:{FUNCTIONS}|binom)")
ACCENT = {r"\hat": r"\hat", r"\bar": r"\bar", r"\overline": r"\bar", r"\dot": r"\dot", r"\ddot": r"\ddot"}
ACCENT |= {r"\tilde": r"\tilde", r"\widehat": r"\hat", r"\widetilde": r"\tilde"}
SERIES = (r"\sum", r"\prod")
NO_FACTOR = {*"+-)]}/*,;=<>|!^_:&'", r"\cdot", r"\rfloor", r"\rceil", r"\}", r"\\"}
"""Tokens that no factor begins with."""

FUNCTION_LETTERS = frozenset("fghFGHPQ")
CLOSING = {"(": ")", "[": "]", "{": "}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil", "|": "|"}
AROUND = {r"\lfloor": "floor", r"\lceil": "ceil", "|": "abs"}
MAX_DEPTH = 40
MAX_DIGITS = 10_000
MAX_FACTORIAL = 1000


class Operand(Protocol):
    """What numbers of any arithmetic can do."""

    def __add__(self, other: Self, /) -> Self: ...
    def __sub__(self, other: Self, /) -> Self: ...
    def __mul__(self, other: Self, /) -> Self: ...
    def __truediv__(self, other: Self, /) -> Self: ...
    def __neg__(self) -> Self: ...


V = TypeVar("V", bound=Operand)


class Arithmetic(Protocol[V]):
    """What a reader needs of its numbers besides their operators + − * /. All may raise NoExactForm."""

    def number(self, value: Fraction) -> V:
        """Return a rational number."""

    def symbol(self, name: str) -> V:
        r"""Return a constant (`\pi`, `e`, `i`) or a variable."""

    def power(self, base: V, exponent: V) -> V:
        """Return base to the exponent."""

    def root(self, value: V, degree: V | None) -> V:
        """Return a root; the square root for None."""

    def call(self, name: str, arguments: list[V]) -> V:
        """Return the value of a function: a named one, `factorial`, or one whose name is a variable's."""

    def series(self, name: str, index: V, ends: tuple[V, V], term: V) -> V:
        r"""Return the value of a `\sum` or `\prod` over all integers between the ends."""


def number(digits: str) -> Fraction:
    """Return the exact value of an integer, decimal or `1e3`; NoExactForm where it is absurdly long."""
    mantissa, _, exponent = digits.lower().partition("e")
    if len(mantissa) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > MAX_DIGITS:
        raise NoExactForm
    numerator, denominator = Decimal(digits).as_integer_ratio()  # has no limit on digits, as `int` has
    return Fraction(numerator, denominator)


def polynomial(text: str) -> Polynomial:
    """Return the value of a normalised expression; NoExactForm where it is none that can be read exactly."""
    return Reader(text, EXACT).read()


class Exact:
    """The arithmetic of sums of terms, without functions except of numbers where the value is rational."""

    def number(self, value: Fraction) -> Polynomial:
        """Return a constant."""
        return Polynomial.of(value)

    def symbol(self, name: str) -> Polynomial:
        """Return a symbol."""
        return Polynomial.symbol(name)

    def power(self, base: Polynomial, exponent: Polynomial) -> Polynomial:
        """Return a power with a constant exponent."""
        return base.power(_constant(exponent))

    def root(self, value: Polynomial, degree: Polynomial | None) -> Polynomial:
        """Return a root of a constant."""
        degree_value = Fraction(2) if degree is None else _constant(degree)
        if degree_value.denominator != 1:
            raise NoExactForm
        return value.root(int(degree_value))

    def call(self, name: str, arguments: list[Polynomial]) -> Polynomial:
        """Return a factorial, binomial coefficient or the like of constants."""
        values = [_constant(argument) for argument in arguments]
        whole = all(value.denominator == 1 and 0 <= value <= MAX_FACTORIAL for value in values)
        match name, values:
            case "factorial", [value] if whole:
                return Polynomial.of(factorial(int(value)))
            case "binom", [top, bottom] if whole:
                return Polynomial.of(comb(int(top), int(bottom)))
            case "abs", [value]:
                return Polynomial.of(abs(value))
            case "floor", [value]:
                return Polynomial.of(value // 1)
            case "ceil", [value]:
                return Polynomial.of(-(-value // 1))
        raise NoExactForm

    def series(self, *_: object) -> Polynomial:
        """Give up."""
        raise NoExactForm


EXACT = Exact()


def _constant(value: Polynomial) -> Fraction:
    if value.constant is None:
        raise NoExactForm
    return value.constant


class Reader(Generic[V]):
    """One pass over the tokens of an expression; `token` is the next one, "" at the end."""

    def __init__(self, text: str, arithmetic: Arithmetic[V]) -> None:
        self._tokens = [match[1] for match in TOKEN.finditer(text.strip())]
        self._tokens.append("")
        self._at = 0
        self._depth = 0
        self._bars = 0
        self._do = arithmetic
        self._indices: list[str] = []

    @property
    def token(self) -> str:
        """The next token."""
        return self._tokens[self._at]

    def read(self) -> V:
        """Return the value of the whole text; NoExactForm where it has none."""
        value = self.sum()
        if self.token:
            raise NoExactForm
        return value

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

    def sum(self) -> V:
        """Read terms joined by + and −."""
        value = self.product()
        while sign := self.take("+", "-"):
            term = self.product()
            value = value + term if sign == "+" else value - term
        return value

    def product(self) -> V:
        """Read signed factors joined by ·, / or nothing."""
        value = self.signed()
        while True:
            if self.take("*", r"\cdot"):
                value = value * self.signed()
            elif self.take("/"):
                value = value / self.signed()
            elif NUMBER.fullmatch(self.token):
                raise NoExactForm  # `2 3` could mean anything
            elif self._begins_factor():
                value = value * self.power()
            else:
                return value

    def _begins_factor(self) -> bool:
        return bool(self.token) and (self.token not in NO_FACTOR or (self.token == "|" and not self._bars))

    def signed(self) -> V:
        """Read one factor that may carry signs: the −3 of `2 \\cdot -3`."""
        negative = False
        while sign := self.take("-", "+"):
            negative ^= sign == "-"
        value = self.power()
        return -value if negative else value

    def power(self) -> V:
        """Read an atom with its factorials, degree sign or exponent."""
        value = self.atom()
        while self.token in ("!", "^"):
            if self.take("!"):
                value = self._do.call("factorial", [value])
                continue
            self.take("^")
            if self.take(r"\circ"):
                value = value * self._do.symbol(r"\pi") / self._do.number(Fraction(180))
            else:
                value = self._do.power(value, self.exponent())
        return value

    def exponent(self) -> V:
        """Read an exponent: a group, or one token that may have a sign (as plain text writes it: 10^-3)."""
        negative = self.take("-")
        value = self.atom()
        return -value if negative else value

    def atom(self) -> V:
        """Read a number, a symbol, a fraction, a root, a function or a bracket."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NoExactForm
        token = self.token
        self._at += bool(token)
        value = self._atom(token)
        self._depth -= 1
        return value

    def _atom(self, token: str) -> V:
        if NUMBER.fullmatch(token):
            return self._do.number(number(token))
        if token in CLOSING:
            self._bars += token == "|"
            value = self.sum()
            self.expect(CLOSING[token])
            self._bars -= token == "|"
            return self._do.call(AROUND[token], [value]) if token in AROUND else value
        if token == r"\frac":
            return self.argument() / self.argument()
        if token == r"\sqrt":
            degree = None
            if self.take("["):
                degree = self.sum()
                self.expect("]")
            return self._do.root(self.argument(), degree)
        return self._call_or_name(token)

    def _call_or_name(self, token: str) -> V:
        if CALL.fullmatch(token):
            return self._call(token[1:])
        if token in SERIES:
            return self._series(token[1:])
        if token in ACCENT:
            return self._name(ACCENT[token] + "".join(self._group()))
        if GREEK.fullmatch(token) or (token.isascii() and token.isalpha()):
            return self._name(token)
        raise NoExactForm

    def argument(self) -> V:
        r"""Read what a command applies to: a group in braces, or one token (of a number one digit: `\frac12`)."""
        digits = self.token
        if len(digits) > 1 and digits.isascii() and digits.isdigit():
            self._tokens[self._at] = digits[1:]
            return self._do.number(Fraction(int(digits[0])))
        return self.atom()

    def _call(self, name: str) -> V:
        r"""Read what follows a function's name: `\log_2 8`, `\sin^2 x`, `\sin^{-1}(x)`, `\sin 2x`, `\max(1, 2)`."""
        if name == "binom":
            return self._do.call(name, [self.argument(), self.argument()])
        base = exponent = None
        while mark := self.take("_", "^"):
            if mark == "_":
                base = self.argument()
            else:
                exponent = self.exponent()
        if self.token in ("(", "["):
            arguments = self._arguments()
        else:
            argument = self.signed()
            while self._begins_factor() and self.token not in ("(", "[", *SERIES) and not CALL.fullmatch(self.token):
                argument = argument * self.power()
            arguments = [argument]
        if exponent is not None and exponent == self._do.number(Fraction(-1)) and not name.startswith("arc"):
            name, exponent = f"arc{name}", None
        value = self._do.call(name, [*arguments, *([] if base is None else [base])])
        return value if exponent is None else self._do.power(value, exponent)

    def _arguments(self) -> list[V]:
        closing = CLOSING[self.take("(", "[")]
        arguments = [self.sum()]
        while self.take(","):
            arguments.append(self.sum())
        self.expect(closing)
        return arguments

    def _series(self, name: str) -> V:
        self.expect("_")
        self.expect("{")
        self._indices.append(self.token)  # which may be called i
        index, start = self.atom(), self._after("=")
        self.expect("}")
        end = self._after("^", self.argument)
        term = self.signed()
        while self._begins_factor() or self.token in ("/", r"\cdot", "*"):
            divide = self.take("/")
            self.take(r"\cdot", "*")
            factor = self.power()
            term = term / factor if divide else term * factor
        self._indices.pop()
        return self._do.series(name, index, (start, end), term)

    def _after(self, mark: str, read: Callable[[], V] | None = None) -> V:
        self.expect(mark)
        return (read or self.sum)()

    def _group(self) -> list[str]:
        r"""Return the tokens of a group in braces, or of one token; of `\text{max}` its letters."""
        tokens = []
        self.take(r"\text")
        if not self.take("{"):
            self._at += bool(self.token)
            return [self._tokens[self._at - 1]]
        depth = 1
        while depth:
            if not self.token:
                raise NoExactForm
            depth += (self.token == "{") - (self.token == "}")
            tokens.append(self.token)
            self._at += 1
        return [token for token in tokens if token not in ("{", "}", r"\text")]

    def _name(self, name: str) -> V:
        r"""Return a variable; `x_1`, `x_{12}` and `x'` are names of their own, `f(…)` is no product."""
        subscript = ""
        while mark := self.take("_", "'"):
            if mark == "'":
                name += "'"
            else:
                subscript = "_" + "".join(self._group())
        name += subscript
        if self.token == "(" and (name[0] in FUNCTION_LETTERS or "'" in name):
            return self._do.call(name, self._arguments())
        return self._do.symbol(f"{name}#" if name in self._indices else name)
