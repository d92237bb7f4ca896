r"""What stands beside a value: `5\text{ cm}`, `\$18`, `90^\circ`, `50\%`, `101_2`.

Two known units must be the same one; a word that is no known unit («apples») says nothing and is dropped. A single
letter is a unit only inside of `\text{…}`: a bare `5m` is five times the variable m.
Values are never converted.
"""

from __future__ import annotations

import re

ALIASES = {
    "%": "percent pct percentage percents",
    "dollar": "dollars usd bucks",
    "cent": "cents",
    "euro": "euros eur",
    "pound": "pounds lb lbs",
    "degree": "degrees deg",
    "radian": "radians rad rads",
    "mm": "millimeter millimeters millimetre millimetres",
    "cm": "centimeter centimeters centimetre centimetres",
    "m": "meter meters metre metres",
    "km": "kilometer kilometers kilometre kilometres kms",
    "inch": "inches in",
    "foot": "feet ft",
    "yard": "yards yd yds",
    "mile": "miles mi",
    "mg": "milligram milligrams",
    "g": "gram grams gm",
    "kg": "kilogram kilograms kilo kilos kgs",
    "ounce": "ounces oz",
    "ton": "tons tonne tonnes",
    "ml": "milliliter milliliters millilitre millilitres",
    "liter": "liters litre litres l",
    "gallon": "gallons gal",
    "second": "seconds sec secs s",
    "minute": "minutes min mins",
    "hour": "hours hr hrs h",
    "day": "days",
    "week": "weeks",
    "month": "months",
    "year": "years yr yrs",
    "mile/hour": "mph",
    "km/hour": "kph kmh kmph",
    "am": "a.m.",
    "pm": "p.m.",
}
KNOWN = {alias: unit for unit, aliases in ALIASES.items() for alias in (unit, *aliases.split())}
CURRENCY = {"$": "dollar", r"\$": "dollar", "€": "euro", "£": "gbp", "¥": "yen", "₹": "rupee"}
CURRENCY_SIGN = re.compile(r"\\?[$€£¥₹]")
DEGREES = re.compile(r"\^\\circ ?(?:[CF]|\\text ?\{ ?[CF] ?\})?$")
PERCENT = re.compile(r" ?\\?%$")
IN_TEXT = re.compile(r" ?\\text ?\{([^{}\\]*)\} ?(?:\^ ?(\d|\{\d\}))?$")
BARE = re.compile(r"(?<=[\d}) ])(?<!_)([A-Za-z][A-Za-z./ -]*[A-Za-z.])(?:\^(\d|\{\d\}))?$")
BASE = re.compile(r"(\d+) ?_ ?(?:\{(?:\\text\{)?(\d+)\}?\}|(\d+))")
PER = re.compile(r" ?/ ?| per ")
POWERS = {"square ": "2", "sq ": "2", "sq. ": "2", "cubic ": "3"}


def split_unit(text: str) -> tuple[str, str | None]:
    """Return a normalised value and its unit's one name; None where it has none, or one that says nothing."""
    base = BASE.fullmatch(text)
    if base:
        return base[1], f"base {base[2] or base[3]}"
    # A currency sign in front (after a minus, too) or behind.
    bare, currency = text, None
    sign = CURRENCY_SIGN.search(text)
    if sign and (text[: sign.start()].strip() in ("", "-") or sign.end() == len(text)):
        bare, currency = (text[: sign.start()] + text[sign.end() :]).strip(), CURRENCY[sign.group()]
    for pattern, name in ((PERCENT, "%"), (DEGREES, "degree")):
        mark = pattern.search(bare)
        if mark and mark.start():
            return bare[: mark.start()].strip(), name
    value, unit = _words(bare)
    return value, unit or currency


def _words(text: str) -> tuple[str, str | None]:
    """Strip the words behind a value; bare ones only where they cannot be variables."""
    found = IN_TEXT.search(text)
    if not found:
        found = BARE.search(text)
        if found and not _surely_words(found[1]):
            return text, None
    value = text[: found.start()].strip() if found else ""
    if not found or not re.search(r"[\d})]$|\\pi$", value):
        return text, None
    unit = _name(found[1].strip().lower(), (found[2] or "").strip("{}"))
    return _words(value) if unit is None else (value, unit)


def _surely_words(text: str) -> bool:
    words = text.replace("-", " ").split()
    return all(len(word) > 1 for word in words) and (text.lower() in KNOWN or any(len(word) > 3 for word in words))


def _name(words: str, power: str) -> str | None:
    """Return the unit's one name: `square feet` is foot^2."""
    for prefix, exponent in POWERS.items():
        if words.startswith(prefix):
            words, power = words.removeprefix(prefix), exponent
    parts = [KNOWN.get(part) or KNOWN.get(part.rstrip(".")) for part in PER.split(words)]
    unit = None if None in parts else "/".join(map(str, parts))
    return f"{unit}^{power}" if unit and power else unit
