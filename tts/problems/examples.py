"""The examples that a function's docstring shows, as assert statements.

They are doctests, lines such as `f(2) == 4`, `f(2) -> 4` or `f(2) # returns 4`, and pairs of `Input:` and `Output:`.
Only examples whose arguments and result are literals are taken; what reads in two ways is left out.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

SIGN = re.compile(r"[ \t]*(?:==?>?|-+>|=+>|➞|→|\#?[ \t]*(?:returns?|should[ ]return|will[ ]return))[ \t]*:?[ \t]*")
INPUT_OUTPUT = re.compile(r"\bInput:[ \t]*(.+)\n+[ \t]*Output:[ \t]*(.+)")
OPENING, CLOSING = "([{", ")]}"


def docstring_examples(prompt: str, entry_point: str) -> list[str]:
    """Return an assert statement for each example after the definition of `entry_point`, in order, none twice."""
    definition = re.search(rf"^def {re.escape(entry_point)}\b", prompt, re.MULTILINE)
    text = prompt[definition.end() :] if definition else ""
    found = [*_called(text, entry_point), *_listed(text, entry_point)]
    return list(dict.fromkeys(f"assert {call} == {expected}" for call, expected in found))


def _called(text: str, entry_point: str) -> Iterator[tuple[str, str]]:
    """Yield (call, result) of examples that call the function by its name."""
    for place in re.finditer(rf"(>>> *)?\b{re.escape(entry_point)}\(", text):
        end = _closing(text, place.end())
        call = text[place.start() : end].removeprefix(place[1] or "")
        rest, _, after = text[end:].partition("\n")
        sign = SIGN.match(rest)
        if place[1] and not rest.strip():
            result = after.partition("\n")[0]
        elif sign:
            result = rest[sign.end() :]
        else:
            continue
        if (expected := _literal(result)) and _arguments(call):
            yield call, expected


def _listed(text: str, entry_point: str) -> Iterator[tuple[str, str]]:
    """Yield (call, result) of examples of the form `Input: xs = [1, 2], k = 1`, `Output: 3`."""
    for given, result in INPUT_OUTPUT.findall(text):
        arguments, expected = _arguments(f"{entry_point}({given})"), _literal(result)
        if arguments and expected:
            yield f"{entry_point}({', '.join(arguments)})", expected


def _closing(text: str, start: int) -> int:
    """Return the place after the bracket that closes the one before `start`; quoted brackets do not count."""
    depth, quote = 1, ""
    for place in range(start, len(text)):
        char = text[place]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        else:
            depth += (char in OPENING) - (char in CLOSING)
            if depth == 0:
                return place + 1
    return len(text)


def _literal(text: str) -> str:
    """Return the literal that `text` is, its comment and final full stop aside; "" where it is none."""
    said = re.sub(r"^(true|false)\b", lambda word: word[0].title(), text.strip().removesuffix("."))
    tree = _parsed(said)
    return ast.unparse(tree) if tree and _is_literal(tree) else ""


def _arguments(call: str) -> list[str]:
    """Return the sources of a call's arguments, named ones by position; [] where there are none to trust."""
    tree = _parsed(call)
    if not isinstance(tree, ast.Call):
        return []
    values = [*tree.args, *(keyword.value for keyword in tree.keywords)]
    return [ast.unparse(value) for value in values] if all(map(_is_literal, values)) else []


def _parsed(source: str) -> ast.expr | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return False
    return True
