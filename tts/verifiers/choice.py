r"""The multiple-choice verifier: the answer is the letter of one of the problem's options."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from string import ascii_uppercase

from tts.components.component import Component
from tts.types import Answer, Grouping, Problem, Reference, Verdict
from tts.verifiers.math.by_key import group_keys, judge_keys
from tts.verifiers.math.extract import last_box
from tts.verifiers.text import last_line, plain

OPTION = r"(?:\b(?:option|choice|answer)\b[\s:*_]*)?"
PHRASE = re.compile(r"\b(?:answer|choice|option)\b[*_\s]*(?:\b(?:is|are)\b|[:=])[*_:\s]*" + OPTION, re.IGNORECASE)
BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*|__([^_\n]{1,200})__")
COMMANDS = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf|mbox|left|right)\b|\\[()\[\]]")
LONE = re.compile(OPTION + r"[(\[{]*([a-z])[)\]}]*[.:,;!]?", re.IGNORECASE)
LABELLED = re.compile(OPTION + r"(?:[(\[{]+([a-z])[)\]}]+|([a-z])(?:\s*[)\]}:.]))(?=\s|$|[.,;:])", re.IGNORECASE)
STATED = re.compile(r"([B-HJ-Z]|[AI](?=\s*[,;.–—-]|\s+(?:because|since|as|for|which)\b))(?![\w'])")
MARKS = " \t\r\n*_`$\"'\\"


class ChoiceVerifier(Component):
    """Answers that are the letter of an option: A is the first of `Problem.choices`, B the second, and so on.

    A letter beyond the last option is no answer. A problem without `choices` (they stand in its prompt) takes any
    letter. An answer or a reference may also be the whole text of exactly one option; where it could be read both
    ways, it is a letter.
    """

    def extract(self, problem: Problem, text: str) -> Answer | None:
        r"""Return the letter in the last `\boxed{…}`, else after «answer is» or «Answer:», else in bold, else alone
        on the last line; None where none of these names an option.
        """
        statements = (("boxed", last_box(text)), *_statements(text))
        letters = ((rule, letter_of(problem.choices, said, sentence=rule == "phrase")) for rule, said in statements)
        return next((Answer(letter, rule) for rule, letter in letters if letter), None)

    def group(self, problem: Problem, answers: Sequence[Answer | None]) -> Grouping:
        """Return one node per letter, or per text that names no option."""
        return group_keys([_key(problem, answer) for answer in answers])

    def verify(self, problem: Problem, answers: Sequence[Answer | None], reference: Reference) -> list[Verdict]:
        """Return one verdict per answer: passed, failed (no_answer, wrong_answer), or undecided.

        Undecided: no_reference, or unparsable_reference where the reference names no option (a number is not taken
        for an option's position).
        """
        known = (reference.answer or "").strip()
        expected = letter_of(problem.choices, last_box(known) or known) or None
        unknown = "unparsable_reference" if known else "no_reference"
        return judge_keys([_key(problem, answer) for answer in answers], expected, unknown)


def letter_of(choices: Sequence[str], statement: str, *, sentence: bool = False) -> str:
    """Return the capital letter of the option that `statement` names, "" if none.

    In a `sentence` a capital letter may also go before other words; «A» and «I» only where they cannot be English.
    """
    said = COMMANDS.sub("", statement).strip(MARKS)
    named = LONE.fullmatch(said) or LABELLED.match(said) or (STATED.match(said) if sentence else None)
    if named:
        letter = str(named[named.lastindex or 0]).upper()
        if letter in (ascii_uppercase[: len(choices)] if choices else ascii_uppercase):
            return letter
    same = [index for index, choice in enumerate(choices) if plain(choice) == plain(said.rstrip("}").lstrip("{"))]
    return ascii_uppercase[same[0]] if len(same) == 1 else ""


def _statements(text: str) -> Iterator[tuple[str, str]]:
    """Yield (rule, words) where an answer may be stated, the surest first."""
    for phrase in deque(PHRASE.finditer(text), maxlen=1):
        yield "phrase", text[phrase.end() :].lstrip().partition("\n")[0]
    for bold in deque(BOLD.finditer(text), maxlen=1):
        yield "bold", bold[1] or bold[2]
    yield "last_line", last_line(text)


def _key(problem: Problem, answer: Answer | None) -> str | None:
    """Return the letter that an answer names, else its own plain text."""
    return (letter_of(problem.choices, answer.text) or plain(answer.text) or None) if answer else None
