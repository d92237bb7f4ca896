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
from tts.verifiers.math.wording import NOT_IT, REASON, announced, final_part, last_tag
from tts.verifiers.text import last_line, plain

COMMANDS = re.compile(r"\\(?:[a-zA-Z]+\*?|[()\[\]])|[{}$]")
SPACING = re.compile(r"\\[ ,;:!~]|~|\\(?:quad|qquad|space)(?![a-zA-Z])")
MARKS = " \t\r\n*_`\"'\\"
NAMED = r"(?:(?:the\s+)?(?:option|choice|answer|letter|answer\s+choice)\b[\s:*_]*)?"
LONE = re.compile(rf"{NAMED}[(\[]*([a-z])[)\]]*[.:,;!]?", re.IGNORECASE)
LABELLED = re.compile(
    rf"{NAMED}(?:[(\[]+([a-z])[)\]]+|([a-z])(?:\s*[)\]:.]))(?=\s|$|[.,;:]|[^\x00-\x7f])", re.IGNORECASE
)
# A capital letter before other words; «A» and «I» may be English, and are letters only before what ends their clause
# or has a capital letter itself, as options do.
GOES_ON = (
    r"because|since|as|for|which|given|based|due|from|with|that|if|when|where|while|and|but|not|rather|instead|by|in|on|at"
    r"|I|here|under|per|is|was|would|can|seems|so|thus|therefore|hence|according|considering|this|these|it|we|he|she|they|there"
)
STATED = re.compile(
    rf"{NAMED}[(\[]*([B-HJ-Z]|[AI](?=\s*(?:[,;:.!?()\]–—-]|$)|\s+(?:{GOES_ON})\b|\s+[A-Z][a-z]))(?![A-Za-z0-9'])",
    re.DOTALL,
)
SENTENCE = re.compile(
    r"(?<![A-Za-z0-9'])(?:(?:option|choice|answer)\s+)?[(\[]?([A-Z])[)\]]?\s+(?:is|ist|est|es|è|é|must\s+be|seems(?:\s+to\s+be)?|would\s+be)\s+"
    r"(?:therefore\s+|clearly\s+|indeed\s+|most\s+likely\s+)?(?:the\s+)?(?:most\s+|only\s+)?"
    r"(?:correct[ea]?|corrett[ao]|corret[ao]|richtig|korrekt|juste|exacte|right|best|true|accurate|answer|appropriate)(?![A-Za-z])"
    r"|\b(?:I(?:'d|\s+would|'ll|\s+will)?\s+(?:go\s+with|choose|pick|select|say|answer)"
    r"|I\s+(?:think|believe)\s+(?:it(?:'s|\s+is)|that\s+it\s+is)|it\s+(?:must|has\s+to)\s+be)\s+"
    r"(?:option\s+)?[(\[]?([B-HJ-Z]|[AI](?=\s*(?:[,;:.!?)\]]|$)))(?![A-Za-z0-9'])"
    r"|\bit(?:['’]s|\s+is)\s+[(\[]?([B-HJ-Z]|[AI](?=[)\]]?[.!]|$))[)\]]?(?=\s*(?:[,;.!]|$))"
    r"|(?:\b(?:hence|therefore|thus|so|clearly|obviously|definitely|choose|select|pick|alternativ[ae])\b[,:]?\s+(?:option\s+)?|\bleav(?:es|ing)\s+(?:only\s+|us\s+with\s+)?(?:option\s+)?|[选選](?:择|擇|项|項)?\s*(?:是|为|為|:)?\s*)"
    r"[(\[]?([A-Z])[)\]]?\s*(?=[.!。正]|$)",
    re.IGNORECASE | re.MULTILINE,
)
SUBJECT = re.compile(
    r"""\b(?:choice|option|letter|solution|lösung|alternativ[ae]|opci[óo]n|opzione|opção)\b
    (?:\s+(?:correct[ae]?|corrett[ao]|corret[ao]))?[*_\s"']*
    (?:\b(?:is|are|(?:would|must|should)\ be|ist|est|es|è|é)\b|[:=])""",
    re.IGNORECASE | re.VERBOSE,
)
OPTION = re.compile(r"\b(?:option|choice)\s+[(\[]?[a-z][)\]]?\s*$")
OTHER = re.compile(
    r"\b(?:other|another|second|next|last|remaining|wrong|incorrect|false|worst|eliminated|bad)\s+\W*$", re.IGNORECASE
)
SURE = re.compile(
    r"(?:definitely|certainly|clearly|for sure|simply|therefore|likely|most likely|probably|either|both|then"
    r"|la|le|el|die|das)\s+",
    re.IGNORECASE,
)
SEVERAL = re.compile(
    r"[)\]*]*\s*(?:,|;|/|&|\+|\b(?:and|or|und|et|y)\b)+\s*(?:or\s+|and\s+)?[(\[*]*([A-Za-z])[)\]*]*(?=\s*(?:$|[.,;/&\n)]|and\b|or\b))"
)
BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*|__([^_\n]{1,200})__")
HEAD = re.compile(
    r"\s*[*_]*[(\[]?([A-Z])(?:[)\]*_]*[.:,;]|[)\]]|[*_]*\s*\n|\s*[–—]|\s+(?=(?:because|since|as|is)\b)|(?=[^\x00-\x7f]))"
)
SEVERAL_NAMED = "?"


class ChoiceVerifier(Component):
    """Answers that are the letter of an option: A is the first of `Problem.choices`, B the second, and so on.

    A letter beyond the last option is no answer, nor are two letters. A problem without `choices` (they stand in its
    prompt) takes any letter. An answer or a reference may also be the whole text of exactly one option; where it could
    be read both ways, it is a letter.
    """

    def extract(self, problem: Problem, text: str) -> Answer | None:
        r"""Return the letter in the last `<answer>…</answer>`, else in the last `\boxed{…}`, else after «answer is» or
        «Answer:», in a sentence such as «C is correct», in bold, alone on the last line, or with which the text begins.

        None where none of these names an option, or the first that does names several.
        """
        for rule, said, sentence in _statements(final_part(text)):
            letter = letter_of(problem.choices, said, sentence=sentence)
            if letter:
                return None if letter == SEVERAL_NAMED else Answer(letter, rule)
        return None

    def group(self, problem: Problem, answers: Sequence[Answer | None]) -> Grouping:
        """Return one node per letter, or per text that names no option."""
        return group_keys([_key(problem, answer) for answer in answers])

    def verify(self, problem: Problem, answers: Sequence[Answer | None], reference: Reference) -> list[Verdict]:
        """Return one verdict per answer: passed, failed (no_answer, wrong_answer), or undecided.

        Undecided: no_reference, or unparsable_reference where the reference names no option (a number is not taken
        for an option's position).
        """
        known = (reference.answer or "").strip()
        expected = letter_of(problem.choices, last_box(known) or known, sentence=True)
        unknown = "unparsable_reference" if known else "no_reference"
        return judge_keys([_key(problem, answer) for answer in answers], expected.strip(SEVERAL_NAMED) or None, unknown)


def letter_of(choices: Sequence[str], statement: str, *, sentence: bool = False) -> str:
    """Return the capital letter of the option that `statement` names, "" if none, SEVERAL_NAMED if more than one.

    In a `sentence` a capital letter may also go before other words; «A» and «I» only where they cannot be English.
    """
    letters = ascii_uppercase[: len(choices)] if choices else ascii_uppercase
    said = COMMANDS.sub("", SPACING.sub(" ", statement)).strip(MARKS)
    first = re.match(rf"{NAMED}[(\[]*([A-Za-z])[)\]*_]*(?![A-Za-z0-9'])", said, re.IGNORECASE)
    if first and first[1].upper() in letters:
        several = SEVERAL.match(said, first.end())
        if several and several[1].upper() in letters and several[1].isupper() == first[1].isupper():
            return SEVERAL_NAMED if several[1].upper() != first[1].upper() else first[1].upper()
        # The letter with its option's own words behind it: «C London», «A Paris is».
        told = plain(said[first.end() :].lstrip(" )].:-*(=,>–—→"))
        own = plain(choices[letters.index(first[1].upper())]) if choices else ""
        if own and first[1].isupper() and re.match(rf"{re.escape(own)}(?!\w)", told):
            return first[1].upper()
    named = LONE.fullmatch(said) or LABELLED.match(said) or (STATED.match(said) if sentence else None)
    if named:
        letter = str(named[named.lastindex or 0]).upper()
        if letter in letters:
            return letter
    words = re.sub(r"\s*\([A-Za-z]\)\.?$", "", REASON.split(said, maxsplit=1)[0])  # «London (C)», «London, because …»
    same = [index for index, choice in enumerate(choices) if plain(choice) in (plain(said), plain(words))]
    return ascii_uppercase[same[0]] if len(same) == 1 else ""


def _statements(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (rule, words, whether they are a sentence) where an answer may be stated, the surest first."""
    tagged = last_tag(text)
    if tagged:
        yield "tag", tagged, False
    yield "boxed", last_box(text), False
    bare = re.sub(r"\*\*|__", "", text)
    for end in announced(bare):
        said = bare[end:].lstrip(MARKS).partition("\n")[0]
        yield "phrase", (match.string[match.end() :] if (match := SURE.match(said)) else said), True
    for subject in reversed(deque(SUBJECT.finditer(bare), maxlen=50)):
        if not OTHER.search(bare, max(0, subject.start() - 40), subject.start()):
            yield "phrase", bare[subject.end() :].lstrip(MARKS).partition("\n")[0], True
    for told in reversed(deque(SENTENCE.finditer(bare), maxlen=50)):
        letter = told[told.lastindex or 0]
        named = letter.isupper() or OPTION.search(told[0])
        if named and not NOT_IT.search(bare, max(0, told.start() - 30), told.start()):
            yield "phrase", letter.upper(), False
    for bold in deque(BOLD.finditer(text), maxlen=1):
        yield "bold", bold[1] or bold[2], False
    yield "last_line", last_line(text), False
    head = HEAD.match(text)
    if head:
        yield "first_letter", head[1], False


def _key(problem: Problem, answer: Answer | None) -> str | None:
    """Return the letter that an answer names, else its own plain text."""
    if answer is None:
        return None
    return letter_of(problem.choices, answer.text).strip(SEVERAL_NAMED) or plain(answer.text) or None
