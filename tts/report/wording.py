"""Numbers and names as people read them. What is not known, None or NaN, is always an en dash."""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal

UNKNOWN = "–"
COSTS = {"tokens": "tokens", "flops": "FLOPs"}
"""What is counted on the axes of costs."""
NBSP = "\u00a0"  # a number and its unit stay on one line
FLOPS = ("FLOPs", "kFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs", "EFLOPs")
_BIDI = {"\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
_LINE_BREAKS = re.compile(r"\s+")


def known(value: float | None) -> bool:
    """Return whether there is a number to show."""
    return value is not None and math.isfinite(value)


def percent(share: float | None, *, sign: bool = False) -> str:
    """Return 0.567 as `56.7 %`; with `sign`, `+56.7 %` and a true minus."""
    return f"{_points(share, sign)}{NBSP}%" if known(share) else UNKNOWN


def percent_range(lower: float | None, upper: float | None, *, sign: bool = False) -> str:
    """Return `56.7 %`, or `50.0 – 56.7 %` where what is undecided makes a range."""
    if not known(lower) or not known(upper):
        return UNKNOWN
    low, high = _points(lower, sign), _points(upper, sign)
    between = "to" if sign else "–"
    return f"{low}{NBSP}%" if low == high else f"{low}{NBSP}{between}{NBSP}{high}{NBSP}%"


def points(share: float | None) -> str:
    """Return a share in points, without a sign: `1.2`."""
    return _points(share, sign=False) if known(share) else UNKNOWN


def points_range(lower: float | None, upper: float | None) -> str:
    """Return a difference of shares in points, with its sign: `+5.0`, or `−3.1 to +10.0` where it is a range."""
    return percent_range(lower, upper, sign=True).removesuffix(f"{NBSP}%")


def interval(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """Return the bounds of an interval of shares in percent: `40.1 – 72.0`; with signs, `−3.1 to +13.2`."""
    between = "to" if sign else "–"
    known_both = known(low) and known(high)
    return f"{_points(low, sign)}{NBSP}{between}{NBSP}{_points(high, sign)}" if known_both else UNKNOWN


def count(number: float | None) -> str:
    """Return a count with thin spaces between thousands."""
    return f"{number:,.0f}".replace(",", "\u202f") if number is not None and known(number) else UNKNOWN


def decimal(number: float | None) -> str:
    """Return a measured number with three significant digits, whole where it is large."""
    if number is None or not known(number):
        return UNKNOWN
    return count(number) if abs(number) >= 1000 else _minus(f"{number:.3g}")


def p_value(value: float | None) -> str:
    """Return a p-value: `< 0.001`, else two significant digits at most three decimals."""
    if value is None or not known(value):
        return UNKNOWN
    return "< 0.001" if value < 0.001 else str(_fixed(value, "0.001" if value < 0.1 else "0.01"))


def seconds(value: float | None) -> str:
    """Return a duration: `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if value is None or not known(value):
        return UNKNOWN
    if value < 60:
        return f"{value:.1f}{NBSP}s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def at_k(figure: str, k: int) -> str:
    """Return a figure's name at one k: `maj@8`, `pass^8`, `selected@8`, `first of 8`."""
    if figure == "selected":
        return f"selected@{k}"
    return f"{figure[:-1]}{k}" if figure.endswith(("@k", "^k")) else f"{figure} of {k}"


def amount(cost: float | None, axis: str) -> str:
    """Return a cost with what it counts: `1 234 tokens`, `5.6 TFLOPs`."""
    if cost is None or not known(cost):
        return UNKNOWN
    if axis == "tokens":
        return f"{count(cost)}{NBSP}tokens"
    step = min(max(int(math.log10(cost)) // 3, 0) if cost >= 1 else 0, len(FLOPS) - 1)
    return f"{decimal(cost / 1000**step)}{NBSP}{FLOPS[step]}"


def visible(text: str) -> str:
    """Return text that reads as it stands: controls, text direction marks and lone surrogates show as `⟨U+202E⟩`."""
    return "".join(char if _harmless(char) else f"⟨U+{ord(char):04X}⟩" for char in text)


def shortened(text: str, most: int) -> str:
    """Return the text on one line of at most `most` characters, an ellipsis where it was longer."""
    line = _LINE_BREAKS.sub(" ", text[: 8 * most]).strip()
    return line if len(line) <= most and len(text) <= 8 * most else f"{line[: most - 1]}…"


def _harmless(char: str) -> bool:
    return char in "\n\t" or not (unicodedata.category(char) in {"Cc", "Cs", "Cn"} or char in _BIDI)


def _points(share: float | None, sign: bool) -> str:
    if share is None:
        return UNKNOWN
    rounded = _fixed(100 * share, "0.1") + 0  # no minus zero
    return _minus(f"{rounded:+.1f}" if sign and rounded else f"{rounded:.1f}")


def _fixed(value: float, step: str) -> Decimal:
    """Return the nearest multiple of a decimal step as people round: 46.25 is 46.3, whatever its binary digits."""
    return Decimal(f"{value:.10f}").quantize(Decimal(step), ROUND_HALF_UP)


def _minus(number: str) -> str:
    return number.replace("-", "−")
