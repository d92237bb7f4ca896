"""A completion: the rest of a function whose beginning the problem gave."""

from __future__ import annotations

import re
from textwrap import dedent, indent

from tts.programs.bare import code_runs

DEF = re.compile(r"^([ \t]*)(?:async[ \t]+)?def[ \t]", re.MULTILINE)
FUTURE = re.compile(r"^from __future__ import .*$", re.MULTILINE)
FLAT_RETURN = re.compile(r"^return\b", re.MULTILINE)
GOES_ON = re.compile(
    r"(?:async[ ]+)?def[ ]+\w+[ ]*\(|class[ ]+\w+[ ]*[(:]|@\w|import[ ]+\w|from[ ]+[\w.]+[ ]+import\b|\#"
)


def complete(starter_code: str, body: str) -> str:
    """Return the program that begins with `starter_code` and goes on with `body`.

    The body may have lost its indentation, or that of its first line alone (a tokenizer's doing).
    """
    start = starter_code.rstrip(" \t").rstrip("\n")
    return f"{start}\n{_indented(body, _body_indent(start))}\n"


def with_preamble(preamble: str, code: str) -> str:
    """Return `code` with `preamble` before it; imports from `__future__` stay first, where Python wants them."""
    preamble = preamble.strip("\n")
    if not preamble or preamble in code:
        return code
    futures = "".join(f"{line}\n" for line in FUTURE.findall(code))
    return f"{futures}{preamble}\n\n\n{FUTURE.sub('', code)}"


def leading_body(text: str) -> str:
    """Return the part of a raw continuation that completes the function: up to the first top-level statement.

    Functions, classes and imports that follow are kept, since the body may use them; what else follows is not. A body
    that lost all its indentation, which a `return` at the top level gives away, goes on while it looks like code.
    """
    if FLAT_RETURN.search(text):
        return code_runs(text)[0]
    kept: list[str] = []
    for line in text.split("\n"):
        top_level = bool(line) and not line[0].isspace()
        if top_level and any(map(str.strip, kept)) and not GOES_ON.match(line):
            break
        kept.append(line)
    return "\n".join(kept).rstrip()


def _body_indent(start: str) -> str:
    """Return the indentation of the body of the last function in `start`."""
    found = list(DEF.finditer(start))
    if not found:
        return ""
    outer = found[-1][1]
    after = start[found[-1].end() :].split("\n")[1:]
    first = next((line for line in after if line.strip()), "")
    inner = first[: _depth(first)]
    return inner if len(inner) > len(outer) else f"{outer}    "


def _indented(body: str, wanted: str) -> str:
    """Give the body its indentation, whichever part of it is missing."""
    first, *rest = body.strip("\n").rstrip().split("\n")
    # Does the first line alone stand further left than the lines after it say it should?
    depths = [_depth(line) for line in rest if line.strip() and not GOES_ON.match(line)]
    opens = first.rstrip().endswith(":")
    if depths and _depth(first) < len(wanted) <= min(depths) and (not opens or depths[0] > len(wanted)):
        return "\n".join([wanted + first.lstrip(), *rest])
    if not first[:1].isspace():
        return indent("\n".join([first, *rest]), wanted)
    size = next((number for number, line in enumerate(rest) if line and not line[0].isspace()), len(rest))
    return "\n".join([indent(dedent("\n".join([first, *rest[:size]])), wanted), *rest[size:]])


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
