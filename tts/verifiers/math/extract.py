r"""The final answer of a solution: its last complete `\boxed{…}`, else «the answer is …», else its last number.

Every rule reads the text once; none can raise or take more than linear time.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from tts.types import Answer

BRACE = re.compile(r"\\\\?(?:boxed|fbox)\s*\{|\\\\?boxed[ \t]+(?P<bare>-?[\w./]*\w)|\\.|[{}]", re.DOTALL)
BLANK = re.compile(r"\s*")
PHRASE = re.compile(r"\banswers?\b[*_]*\s*(?:\b(?:is|are)\b|[:=])|^[ \t>*]*\#{4}", re.IGNORECASE | re.MULTILINE)
DELIMITED = re.compile(
    r"(?:\s*,?\s*(?:\b(?:and|or)\b)?\s*)"
    r"(?:\$\$([^$]+)\$\$|\$([^$\n]+)\$(?!\d)|\\\((.*?)\\\)|\\\[(.*?)\\\])",
    re.DOTALL,
)
SENTENCE_END = re.compile(r"\n|\.(?=\s|$)|[;!?](?=\s|$)|,?\s(?:because|since|so|which|as)\s")
NUMBER = re.compile(
    r"""(?<![\w.]) (?:(?<![)\]}])[-+\u2212])? \\?\$?
        (?: \\[dt]?frac\{-?\d+\}\{-?\d+\}
          | \d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?
          | \d+(?::\d+)+
          | \d+(?:\.\d+)?(?:[eE][-+]?\d+)?
          | \.\d+ )
        (?:/\d+)? (?:[ ]?\\?%)?""",
    re.VERBOSE,
)
PHRASE_WINDOW = 1000
MAX_PHRASE_WORDS = 6


def extract(text: str) -> Answer | None:
    r"""Return the final answer of `text` and the rule that found it (`boxed`, `phrase`, `last_number`), or None.

    A box whose braces never close is not an answer, nor is an empty one: the box before it counts. `\fbox` is a box.
    """
    for rule, find in (("boxed", last_box), ("phrase", last_phrase), ("last_number", last_number)):
        found = find(text)
        if found:
            return Answer(found, rule)
    return None


def last_box(text: str) -> str:
    r"""Return the content of the last `\boxed{…}` that is complete and not empty; "" where there is none."""
    spans = deque(_boxes(text), maxlen=1)
    return text[slice(*spans[0])].strip() if spans else ""


def _boxes(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each complete, non-empty box's content, in the order in which the boxes close."""
    opened: list[int | None] = []  # where each open box's content starts; None for any other brace
    for token in BRACE.finditer(text):
        mark = token.group()
        if token["bare"]:
            yield token.span("bare")
        elif mark == "}":
            start = opened.pop() if opened else None
            if start is not None and BLANK.match(text, start).end() < token.start():  # type: ignore[union-attr]  # BLANK always matches
                yield start, token.start()
        elif mark[-1] == "{" and mark != r"\{":
            opened.append(token.end() if len(mark) > 1 else None)


def last_phrase(text: str) -> str:
    """Return what follows the last «answer is», «Answer:» or «####», without its Markdown or dollar signs."""
    for phrase in reversed(list(PHRASE.finditer(text))):
        found = _statement(text[phrase.end() : phrase.end() + PHRASE_WINDOW])
        if found:
            return found
    return ""


def _statement(tail: str) -> str:
    """Return the answer that `tail` begins with: its leading formulas, else its first sentence."""
    tail = tail.lstrip(" \t\r\n*_:`=")
    formulas = []
    while delimited := DELIMITED.match(tail):
        formulas.append(delimited[delimited.lastindex or 0].strip())
        tail = tail[delimited.end() :]
    if formulas:
        return ", ".join(formulas)
    sentence = SENTENCE_END.split(tail, maxsplit=1)[0].strip(" \t*_`.")
    number = NUMBER.match(sentence)
    return number.group() if number and len(sentence.split()) > MAX_PHRASE_WORDS else sentence


def last_number(text: str) -> str:
    """Return the last number of `text` (sign, thousands, decimals, fraction, percent and all); "" if there is none."""
    last = deque(NUMBER.finditer(text), maxlen=1)
    return last[0].group().strip() if last else ""
