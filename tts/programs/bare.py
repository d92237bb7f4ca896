"""Code that stands in a text without fences: runs of lines that look like Python, told without parsing them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent

from tts.programs.quotes import open_quote

PROSE = re.compile(
    r"\s*(?:\#\#|\d+[.)]\s|[-*+]\s|\*\*|>|\[/?[A-Z]+\]|</?\w+>|```|~~~|if[ ]__name__[ ]*is|for[ ]example\b)", re.VERBOSE
)
TARGET = r"[A-Za-z_][\w.]*(?:\[[^\]\n]{0,80}\])?"
STATEMENT = re.compile(
    rf"""\s*(?:
        (?:async\ +)?def\ +\w+\s*[(\[] | class\ +\w+\s*[(:\[] | @\w
      | import\ +\w | from\ +[\w.]+\ +import\b
      | (?:if|elif|while|for|async|with|match|case)\b.*: | (?:try|else|finally|except\b.*)\s*:
      | (?:return|raise|assert|del|global|nonlocal|yield|pass|break|continue)\b
      | \*?{TARGET}(?:\ *,\ *\*?{TARGET}){{0,20}}\ *(?::\ *[\w.\[\],|\ ]{{1,60}})?(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=(?!=)
      | [a-z_][\w.]*\(.*[)(\[{{,:]\s*(?:\#.*)?$
      )""",
    re.VERBOSE,
)
BODY = re.compile(r"(?:[ ]{2,}|\t)\s*\S|#(?!#)")
CONTINUED = re.compile(r"\s+\S|\s*(?:#|[\"'(\[{)\]}\d]|\"\"\"|''')")


def code_runs(text: str) -> list[str]:
    """Return the longest runs of lines that look like code, in order, without their common indentation."""
    return [dedent("\n".join(run)).strip("\n") for run in _runs(text.split("\n"))]


def starts_with_code(text: str) -> bool:
    """Tell whether the first line that is not blank is indented, a comment or a statement."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    return BODY.match(first) is not None or _is_statement(first)


def has_code(text: str) -> bool:
    """Tell whether any line looks like a statement."""
    return any(map(_is_statement, text.split("\n")))


def _runs(lines: list[str]) -> Iterator[list[str]]:
    run: list[str] = []
    quote = ""
    for line in lines:
        # A statement belongs to the run, and so does what goes on with it.
        goes_on = run and (not line.strip() or (CONTINUED.match(line) and not PROSE.match(line)))
        if quote or goes_on or _is_statement(line):
            run.append(line)
            quote = open_quote(line, quote)
        else:
            if run:
                yield run
            run = []
    if run:
        yield run


def _is_statement(line: str) -> bool:
    return STATEMENT.match(line) is not None and not PROSE.match(line)
