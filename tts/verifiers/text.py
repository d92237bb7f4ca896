r"""The text verifier: exact match of short answers, letter case, spacing and outer punctuation aside."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from tts.components.component import Component
from tts.types import Answer, Grouping, Problem, Reference, Verdict
from tts.verifiers.math.by_key import group_keys, judge_keys
from tts.verifiers.math.extract import ORNAMENT, last_box
from tts.verifiers.math.wording import REASON, announced, final_part, last_tag

SENTENCE_END = re.compile(r"(?<=\w{4})[.!?](?=\s)|[。!?](?=[^\x00-\x7f])|。|\n")
TEXT_COMMAND = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox)\s*\{([^{}]*)\}")
COPULA = re.compile(r"(?:です|である|입니다|이다|이에요|예요)\W*$")
OUTER = " \t\r\n\"'`*_.,;:!?$«»“”‘’"


class TextVerifier(Component):
    """Answers that are words. Two are equal if they are alike in Unicode's NFKC form, case-folded, spaces collapsed.

    Quotes, Markdown marks and punctuation around the whole answer do not count; articles and everything inside do.
    """

    def extract(self, problem: Problem, text: str) -> Answer | None:  # noqa: ARG002 - every verifier gets the problem
        r"""Return the last `<answer>…</answer>`, else the last `\boxed{…}`, else what follows «answer is» or «Answer:».

        Without any of these it is the last line that is not blank; None where all lines are.
        """
        rules = (("tag", last_tag), ("boxed", last_box), ("phrase", last_phrase), ("last_line", last_line))
        text = final_part(text)
        found = ((rule, TEXT_COMMAND.sub(r"\1", find(text)).strip()) for rule, find in rules)
        return next((Answer(answer, rule) for rule, answer in found if plain(answer)), None)

    def group(self, problem: Problem, answers: Sequence[Answer | None]) -> Grouping:  # noqa: ARG002 - as above
        """Return one node per plain text."""
        return group_keys([_key(answer) for answer in answers])

    def verify(
        self,
        problem: Problem,  # noqa: ARG002 - as above
        answers: Sequence[Answer | None],
        reference: Reference,
    ) -> list[Verdict]:
        """Return one verdict per answer: passed, failed (no_answer, wrong_answer) or undecided (no_reference)."""
        return judge_keys([_key(answer) for answer in answers], plain(reference.answer or "") or None, "no_reference")


def plain(text: str) -> str:
    """Return `text` in the form in which answers are compared; "" for one that says nothing."""
    text = unicodedata.normalize("NFKC", TEXT_COMMAND.sub(r"\1", text)).casefold()
    return " ".join(text.split()).strip(OUTER)


def last_phrase(text: str) -> str:
    """Return what follows the last «answer is» or «Answer:» on its line, or on the next; "" if there is none.

    The reason that a sentence gives for it is no part of it.
    """
    for end in announced(text):
        sentence = SENTENCE_END.split(text[end:].lstrip(OUTER), maxsplit=1)[0]
        said = COPULA.sub("", ORNAMENT.sub("", REASON.split(sentence, maxsplit=1)[0])).strip(OUTER + "{}[]")
        if said:
            return said
    return ""


def last_line(text: str) -> str:
    """Return the last line that is not blank."""
    return text.rstrip().rpartition("\n")[2].strip()


def _key(answer: Answer | None) -> str | None:
    return (plain(answer.text) or None) if answer else None
