"""The program in an answer: which of its fenced blocks, which lines without fences, or the rest of a function.

Nothing is parsed, compiled or run; every rule is textual, takes linear time and cannot raise.
"""

from __future__ import annotations

import re
from dataclasses import replace
from textwrap import dedent

from tts.programs.bare import code_runs, has_code, starts_with_code
from tts.programs.cleaning import TAG, between_marks, without_prose, without_quotation, without_special_tokens
from tts.programs.completion import complete, leading_body, with_preamble
from tts.programs.fences import Block, begins_inside, blocks
from tts.types import Answer

THOUGHT = re.compile(r"\s*<(think|thinking|thought|reasoning)>")
THOUGHT_END = re.compile(r"</think>[ \t]*(?=\n|\Z)")
READS_INPUT = re.compile(r"\binput\s*\(|\bstdin\b|\bopen\s*\(\s*0")
PRINTS = re.compile(r"\bprint\s*\(|\bstdout\b")
RETURNS = re.compile(r"^\s*(?:return|yield|raise)\b", re.MULTILINE)
TOP_LEVEL_DEF = re.compile(r"^(?:(?:async[ ]+)?def|class)[ ]", re.MULTILINE)
ASSIGNED = r"[A-Za-z_]\w*[ ]*(?::[^=\n]+)?=(?!=)"
APART = re.compile(r"(?:async[ ]+def|def|class)[ ]|@\w")
ACTS = re.compile(r"\b(?:input|open|exit|quit)\s*\(|\b(?:stdin|argv)\b|^[ \t]*(?:assert|raise)\b")
PRINTS_OR_CALLS = r"\bprint\s*\(|\bstdout\b|^[ \t]*\w+\("
NAMES = re.compile(
    rf"^(?:(?:async[ ]+)?def|class)[ ]+(\w+)|^(?={ASSIGNED})(\w+)|^(\w+(?:[ ]*,[ ]*\w+)+)[ ]*=(?!=)"
    r"|^[ \t]*(?:from[ ]+[\w.]+[ ]+)?import[ ]+(\([^)]*\)|.+)",
    re.MULTILINE,
)
STAR = re.compile(r"^from[ ]+[\w.]+[ ]+import[ ]+\*", re.MULTILINE)
WORD = re.compile(r"[^\W\d]\w*")


def extract(text: str, entry_point: str = "", starter_code: str = "") -> Answer | None:
    """Return the program that `text` hands in and the rule that found it; None where there is none.

    Rules: `fenced`, `fenced_parts` (with other blocks that define what it uses), `unclosed_fence`, `bare` (lines
    that look like code), `fenced_completion` and `completion` (the rest of `starter_code`). The last block or run of
    lines that defines `entry_point` counts (that reads the input, where it is empty), Python before other tags. What
    stands before the function in `starter_code` is put before a program that leaves it out. Left-over tokens, typeset
    characters, prose and notebook commands are taken out (see `cleaning`); a text may begin inside a fence.
    """
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    answer = TAG.sub("", between_marks(without_quotation(without_special_tokens(without_thinking(unified)))))
    if begins_inside(answer):
        answer = f"```python\n{answer}"
    wanted = _definition(entry_point)
    found = [replace(block, code=without_prose(dedent(block.code)).strip("\n")) for block in blocks(answer)]
    found = [block for block in found if block.code.strip()]
    if entry_point and found and not any(wanted.search(block.code) for block in found):
        runs = [run for run in code_runs(answer) if wanted.search(run)]  # the function stands beside the blocks
        if runs:
            return Answer(_with_preamble(runs[-1], wanted, starter_code), "bare")
    if found:
        return _from_blocks(found, wanted, entry_point, starter_code)
    return _from_lines(answer, wanted, starter_code)


def without_thinking(text: str) -> str:
    """Return what follows the thinking section that `text` begins with: nothing, where it never ends."""
    opened = THOUGHT.match(text)
    if opened:
        return text.partition(f"</{opened[1]}>")[2]
    closed = None if "<think>" in text else THOUGHT_END.search(text)
    return text[closed.end() :] if closed else text


def _definition(entry_point: str) -> re.Pattern[str]:
    """Return what finds the place where `entry_point` is defined; without one, where the input is read."""
    if not entry_point:
        return READS_INPUT
    names = "|".join(map(re.escape, entry_point.split(".")))
    return re.compile(
        rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+(?:{names})\b|^(?:{names})[ \t]*=[ \t]*lambda\b", re.MULTILINE
    )


def _from_blocks(found: list[Block], wanted: re.Pattern[str], entry_point: str, starter_code: str) -> Answer:
    place = max(range(len(found)), key=lambda place: (*_fitness(found[place], wanted), place))
    best = found[place]
    if starter_code and not wanted.search(best.code) and not TOP_LEVEL_DEF.search(best.code):
        return Answer(complete(starter_code, best.code), "fenced_completion")
    others = [block.code for block in (*reversed(found[:place]), *found[place + 1 :])]
    parts = _with_parts(best.code, others, entry_point)
    rule = "unclosed_fence" if not best.closed else "fenced" if parts is best.code else "fenced_parts"
    return Answer(_with_preamble(parts, wanted, starter_code), rule)


def _fitness(block: Block, wanted: re.Pattern[str]) -> tuple[bool, ...]:
    """Return what makes a block the program, the most telling first. What defines the function needs no tag."""
    defines = wanted.search(block.code) is not None
    is_session = block.code.lstrip().startswith((">>>", "$ "))
    return defines, not is_session, defines or block.is_python, has_code(block.code), defines or not block.info


def _with_parts(code: str, others: list[str], entry_point: str) -> str:
    """Put before `code` those other blocks that define a name which it uses and lacks, the nearest first.

    Where a function is asked for, one that may end the program too early stands below instead, where this does not
    count.
    """
    used, defined = set(WORD.findall(code)), _defined(code)
    for part in others:
        names = _defined(part)
        if not ((names & used) - defined or STAR.search(part)):
            continue
        if _only_prepares(part, entry_point):
            code = f"{part}\n\n\n{code}"
        elif entry_point and TOP_LEVEL_DEF.search(part) and not names & defined:
            code = f"{code}\n\n\n{part}"
        else:
            continue
        used.update(WORD.findall(part))
        defined |= names
    return code


def _only_prepares(part: str, entry_point: str) -> bool:
    """Tell whether a block, run before the program, does it no harm: it reads, checks and ends nothing.

    It may print where it defines functions, to show how they work, and a function is asked for; this it must not call.
    """
    names = "|".join(map(re.escape, entry_point.split(".")))
    shows = entry_point and TOP_LEVEL_DEF.search(part)
    acts = "|".join(([rf"\b(?:{names})\s*\("] if names else []) + ([] if shows else [PRINTS_OR_CALLS]))
    apart = False
    for line in part.split("\n"):
        # What functions and classes hold runs only when they are called, and a main guard in no function's tests.
        if line[:1].strip() and line[0] not in "#)]}":
            apart = APART.match(line) is not None or (bool(entry_point) and line.startswith("if __name__"))
        if not apart and (ACTS.search(line) or re.search(acts, line)):
            return False
    return True


def _defined(code: str) -> set[str]:
    """Return the names that the top level of `code` defines or imports."""
    return {name for groups in NAMES.findall(code) for group in groups for name in WORD.findall(group)}


def _from_lines(text: str, wanted: re.Pattern[str], starter_code: str) -> Answer | None:
    runs = code_runs(text)
    programs = [run for run in runs if wanted.search(run)]
    if programs:
        return Answer(_with_preamble(programs[-1], wanted, starter_code), "bare")
    if starter_code and starts_with_code(text):
        return Answer(complete(starter_code, leading_body(text)), "completion")
    if starter_code and runs and RETURNS.search(runs[-1]):
        return Answer(complete(starter_code, runs[-1]), "completion")
    programs = [run for run in runs if PRINTS.search(run)]
    return Answer(programs[-1], "bare") if programs and wanted is READS_INPUT else None


def _with_preamble(code: str, wanted: re.Pattern[str], starter_code: str) -> str:
    """Put before `code` what stands before the function in `starter_code`: imports and functions that it may use."""
    start = wanted.search(starter_code)
    return with_preamble(starter_code[: start.start()], code) if start else code
