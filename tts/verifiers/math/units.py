r"""What stands beside a value: `5\text{ cm}`, `\$18`, `90^\circ`, `50\%`, `101_2`, `5 million`.

A unit is a set of words, each by its one name (`square feet` is foot^2, `m/s` and `km/h` are one word each). Two units
agree where one of them is part of the other: `5 apples` is `5` and `5 red apples`, not `5 oranges`; 37 degrees
Celsius are 37 degrees, not 37 degrees Fahrenheit. A scale word is part of the value. Units are never converted.

A single letter is a unit inside of `\text{…}`. A bare `5m` may be five times the variable m, so that reading comes
first, and the other agrees only with a written unit; `5 m`, with a space, is five of either.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TypeAlias

from tts.verifiers.math.normal import matching, split
from tts.verifiers.math.words import PARTS, SCALE_BEHIND, in_words, scale

Unit: TypeAlias = frozenset[str]

NO_UNIT: Unit = frozenset()
MAYBE = "maybe"
"""In a unit that may be a variable, which another must confirm."""

# Names of SI units and of their prefixes: kilo|k + meter|m.
SI = "meter|metre|metern|mètre|metro|metri:m gram|gramm|gramme|gramo|grammo|grammi|grama:g second:s newton:N"
SI += " joule:J volt:V watt:W ampere|amp:A ohm:\\Omega hertz:Hz pascal:Pa"
SI += " coulomb:C farad:F tesla:T weber:Wb henry:H kelvin:K liter|litre|litro|litri:L mole:mol electronvolt:eV"
" byte:B calorie:cal"
SI += " bar:bar candela:cd siemens:S becquerel:Bq gray:Gy lumen:lm lux:lx radian:rad"
PREFIXES = "zenti:c centí:c mili:m milí:m dezi:d mikro:u kiló:k quilo:k quilô:k chilo:k pico:p nano:n micro:u"
PREFIXES += " milli:m centi:c deci:d kilo:k mega:M giga:G tera:T"
ALIASES = {
    "%": "percent pct percentage percents prozent procent porcentaje процентов процента процент パーセント 퍼센트",
    "dollar": "dollars usd bucks us$ 美元",
    "cent": "cents ¢",
    "euro": "euros eur",
    "gbp": "quid",
    "yen": "jpy",
    "yuan": "cny rmb 元 块",
    "rupee": "rupees inr rs",
    "rouble": "rub руб рублей рубля рубль",
    "pound": "pounds lb lbs",
    "degree": "degrees deg 度 градусов grad degrés grados gradi grados градуса градус",
    "celsius": "centigrade",
    "radian": "radians rad rads",
    "m": "米 м метр метра метров メートル 미터",
    "cm": "厘米 см сантиметр сантиметра сантиметров センチメートル センチ 센티미터",
    "km": "千米 公里 км kms километр километра километров キロメートル キロ 킬로미터",
    "mm": "毫米 мм миллиметр миллиметра миллиметров ミリメートル 밀리미터",
    "g": "gm gms 克 г грамм грамма граммов グラム 그램",
    "kg": "kilo kilos kgs 千克 公斤 кг килограмм килограмма килограммов キログラム 킬로그램",
    "inch": "inches in",
    "foot": "feet ft",
    "yard": "yards yd yds",
    "mile": "miles mi",
    "ounce": "ounces oz",
    "ton": "tons tonne tonnes",
    "L": "l ltr 升 литр литра литров リットル 리터",
    "ml": "mL cc 毫升",
    "gallon": "gallons gal",
    "second": "seconds sec secs s 秒 sekunde sekunden seconde secondes segundo segundos secondi секунд секунды 초",
    "minute": "minutes min mins 分钟 分 minuten minuto minutos minuti minuut минут минуты минута 分間",
    "hour": "hours hr hrs h 小时 stunde stunden heure heures hora horas uur godzin часов часа час 時間 시간",
    "day": "days 天 tage tagen jours jour día días giorni дней дня",
    "week": "weeks woche wochen semaine semaines semana semanas settimane недель",
    "month": "months monate monaten mois meses mesi месяцев",
    "year": "years yr yrs 岁 年 jahre jahren années año años anni лет",
    "point": "points pts pt",
    "N m": "Nm",
    "hour^-1 mile": "mph",
    "hour^-1 km": "kph kmh kmph",
    "am": "a.m",
    "pm": "p.m",
}
SYMBOLS: dict[str, str] = {}
NAMES: dict[str, str] = {}
for _names, _symbol in (unit.split(":") for unit in SI.split()):
    for _prefix, _short in (("", ""), *(prefix.split(":") for prefix in PREFIXES.split())):
        SYMBOLS[_short + _symbol] = _short + _symbol
        for _long in _names.split("|"):
            NAMES[_prefix + _long] = _short + _symbol
for _main, _aliases in ALIASES.items():
    for _alias in (_main, *_aliases.split()):
        (SYMBOLS if len(_alias) < 3 else NAMES)[_alias] = _main
del SYMBOLS["Grad"]  # a degree, no giga-radian
_EAST_ASIAN = {word for word in NAMES | SYMBOLS if word > "\u3000"} - {*"元块分年"}  # these count many things
EAST_ASIAN_UNIT = re.compile("|".join(sorted(_EAST_ASIAN, key=len, reverse=True)))
CURRENCY = {
    "$": "dollar",
    r"\$": "dollar",
    "€": "euro",
    "£": "gbp",
    "¥": "yen",
    "₹": "rupee",
    "₽": "rouble",
    "₩": "won",
}
CURRENCY_SIGN = re.compile(r"(?:US ?)?\\?[$€£¥₹₽₩]")
CODE = re.compile(r"^(-?) ?(?:\\text ?\{ ?)?(USD|EUR|GBP|JPY|CNY|RMB|INR|CHF|CAD|AUD|RUB|Rs\.?) ?\}? ?(?=-?[\d.])")
DEGREES = re.compile(r" ?\^\\circ ?(?:\\text ?\{ ?)?([CFK]?) ?\}?$")
PERCENT = re.compile(r" ?\\?%$")
NO_ANGLE = re.compile(r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc)")
POWER = r"(?: ?\^ ?(?:\{ ?(-?\d) ?\}|(\d)))?"
SEPARATOR = {"": " ", "/": "/", r"\cdot": "*"}


def _joined(pair: re.Match[str]) -> str:
    return pair[1] + SEPARATOR[pair[2]] + pair[3]


FLAT = (
    (re.compile(r"(?<=[\d} ])[\[(] ?(\\text ?\{[^{}]*\}(?:\^\d)?) ?[\])]$"), r"\1"),
    (re.compile(r"(\\text ?\{[^{}]*)\^ ?\{ ?(-?\d) ?\}"), r"\1^\2"),
    (re.compile(r"(\\text ?\{[^{}]*?) ?\} ?\\cdot ?\\text ?\{ ?([^{}]*\})"), r"\1*\2"),
    (
        re.compile(rf"\\frac ?\{{ ?(\\text ?\{{[^{{}}]*\}}{POWER}) ?\}} ?\{{ ?(\\text ?\{{[^{{}}]*\}}{POWER}) ?\}}"),
        r"\1/\4",
    ),
    (
        re.compile(r"\\text ?\{([^{}]*)\}(?: ?\^ ?(?:\{ ?(-?\d) ?\}|(\d)))"),
        lambda m: f"\\text{{{m[1]}^{m[2] or m[3]}}}",
    ),
    (re.compile(r"(\\text ?\{[^{}]*?) ?\} ?(/|\\cdot|) ?\\text ?\{ ?([^{}]*\})"), _joined),
)
IN_TEXT = re.compile(r" ?\\text ?\{([^{}]*)\}$")
IN_BRACKETS = re.compile(r" ?(?:\((?=[A-Za-z]{2})|\[)([A-Za-z][A-Za-z ]*)[\])]$")
FOREIGN = re.compile(r" ?(?<![^\W\d_])((?=[a-zA-Z]*[^\W\d_a-zA-Z])[^\W\d_]+(?:/[^\W\d_]+)?)\.?$")
BARE = re.compile(
    r"(?<=[\d}) ])(?<!_)([kMGm]?\\Omega|[A-Za-z][A-Za-z./ -]*(?:\^-?\d[A-Za-z./ -]*)*[A-Za-z.])(?:\^(-?\d|\{-?\d\}))?$"
)
LETTERS = re.compile(r"(?<=[\d ])([kMGm]?\\Omega|[A-Za-z]{1,2})$")
MEASURED = re.compile(r"-?[\d.,]+ [msghNLVJW]")  # 5 m, but 5m is a product
SURE = frozenset({"cm", "mm", "km", "kg", "mL", "ml", "Hz", "kJ", "kW", "am", "pm"})
"""Letters that are a unit where they touch a number, though they may be variables."""

DIGIT_EXPONENT = re.compile(r"(?<=\d) ?(mm|cm|dm|km|m|ft|in|yd)([23])$")
VALUE_END = re.compile(r"(?<!\}_)(?<!\}_\{\d)[\d})\]!]$|\\pi$|\\infty$|\\circ$")
BASE = re.compile(
    r"\(?((?=[A-Fa-f]*\d|[A-Fa-f]{2,}\)? ?_ ?\{? ?\(? ?(?:16|\\text))[\dA-Fa-f]+)\)? ?"  # a letter alone is a variable
    r"(?:_ ?(?:\{ ?\(?(?:\\text ?\{)?(?:base )?(\w+)\}?\)? ?\}|(\d+))"
    r"|(?:\\text ?\{)? ?\(?(?:in )?base[ -](\w+)\)? ?\}?)"
)
PER = re.compile(" (?:per|pro|par|por) ")
COMMA = re.compile("[,;]")
EXPONENT = {
    "carrés": 2,
    "carré": 2,
    "cuadrados": 2,
    "cuadrado": 2,
    "quadrati": 2,
    "quadrados": 2,
    "square": 2,
    "sq": 2,
    "sq.": 2,
    "cubic": 3,
    "squared": 2,
    "cubed": 3,
}
BEHIND = re.compile(r"(?i)ed$|arrés?$|ad[io]s?$|ati$")
"""Exponents that stand behind their unit."""
GERMAN = re.compile(r"(?i)\b(quadrat|kubik)(?=[a-z]{4})")
APART = frozenset({"degree", "celsius", "fahrenheit", "kelvin", "%", "am", "pm"})
IDLE = frozenset({"of", "the", "a", "an", "in", "total", "about", "approximately", "each", "per"})


def split_unit(text: str) -> list[tuple[str, Unit]]:
    """Return a normalised value and its unit, in every way in which `text` can be read, the likeliest first."""
    if base := BASE.fullmatch(text):
        name = base[2] or base[3] or base[4]
        number = name if name.isdigit() else str(in_words(name) or name)
        return [(base[1].upper(), frozenset({f"base {number}"}))]
    text = DIGIT_EXPONENT.sub(r" \1^\2", text)
    # A currency sign in front (after a minus, too) or behind.
    bare, unit = text, NO_UNIT
    sign, code = CURRENCY_SIGN.search(text), CODE.match(text)
    if sign and (text[: sign.start()].strip() in ("", "-") or sign.end() == len(text)):
        bare, unit = (text[: sign.start()] + text[sign.end() :]).strip(), frozenset({CURRENCY[sign.group()[-1]]})
    elif code:
        bare, unit = code[1] + text[code.end() :], frozenset({_known(code[2]) or code[2].lower()})
    mark = PERCENT.search(bare)
    if mark and mark.start():
        return [(bare[: mark.start()].strip(), frozenset({"%"}))]
    mark = DEGREES.search(bare)
    if mark and mark.start() and not NO_ANGLE.search(bare):
        words = {"": (), "C": ("celsius",), "F": ("fahrenheit",), "K": ("kelvin",)}[mark[1]]
        return [(bare[: mark.start()].replace(r"^\circ", "").strip(), frozenset({"degree", *words}))]
    value, words_unit, factor = _words(bare)
    if words_unit or value != bare:
        return [
            (value if factor == 1 else rf"({value})\cdot {factor.numerator}/{factor.denominator}", unit | words_unit)
        ]
    # What may be a unit as well as variables.
    letters = LETTERS.search(bare)
    if letters and letters[1] in SYMBOLS and VALUE_END.search(value := bare[: letters.start()].strip()):
        known = unit | {SYMBOLS[letters[1]]}
        sure = letters[1] in SURE
        readings = [(value, known if sure or MEASURED.fullmatch(bare) else known | {MAYBE}), (bare, unit)]
        return readings if sure else readings[::-1]
    return [(bare, unit)]


def split_units(text: str) -> list[tuple[str, Unit]]:
    """Return what `split_unit` does; of a list, in which each value has the same unit, that unit."""
    opening = next((bracket for bracket in (r"\{", "(", "[") if text.startswith(bracket)), "")
    whole = opening and matching(text, len(opening) - 1) == len(text) - 1
    closing = text[-len(opening) :] if whole else ""
    items = split(text[len(opening) : -len(closing)] if whole else text, COMMA)
    parts = [split_unit(item)[0] for item in items] if len(items) > 1 else []
    if parts and parts[0][1] and len({unit for _, unit in parts}) == 1:
        values = ", ".join(value for value, _ in parts)
        return [(f"{opening}{values}{closing}" if whole else values, parts[0][1])]
    return split_unit(text)


def agree(left: Unit, right: Unit) -> bool:
    """Tell whether two units may be the same."""
    if MAYBE in left or MAYBE in right:
        return bool(left and right) and left - {MAYBE} == right - {MAYBE}
    return left <= right or right <= left


def _words(text: str) -> tuple[str, Unit, Fraction]:
    """Strip the words behind a value, bare ones only where they cannot be variables: the value, its unit and scale."""
    if r"\text" in text:
        for pattern, flat in FLAT:
            while (flatter := pattern.sub(flat, text)) != text:
                text = flatter
    found = IN_TEXT.search(text) or IN_BRACKETS.search(text) or FOREIGN.search(text)
    words = found[1] if found else ""
    if not found:
        found = BARE.search(text)
        words = found[1] + (f"^{found[2].strip('{}')}" if found[2] else "") if found else ""
        told = words if found and "-" in (found[2] or "") and " " in words else found[1] if found else ""
        if not found or not _surely_words(told, text[found.start() - 1] == " "):
            return text, NO_UNIT, Fraction(1)
    value = text[: found.start()].strip()
    if not VALUE_END.search(value):
        return text, NO_UNIT, Fraction(1)
    unit, factor = _unit(words)
    before, more, times = _words(value)  # `5 million \text{ dollars}`
    return before, unit | more, factor * times


def _surely_words(text: str, apart: bool) -> bool:
    """Tell words from variables; two letters that touch the number (`2mg`) may be either."""
    words = re.split(r"[ /^-]+", re.sub(r"\^-?\d", "", text))
    if PER.search(text):
        return apart
    if "/" in text or "^" in text:
        units = all(SYMBOLS.get(word) or NAMES.get(word.lower()) for word in words if word)
        return apart and units and ("-" not in text or len(max(words, key=len)) > 1)  # m s^-1 may be variables
    known = all(word in SYMBOLS or word.lower().rstrip(".") in (NAMES | SYMBOLS | EXPONENT) for word in words)
    long = any(len(word) > 3 and word.isalpha() and (apart or word.islower()) for word in words)
    scaled = any(scale(word) > 1 and (apart or len(word) > 3) for word in words)
    return all(len(word) > 1 or word in IDLE for word in words) and (
        long or scaled or (known and (apart or len(text) > 2))
    )


def _unit(words: str) -> tuple[Unit, Fraction]:
    r"""Return the unit of `red apples`, `square feet`, `m/s^2`, `million dollars per year` and its scale.

    Units that are known are multiplied: m/s, m s^-1 and `meters per second` are one word.
    """
    factor, others, exponents, sign, power = Fraction(1), [], dict[str, int](), 1, 1
    last = ""
    if not words.isascii() and not _known(words) and (scaled := SCALE_BEHIND.match(words)):
        words = f"{scaled[0].rstrip('元')} {words[scaled.end() - scaled[0].endswith('元') :]}"  # 万元
    words = GERMAN.sub(lambda power: "square " if power[1][0] in "qQ" else "cubic ", words)
    for word in re.findall(
        r"[^ ~,/*]+|/", re.sub(r"\b(?:per|pro|par|por)\b|\ban?\b(?= \w+$)", "/", words.replace(r"\cdot", "*"))
    ):
        name, _, exponent = word.strip("()").partition("^")
        if scale(word) > 1:
            factor *= scale(word)
        elif word.endswith("s") and PARTS.get(word[:-1], 4) != 4:  # 3 hundredths, but no coins
            factor /= PARTS[word[:-1]]
        elif word == "/":
            sign = -1
        elif word.lower() in EXPONENT and (last or not BEHIND.search(word)):
            if BEHIND.search(word):
                exponents[last] *= EXPONENT[word.lower()]
            else:
                power = EXPONENT[word.lower()]
        elif (last := _known(name)) and last not in APART:
            exponents[last] = exponents.get(last, 0) + sign * power * int(exponent or 1)
            power = 1
        elif name and name not in IDLE:
            others.append(last or _singular(name))
            last = ""
    product = " ".join(f"{name}^{exponent}" if exponent != 1 else name for name, exponent in sorted(exponents.items()))
    return frozenset([*others, *([product] if product else [])]), factor


def _known(word: str) -> str:
    """Return the one name of a known unit, "" for any other word. In symbols small and capital letters differ."""
    plain = word.replace(".", "")
    lower = plain.lower()
    return SYMBOLS.get(plain) or NAMES.get(lower) or NAMES.get(_singular(lower)) or SYMBOLS.get(lower) or ""


def _singular(word: str) -> str:
    lower = word.replace(".", "").lower()
    return lower.removesuffix("s") if len(lower) > 3 else lower  # `gas`
