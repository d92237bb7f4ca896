"""What scorers share that ask models: what they may ask of a judge, and how its replies are read.

A judge is asked for one of a few marks. Where its engine tells the probabilities of named tokens, one token of it is
enough and every mark has its share; else replies are drawn and read. What cannot be read is no number: a model that
would rather say something else, a reply that names no mark, one that never comes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from tts.components.component import Component
from tts.components.slot import Slot
from tts.engines.local_model import Tag
from tts.errors import CallError
from tts.protocols import Calls, Engine
from tts.runs.candidates import split_thinking
from tts.types import Candidate, Completion, Decoding, Kind, Request

CRITERIA: Final[Mapping[Kind, str]] = {
    "math": "What counts is whether the final answer is right. Check every step and every calculation; style and "
    "length do not count.",
    "choice": "What counts is whether the chosen option is the right one. Style and length do not count.",
    "code": "What counts is whether the program does all that is asked, for every input that is allowed, the extreme "
    "ones included. Style and comments do not count.",
    "text": "What counts is how well it does what is asked: ideas, coherence, language. Length alone is no merit.",
}
"""What a judge is told to look at, by the kind of problem."""

MOST_UNTOLD = 0.02
"""How likely together the marks may be of which an engine did not tell, to count as 0."""

SCORED = r"score|mark|rating|grade|verdict|judge?ment"
"""What a mark on a scale is called; an «answer» is the candidate's, of which a judge may speak, too."""

PREFERRED = (
    SCORED + r"|winner|choice|(?:final|my)\s+answer|(?<!correct )answer(?=\W*:)"
    r"|(?:better|best|preferred)\s+(?:response|answer|solution|one)"
)
"""What one of two marks is called; of two responses that a reply names nobody can tell which it prefers."""

JOINED = r"\s*(?:[/,&+–—-]|(?:or|and|to)\b)\s*"
"""What makes two marks of one: `3-4`, `A/B`, `4, 5`."""


class Asks(Component):
    """A scorer that asks models (see `tts.protocols.AskingScorer`)."""

    requires: ClassVar[frozenset[str]] = frozenset()
    pointwise: ClassVar[bool] = True
    raw: ClassVar[bool] = False

    call_seconds: float = Field(default=600.0, gt=0)
    """How many seconds a model may take over one question. Then it counts as silent."""


def check_prompt(prompt: str, criteria: str | None, *words: str, key: str = "prompt") -> None:
    """Raise ValueError where a prompt lacks one of the words that make it ask, or criteria that are given."""
    for word in words:
        if f"{{{word}}}" not in prompt:
            raise ValueError(f"`{key}` must hold {{{word}}}, else it does not ask about these answers")
    if criteria is not None and "{criteria}" not in prompt:
        raise ValueError("`criteria` must be left out where `prompt` does not hold {criteria}, since nobody reads them")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge thinks: the share of each mark, summing to 1; None: it could not be told, and `why`.

    `figures` counts what was `asked`, and the replies that were `unread`. `untold`: it is the engine that could not
    tell, and not the judge.
    """

    shares: tuple[float, ...] | None
    why: str = ""
    untold: bool = False
    figures: Mapping[str, float] = field(default_factory=dict)


class AsksJudge(Asks):
    """A scorer that asks a model for one of a few marks."""

    judge: Annotated[Engine, Slot("engines")] | None = None
    """The model that judges; left out: the recipe's own."""

    by: Literal["auto", "probabilities", "samples"] = "auto"
    """probabilities: those of the marks as the judge's first token, exactly (one token a question). samples: replies
    are drawn, and read. auto: the first where the engine can (`ask_tokens`) and tells enough, else the second."""

    system: str = ""
    """A system message before the question; empty: none."""

    prefill: str = ""
    """What the reply begins with, such as an empty thinking section: `"<think>\\n\\n</think>\\n\\n"`."""

    thinking: Literal["strip", "keep"] = "strip"
    """Whether the judge reads what a candidate thought (keep), or its answer alone."""

    least_mass: float = Field(default=0.05, ge=0, lt=1)
    """How likely the marks must be together. Below it the judge would rather say something else, and cannot tell."""

    num_samples: int = Field(default=8, ge=1)
    """How many replies are drawn to a question, by samples."""

    temperature: float = Field(default=1.0, ge=0)
    """That of the samples."""

    max_tokens: int = Field(default=512, ge=1)
    """The most tokens of a sample, the judge's own thinking included."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes the judge's own thinking, which is not read."""

    @model_validator(mode="after")
    def _judge_can(self) -> Self:
        if self.by == "probabilities" and self.judge is not None and "ask_tokens" not in self.judge.capabilities():
            raise ValueError("`by: probabilities` needs a `judge` with the capability `ask_tokens`: use `by: samples`")
        return self

    @property
    def requires(self) -> frozenset[str]:  # type: ignore[override]  # of others it is known without their keys
        """What the recipe's own engine must be able to do, where it is the judge."""
        own = self.judge is None and self.by == "probabilities"
        return frozenset({"ask_tokens"} if own else ()) | ({"prefix"} if self.prefill and self.judge is None else set())

    @property
    def most_asked(self) -> int:
        """The most calls that one question takes."""
        return {"probabilities": 1, "samples": self.num_samples}.get(self.by, 1 + self.num_samples)

    @property
    def most_written(self) -> int:
        """The most tokens that one question has written."""
        samples = self.num_samples * self.max_tokens
        return {"probabilities": 1, "samples": samples}.get(self.by, 1 + samples)

    def shown(self, candidate: Candidate) -> str:
        """Return what the judge reads of a candidate."""
        return (whole(candidate) if self.thinking == "keep" else candidate.text).strip()

    async def opinion(self, calls: Calls, question: Request, marks: Sequence[str]) -> Opinion:
        """Ask the judge for one of the marks."""
        if self.by == "probabilities" or (self.by == "auto" and "ask_tokens" in calls.capabilities(self.judge)):
            decoding = Decoding(1, temperature=0.0, ask_tokens=tuple(marks))
            try:
                reply = await calls.generate(decoding, question.prefix, messages=question.messages, engine=self.judge)
            except CallError as error:
                return Opinion(None, str(error), figures={"asked": 1, "unread": 1})
            opinion = _probable(reply, marks, self.least_mass)
            if self.by == "probabilities" or not opinion.untold:
                return replace(opinion, figures={"asked": 1, "unread": int(opinion.shares is None)})
        decoding = Decoding(self.max_tokens, temperature=self.temperature)
        number = self.num_samples if self.temperature > 0 else 1
        asked = [
            calls.generate(decoding, question.prefix, messages=question.messages, engine=self.judge)
            for _ in range(number)
        ]
        votes, why = Counter[str](), Counter[str]()
        for pending in asked:
            try:
                mark = read_mark(await pending, marks, self.thinking_tags)
            except CallError as error:
                why[str(error)] += 1
            else:
                votes.update([mark] if mark is not None else [])
                why.update(["the reply names none of the marks, or several"] if mark is None else [])
        counted = {"asked": number, "unread": number - votes.total()}
        if 2 * votes.total() <= number:
            reason = why.most_common(1)[0][0]
            return Opinion(None, f"{votes.total()} of {number} replies could be read: {reason}", figures=counted)
        return Opinion(tuple(votes[mark] / votes.total() for mark in marks), figures=counted)


def _probable(reply: Completion, marks: Sequence[str], least_mass: float) -> Opinion:
    """Return the shares of the marks by their probabilities.

    A mark of which a server did not tell, because others were likelier, counts as 0 where all that was told leaves no
    more than `MOST_UNTOLD`.
    """
    told = reply.asked_logprobs
    if told is None:
        return Opinion(None, f"the engine did not tell how likely {', '.join(marks)} are", untold=True)
    masses = [0.0 if logprob is None else math.exp(logprob) for logprob in told]
    mass = math.fsum(masses)
    unknown = [mark for mark, logprob in zip(marks, told, strict=True) if logprob is None]
    if unknown and 1 - mass > MOST_UNTOLD:
        return Opinion(None, f"the engine could not tell how likely {', '.join(unknown)} are", untold=True)
    if mass < least_mass or mass == 0:
        why = f"the marks have {100 * mass:.1g} % together; `by: samples` reads what it says"
        return Opinion(None, f"the judge would rather say something else: {why}")
    return Opinion(tuple(one / mass for one in masses))


def read_mark(reply: Completion, marks: Sequence[str], tags: tuple[str, str]) -> str | None:
    """Return the mark that a reply names, None where it names none, or not clearly.

    It is the whole reply, or what the last «score», «verdict» or the like is said to be, whatever the letters' case;
    `4/5` and `4 out of 5` are 4 where 5 is the best mark, `-4`, `4 %`, `3-4` and `A/B` are none. One of two may stand
    before a reason, too («No, since …») that does not name the other. Of a reply that was cut nothing is read.
    """
    if reply.finish_reason != "stop":
        return None
    text = reply.text if reply.reasoning is not None else split_thinking(reply.text, tags, opened=reply.opened)[1]
    in_digits, either = marks[-1].isdigit(), "|".join(map(re.escape, marks))
    if in_digits:
        best = rf"(?:\s*(?:/|out of)\s*{marks[-1]}(?!\w|\.\d))?"
        mark = rf"(?<![-–−])({either}){best}(?!\w|[.,]\d|\s*(?:/|%|out of))(?!{JOINED}\d)"
        said, shown, value = "", "", r"\d"
    else:  # a letter that is an article is followed by a word
        mark = rf"((?i:{either}))(?=\s*(?:[^\w\s]|\n|$))(?!{JOINED}(?:{either})\b)"
        said = r"(?i:(?:boxed|(?:the\s+)?(?:(?:better|best)\s+)?(?:response|solution|option|answer)(?:\s+is)?)[\W_]+)?"
        shown = r"(?i:(?:response|solution|option)[\W_]+)?"
        value = r"[A-Za-z]\b" if len(marks[0]) == 1 else "[A-Za-z]"
    found = re.fullmatch(rf"[\W_]*{said}{mark}[\W_]*", text)
    if found is None:
        names = PREFERRED if len(marks) == 2 else SCORED
        named = list(re.finditer(rf"\b(?i:{names})(?![^\W_])(?: is| of)?[\W_]{{1,12}}{shown}(?={value})", text))
        found = re.compile(mark).match(text, named[-1].end()) if named else None
        if not named and len(marks) == 2:
            found = re.match(rf"[\W_]*({either})(?=\s*[.,:;!\n])", text)
            others = "|".join(re.escape(one) for one in marks if found and one != found[1])
            if found and re.search(rf"\b(?:{others})\b", text[found.end() :]):
                found = None
    return next(one for one in marks if one.casefold() == found[1].casefold()) if found else None


def whole(candidate: Candidate) -> str:
    """Return all that a candidate wrote, its thinking between tags."""
    if candidate.reasoning is None:
        return candidate.text
    return f"<think>\n{candidate.reasoning}\n</think>\n\n{candidate.text}"
