r"""Where formulas stand in a text, and which side of one is the answer.

A formula is delimited (`$…$`, `\(…\)`, `\[…\]`, an environment) or a run of what only mathematics is written with:
numbers, operators, brackets, commands, single letters. A run without a number or command says nothing, and so does
the letter that a sentence gives a quantity. Formulas are never cut: where one ends in a number, it is not that number.

Everything reads the text once, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

DELIMITER = re.compile(r"\\begin\s*\{([a-zA-Z]+\*?)\}|\$\$|\\[\[(]|\\.|\$", re.DOTALL)
CLOSING = {"$$": "$$", "$": "$", r"\[": r"\]", r"\(": r"\)"}
MAX_INLINE = 2000  # characters of one formula between dollars
SPELLED = re.compile(r"\\(?:text|mathrm|textbf|textit|mbox|operatorname|textnormal|mathbf)\s*\{[^{}]*\}")
COMMAND = re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}|\\[a-zA-Z]+|\\.")
FUNCTIONS = r"sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sqrt|cbrt|log|ln|exp|pi|inf|infinity|mod|max|min|gcd|lcm|det"
PROSE = re.compile(rf"(?<![^\W\d_])(?!(?:{FUNCTIONS}|and|or|if|[A-Z]+)(?![^\W\d_]))[^\W\d_]{{3,}}")
NUMBER = r"""(?:
      \d{1,3}(?:(?:,|\{,\}|,\\!|\\,|\\!|,\\!\ |\ ?\{\s*,\s*\}\ ?|\ )\d{3})+(?!\d)(?:\.\d+)?  # grouped by three
    | \d+(?::\d+)+                                                       # a ratio, a time
    | \d+\ \d+/\d+                                                       # a mixed number
    | \d+\.\d*\(\d+\)                                                       # a period
    | \d*[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]
    | \d+(?:[.,]\d+)*(?:\.{3}|…)?(?:[eE][-+]?\d+)?
    | \.\d+(?:[eE][-+]?\d+)?
  )(?:[ ]?\\?%)?"""
ALPHA = r"[A-Za-z\u00c0-\u024f\u0370-\u052f]"  # letters of scripts that put spaces between words
ALNUM = r"[A-Za-z0-9\u00c0-\u024f\u0370-\u052f]"
TOKEN = re.compile(
    rf"""
      (?P<stop> \n\s*(?:[-*•>]+|\(?\d{{1,3}}[.)])[ ] | \n | [.;!?。](?=\s|$|[^\x00-\x7f]) )
    | (?P<word> (?<!{ALNUM})(?!(?:{FUNCTIONS})\s*[(\d]){ALPHA}(?:{ALPHA}|['’])(?:{ALNUM}|['’_])*
                (?:-[A-Za-z]+)*(?:\^\{{?-?\d+\}}?)?
                (?:/{ALPHA}+(?:\^\{{?-?\d+\}}?)?)? | \d+-?(?:st|nd|rd|th)\b | \d+-[A-Za-z]{{2,}} )
    | (?P<math> (?:\\?[$€£¥]\s?)?{NUMBER}(?:\s?[€£¥°](?![A-Za-z]))? | (?:{FUNCTIONS})(?=\s*[(\d])
        | \\(?:text|mathrm|textbf|mbox|operatorname)\s*\{{[^{{}}]*\}} | \\[a-zA-Z]+ | \\[,;:!%$ {{}}]
        | (?<!{ALNUM})[A-Za-z\u0370-\u03ff](?!{ALPHA}) | (?<=\d)[A-Za-z](?!{ALNUM})
        | [-+*/^=<>≤≥≠≈±×÷·∙⋅|!(){{}}\[\],:_&√∞∅∪∩∈π∠△°′″%'−–²³] )
    | (?P<space> [ \t]+ )
    | (?P<other> . )""",
    re.VERBOSE | re.DOTALL,
)
MAX_RUN = 2000
LEADING = re.compile(
    r"(?:[=,:;*/)\]}<>!'_^&|·×–\s]|\.(?!\d)|\\(?:[,;:! ]|(?:quad|qquad|approx|Rightarrow|implies)(?![a-zA-Z]))"
    r"|[A-Za-z]\s+(?=[\d.$€£¥]))+"
)
TRAILING = re.compile(r"(?:[-+=,:;*/(\[{<>'_^&·×–!]|\s+[aAIeoy]|\s|\\(?:[,;: ]|quad|qquad)?)+\Z")
TELLING = re.compile(
    r"\d|[½⅓⅔¼¾∞∅π√]|\\(?!text|mathrm|mbox|q?quad|left|right|end|[^a-zA-Z])|(?:sqrt|log|ln|sin|cos|tan)\s*\("
)
NUMBERED = re.compile(
    r"(?:step|case|part|problem|question|exercise|figure|eq|equation|section|chapter|table|example|lemma|theorem"
    r"|method|option|line|note|schritt|étape|paso|шаг)s?\s*\(?$",
    re.IGNORECASE,
)
NAME = r"(?:\\[a-zA-Z]+|[A-Za-z\u0370-\u03ff])(?:_(?:\{[^{}]*\}|\w))?'*"
NAMES = re.compile(rf"\(?\s*{NAME}(?:\s*,\s*{NAME})*\s*\)?")
CALLED = re.compile(rf"{NAME}\s*\(.*\)")
ROWS = re.compile(r"(?:align|aligned|split|gather|gathered|eqnarray|equation|multline|displaymath|math)\*?")
CALCULATED = re.compile(r"\\approx|\\simeq|\\doteq|≈|≃")
FOLLOWS = re.compile(r"\\(?:Rightarrow|implies|Longrightarrow|Leftrightarrow|iff)(?![a-zA-Z])|⇒|⟹|⇔")
RELATION = re.compile(r"<|>|≤|≥|≠|\\(?:le|ge|leq|geq|leqslant|geqslant|lt|gt|ne|neq|in|equiv)(?![a-zA-Z])|!=")
EVALUATED = re.compile(r"\\(?:i*int|oint|sum|prod|lim)(?![a-zA-Z])")
GEOMETRY = re.compile(
    r"[A-Z|\s]*|(?:m\s*)?\\(?:angle|triangle|overline|widehat|text|mathrm|operatorname)\b.*|[A-Z]_\{?[A-Z]{2,}\}?"
)


@dataclass(frozen=True, slots=True)
class Formula:
    """One formula, without its delimiters, and the span that it takes with them."""

    start: int
    end: int
    text: str
    delimited: bool


def formulas(text: str, begin: int = 0) -> Iterator[Formula]:
    """Yield the formulas of a text in their order, those without delimiters from `begin` on."""
    for formula in delimited(text):
        if formula.end > begin:
            yield from _runs(text, begin, formula.start)
            yield formula
            begin = formula.end
    yield from _runs(text, begin, len(text))


def delimited(text: str) -> Iterator[Formula]:
    """Yield the delimited formulas; what stands between two dollars and reads as prose is money."""
    at, missing = 0, set[str]()
    while mark := DELIMITER.search(text, at):
        at = mark.end()
        closing = rf"\end{{{mark[1]}}}" if mark[1] else CLOSING.get(mark[0], "")
        if not closing or closing in missing:
            continue
        end = text.find(closing, at)
        while closing == "$" and end > 0 and text[end - 1] == "\\":
            end = text.find(closing, end + 1)
        if end < 0:
            missing.add(closing)
            continue
        inside = text[at:end]
        if closing == "$" and (len(inside) > MAX_INLINE or _is_money(inside, text[end + 1 : end + 2])):
            continue
        end += len(closing)
        whole = text[mark.start() : end] if mark[1] and not ROWS.fullmatch(mark[1]) else inside
        if inside.strip():
            yield Formula(mark.start(), end, whole.strip(), delimited=True)
        at = end


def _is_money(inside: str, after: str) -> bool:
    """Tell whether `inside`, between two dollars with `after` behind, is prose between two sums of money."""
    if inside.isalpha():
        return False
    if "\n\n" in inside or PROSE.search(SPELLED.sub("", COMMAND.sub(_kept_spelled, inside))):
        return True
    return inside[:1].isdigit() and inside[-1:].isspace() and (after.isdigit() or after == "$")


def _kept_spelled(command: re.Match[str]) -> str:
    return command[0] if SPELLED.match(command.string, command.start()) else " "


def _runs(text: str, begin: int, end: int) -> Iterator[Formula]:
    """Yield the formulas without delimiters between two positions."""
    start = stop = begin
    depth, equation = 0, False
    for token in TOKEN.finditer(text, begin, end):
        kind, mark = token.lastgroup, token[0]
        # A comma separates numbers of a sentence, but neither coordinates nor equations; a colon ends a label.
        ends = depth <= 0 and text[token.end() : token.end() + 1] in " \n"
        comma = ends and mark == "," and not equation
        colon = ends and mark == ":" and not text[token.start() - 1].isspace()
        if kind == "math" and not comma and not colon:
            depth += (mark[-1] in "([{") - (mark[-1] in ")]}")
            equation |= mark == "="
            start, stop = (token.start() if start == stop else start), token.end()
        elif kind != "space":
            yield from _run(text, start, stop)
            start = stop = token.end()
            depth, equation = 0, False
    yield from _run(text, start, stop)


def _run(text: str, start: int, stop: int) -> Iterator[Formula]:
    """Yield the run between two positions without what hangs over at its ends, if it says anything."""
    if stop - start > MAX_RUN:
        return
    while True:
        before = start, stop
        lead = LEADING.match(text, start, stop)
        start = lead.end() if lead else start
        tail = TRAILING.search(text[start:stop])
        stop = start + tail.start() if tail else stop
        run = text[start:stop]
        hanging = sum(map(run.count, "([{")) - sum(map(run.count, ")]}"))
        start += hanging > 0 and run[:1] in "([{"
        stop -= (hanging < 0 and run[-1:] in ")]}") or (run[-1:] == "|" and run.count("|") % 2)
        if before == (start, stop) or start >= stop:
            break
    run = text[start:stop]
    if TELLING.search(run) and not (run.isdigit() and NUMBERED.search(text, max(0, start - 12), start)):
        yield Formula(start, stop, run, delimited=False)


def last_side(formula: str) -> str:
    r"""Return what a formula says in the end: of a calculation its result, of `x = 5+6 = 11` that `x = 11`.

    An equation between two expressions, an inequality and a list of equations are whole. A rounded value goes where the
    exact one is there too.
    """
    formula = FOLLOWS.split(formula)[-1].strip()
    if formula[:1] + formula[-1:] in ("()", "[]") and "=" in formula and "," not in formula:
        formula = formula[1:-1].strip()  # (3 + 4 = 7)
    if RELATION.search(formula):
        return formula
    exact, *rounded = (side.strip() for side in CALCULATED.split(formula))
    sides = _sides(exact)
    if rounded and not sides[-1]:
        return rounded[0]
    if rounded and len(sides) == 1 and not _is_value(sides[0]):
        return rounded[0] if not NAMES.fullmatch(exact) else f"{exact} = {rounded[0]}"
    first, last = sides[0], sides[-1]
    if NAMES.fullmatch(first) and len(sides) > 1 and last:
        return f"{first} = {last}"
    named = not first or len(sides) > 2 or GEOMETRY.fullmatch(first)
    result = _is_value(last) and (_is_value(first) or CALLED.fullmatch(first) or EVALUATED.match(first))
    return last if len(sides) > 1 and last and (named or result) else exact


def _sides(formula: str) -> list[str]:
    """Return the sides between the equals signs outside of brackets; of a list of equations, the whole."""
    cuts, depth = [-1], 0
    for at, mark in enumerate(formula):
        depth += (mark in "([{") - (mark in ")]}")
        if depth <= 0 and mark == "=":
            cuts.append(at)
        elif depth <= 0 and mark in ",;" and len(cuts) > 1 and "=" in formula[at:]:
            return [formula]
    cuts.append(len(formula))
    return [formula[cut + 1 : end].strip(" &") for cut, end in pairwise(cuts)]


def _is_value(side: str) -> bool:
    """Tell whether there is no variable in it."""
    return not re.search(r"[A-Za-z]", COMMAND.sub("", SPELLED.sub("", side)))
