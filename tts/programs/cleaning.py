"""Rids a text of what no program can hold: tokens of chat templates, characters of word processors, prose, notebooks.

Strings and comments are left as they are. A line is taken for prose only where Python could not read it, so that no
program loses what it needs.
"""

from __future__ import annotations

import keyword
import re
from textwrap import dedent

from tts.programs.bare import starts_with_code
from tts.programs.quotes import MASK, masked

SPACES = dict.fromkeys((0xB, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")
UNSEEN = dict.fromkeys((0x0, 0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF), "")
TYPESET = {ord(a): b for a, b in zip("“”„‟‘’‚‛−–（）［］｛｝，：；＝", "\"\"\"\"''''--()[]{},:;=", strict=True)}
TYPED = SPACES | UNSEEN | TYPESET
"""What stands for characters that are no Python outside of strings."""

SPECIAL = (
    r"<[|｜][\w▁]*(?:[|｜]>?)?|</?s>|<(?:[be]os|pad|unk)>|<(?:start|end)_of_turn>"
    r"|<(?:(?:fim|jupyter|issue|commit|file|repo)_\w+|filename|reponame|empty_output)>"
)
LEADING = re.compile(rf"(?:[ \t]*(?:{SPECIAL}))+")
STRAY = rf"{SPECIAL}|</?(?:code|answer|solution|python)>|\[/?INST\]"
ANY_STRAY = re.compile(rf"{STRAY}|[\x00\x0b]")
TRAILING = re.compile(rf"(?:(?:{STRAY})(?:assistant|user|system|analysis|final)?[ \t]*)+$")
TURN_END = re.compile(
    r"<[|｜](?:endoftext|end▁of▁sentence|eo[tm]_id|im_end|eos)[|｜]>|</s>|(?:<eos>|<end_of_turn>)(?=[ \t]*$)"
)

BEGIN = re.compile(r"^[ \t]*\[BEGIN\]", re.MULTILINE)
DONE = re.compile(r"^[ \t]*\[DONE\]|\[DONE\][ \t]*$", re.MULTILINE)
WRAPPED = re.compile(r"""\s*(?P<quote>'''|\"{3}|'|")(?P<code>.*?)(?P=quote)?\s*""", re.DOTALL)

TAG = re.compile(r"\A\s*(?:python|py)3?[ \t]*\n", re.IGNORECASE)
"""The tag of a fence alone on the first line."""

QUOTED_FENCE = re.compile(r"^[ \t]*>[ \t]*(?:`{3}|~{3})", re.MULTILINE)
QUOTED = re.compile(r"^[ \t]*>(?![>=])[ ]?", re.MULTILINE)

NOTEBOOK = re.compile(
    r"[ \t]*(?:!(?!=)|%%\w|%(?:pip|conda|matplotlib|time|timeit|load_ext|autoreload|reset|run|cd|pylab|config)\b)"
)
PROMPTED = re.compile(r"[ \t]*(?:>>>|\.\.\.)(?: |$)")
WORD = r"[^\W\d]\w*"
MARK = re.compile(r"(?:[-*+>•]|\d+[.)])\s+")
PAIR = re.compile(rf"(?<![\w.]){WORD}(?=[ ]+({WORD}))")
SENTENCE = re.compile(rf"{WORD}[\w ,'()/-]*[.:!?。！？]")
BOLD = re.compile(r"\*\*[^*].*")
KEYWORDS = frozenset((*keyword.kwlist, *keyword.softkwlist))


def without_special_tokens(text: str) -> str:
    """Return the text up to where the turn ends, without tokens at the ends of lines, every character as Python's."""
    if text.isascii() and not ANY_STRAY.search(text):
        return text
    kept: list[str] = []
    quote = ""
    for line in text.split("\n"):
        outside, after = masked(line, quote)
        # Characters: as many as before but for the unseen ones, so that the mask still fits until they go.
        if not (line.isascii() and line.isprintable()):
            pairs = zip(line, outside, strict=True)
            line = "".join(a if mask == MASK else a.translate(TYPED) for a, mask in pairs)  # noqa: PLW2901 - the same line
            outside, after = masked(line, quote)
        quote = after
        # Tokens: what ends the turn, where anything came before, else those at the line's end and beginning.
        end = TURN_END.search(outside)
        if end and any(TRAILING.sub("", LEADING.sub("", each)).strip() for each in (*kept, line[: end.start()])):
            return "\n".join((*kept, TRAILING.sub("", line[: end.start()]).rstrip()))
        trailing, leading = TRAILING.search(outside), LEADING.match(outside)
        if trailing:
            line = line[: trailing.start()].rstrip()  # noqa: PLW2901 - the same line
        kept.append(line[leading.end() :] if leading else line)
    return "\n".join(kept)


def between_marks(text: str) -> str:
    """Return what stands between `[BEGIN]` and `[DONE]`, without the quotes around it; all, where these are missing."""
    begin = BEGIN.search(text)
    text = text[begin.end() :] if begin else text
    done = DONE.search(text)
    if not begin and not done:
        return text
    text = text[: done.start()] if done else text
    quoted = WRAPPED.fullmatch(text)
    return dedent(quoted["code"]) if quoted and starts_with_code(quoted["code"]) else text


def without_quotation(text: str) -> str:
    """Return the text without the marks of a quotation before its lines, if there is a fence in one."""
    return QUOTED.sub("", text) if QUOTED_FENCE.search(text) else text


def without_prose(code: str) -> str:
    """Return a program without the lines at its top level that are prose or a notebook's, and without prompts."""
    lines = TAG.sub("", code).split("\n")
    if PROMPTED.match(next((line for line in lines if line.strip()), "")):
        lines = [PROMPTED.sub("", line, count=1) for line in lines if PROMPTED.match(line)]
    kept: list[str] = []
    quote, depth = "", 0
    for line in lines:
        inside = quote or depth > 0
        outside, quote = masked(line, quote)
        if not inside and (NOTEBOOK.match(outside) or _is_prose(outside)):
            quote = ""  # an apostrophe opens none
            continue
        depth = max(0, depth + sum(map(outside.count, "([{")) - sum(map(outside.count, ")]}")))
        kept.append(line)
    return "\n".join(kept)


def _is_prose(outside: str) -> bool:
    """Tell whether a line, its strings masked, is a sentence at the top level and nothing that Python can read."""
    marked = MARK.match(outside)
    text = outside[marked.end() if marked else 0 :].strip()
    if not text or outside[0].isspace() or not (text[0].isalpha() or text[0] == "*"):
        return False
    first = re.match(WORD, text)
    if first and first.group() in KEYWORDS and not first.group().istitle():
        return False
    is_item = marked is not None and marked.group()[0].isdigit()
    if is_item or BOLD.fullmatch(text) or SENTENCE.fullmatch(text):
        return True
    pairs = ((found.group(), found[1]) for found in PAIR.finditer(text))
    has_pair = any(one not in KEYWORDS and other not in KEYWORDS for one, other in pairs)
    return has_pair and (marked is not None or not text[0].islower() or text[-1] in ".:!?。！？")
