"""The fenced blocks of a text, read forgivingly: indented, never closed, closed at the end of a line of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tts.programs.bare import has_code, starts_with_code
from tts.programs.quotes import open_quote

PYTHON_TAG = re.compile(r"\{?\.?(?:python|py|ipython|sage)(?:\d[\w.]*)?(?![\w+-])", re.IGNORECASE)
MARKS = re.compile(r"(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)")
AFTER_TAG = re.compile(r"(?:python|py)\d?[ \t]+(?P<code>(?:def|class|import|from)[ ].*)", re.IGNORECASE)
LATE_MARKS = re.compile(r"[^`]*[:.]?[ \t](?P<marks>`{3,})[ \t]*(?P<info>[^`\s]+)[ \t]*")
ONE_LINE = re.compile(
    r"[ \t]*(?P<marks>`{3,})[ \t]*(?P<info>(?:python|py)\d?(?=[ \t]))?(?P<code>[^`]+)(?P=marks)[ \t]*"
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: what follows the opening marks, the code between, and whether closing marks came."""

    info: str
    code: str
    closed: bool

    @property
    def is_python(self) -> bool:
        """Whether the block says that it is Python."""
        return PYTHON_TAG.match(self.info) is not None


def begins_inside(text: str) -> bool:
    """Tell whether the prompt opened a fence: code stands before the first marks, and these close more than they open.

    That is so where they end a line of code, are the only ones, or leave one too many for pairs.
    """
    if not starts_with_code(text):
        return False
    before: list[str] = []
    quote = ""
    for line in text.split("\n"):
        marks = None if quote else MARKS.fullmatch(line)
        is_late = not quote and _closes_late(line, "```")
        if marks or is_late:
            break
        before.append(line)
        quote = open_quote(line, quote)
    else:
        return False
    if ONE_LINE.fullmatch(line) or not has_code("\n".join([*before, line.rstrip("` ")])):
        return False
    if not marks:
        return True
    rest = text.split("\n")[len(before) + 1 :]
    later = [found["info"].strip() for each in rest if (found := MARKS.fullmatch(each))]
    return not marks["info"].strip() and (not later or bool(later[0]) or len(later) % 2 == 0)


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks in order.

    Marks inside a triple-quoted string are the program's own. A block that opens inside another ends it, and one that
    is never closed runs to the end of the text. One of longer marks around blocks of Python's is no program: they are.
    """
    for block in _outer_blocks(text):
        yield from _outer_blocks(block.code) if _holds_blocks(block) else [block]


def _outer_blocks(text: str) -> Iterator[Block]:
    opened: re.Match[str] | None = None
    code: list[str] = []
    quote = ""
    for line in text.split("\n"):
        if opened is None:
            one_line = ONE_LINE.fullmatch(line)
            if one_line:
                yield Block(one_line["info"] or "", one_line["code"].strip(), closed=True)
            # Marks open a block alone on the line, or after words if they say that Python follows.
            late = LATE_MARKS.fullmatch(line)
            opens = MARKS.fullmatch(line) or (late if late and PYTHON_TAG.fullmatch(late["info"]) else None)
            opened, code, quote = None if one_line else opens, [], ""
            first = AFTER_TAG.fullmatch(opened["info"]) if opened else None
            if first:
                code, quote = [first["code"]], open_quote(first["code"])
            continue
        marks = None if quote else MARKS.fullmatch(line)
        if marks and marks["marks"].startswith(opened["marks"]):
            yield _block(opened, code, closed=not marks["info"].strip())
            opened, code = (marks if marks["info"].strip() else None), []
        elif not quote and _closes_late(line, opened["marks"]):
            yield _block(opened, [*code, line.rstrip().rstrip("`")], closed=True)
            opened = None
        else:
            code.append(line)
            quote = open_quote(line, quote)
    if opened is not None:
        yield _block(opened, code, closed=False)


def _closes_late(line: str, marks: str) -> bool:
    """Tell whether the marks that close a block stand at the end of its last line of code."""
    return line.rstrip().endswith(marks) and line.count("`") == len(marks) and "#" not in line


def _block(opened: re.Match[str], code: list[str], *, closed: bool) -> Block:
    return Block(opened["info"].strip(), "\n".join(code), closed)


def _holds_blocks(block: Block) -> bool:
    quote = ""
    for line in block.code.split("\n") if not block.is_python else ():
        marks = None if quote else MARKS.fullmatch(line)
        if marks and PYTHON_TAG.match(marks["info"]):
            return True
        quote = open_quote(line, quote)
    return False
