"""P(True): a model's own probability that an answer is right (Kadavath et al. 2022, arXiv 2207.05221).

With rationales it is a generative verifier: Zhang et al. 2024, arXiv 2408.15240, the mean over several of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from pydantic import Field, model_validator

from tts.engines.reward import p_true as engine
from tts.errors import CallError
from tts.protocols import Calls
from tts.scorers.asking import AsksJudge, Opinion
from tts.tasks.prompt import filled
from tts.types import Candidate, Decoding, Message, Problem, RewardRequest, Score


class PTrue(AsksJudge):
    """Scores a candidate by how likely a model is to say that it is correct: p(yes) / (p(yes) + p(no)).

    It needs no other model than the one that drew the candidates. None where its word cannot be read. Differs from the
    source, which offers the choices (A) and (B).
    """

    prompt: str = (
        "{problem}\n\nHere is a proposed answer:\n\n<answer>\n{answer}\n</answer>\n\n"
        "Is the proposed answer correct? Answer with {yes} or {no} alone."
    )
    """The question. `{problem}` is what was sent to draw the answer, `{answer}` the candidate's; `{yes}` and `{no}`."""

    yes: str = Field(default="Yes", min_length=1)
    """What the model says of a right answer; one token."""

    no: str = Field(default="No", min_length=1)
    """What it says of a wrong one; one token."""

    rationales: int = Field(default=0, ge=0)
    """How many times the model writes down first why the answer is right or wrong; the score is the mean over them."""

    rationale_prompt: str = (
        "{problem}\n\nHere is a proposed answer:\n\n<answer>\n{answer}\n</answer>\n\n"
        "Check the proposed answer step by step. Do not say yet whether it is correct."
    )
    """What a rationale is asked for with. It is followed by `rationale_question`."""

    rationale_question: str = "Is the proposed answer correct, then? Answer with {yes} or {no} alone."
    """The question after a rationale."""

    @model_validator(mode="after")
    def _prompts_ask(self) -> Self:
        if self.yes == self.no:
            raise ValueError(f"`yes` and `no` must be two words, got {self.yes!r} for both")
        self._asker(self.prompt)
        self._asker(self.rationale_prompt)
        return self

    def most_calls(self, num_candidates: int) -> int:
        """Return the questions, the rationales before them, and a branch for each."""
        each = self.most_asked if not self.rationales else self.rationales * (2 + self.most_asked)
        return (1 + each) * num_candidates

    def most_tokens(self, num_candidates: int) -> int:
        """Return what questions and rationales have written."""
        each = self.most_written if not self.rationales else self.rationales * (self.max_tokens + self.most_written)
        return each * num_candidates

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:
        """Return one score per candidate, order kept."""
        asked = [calls.at(one.index).branch(self._score, problem.id, one) for one in candidates]
        return [await one for one in asked]

    async def _score(self, calls: Calls, problem_id: str, candidate: Candidate) -> Score:
        answer = self.shown(candidate)
        if self.rationales:
            pending = [calls.branch(self._reasoned, problem_id, answer) for _ in range(self.rationales)]
            opinions = [await one for one in pending]
        else:
            asker = self._asker(self.prompt)
            [question] = asker.questions(RewardRequest(problem_id, "", calls.messages, (answer,)))
            opinions = [await self.opinion(calls, question, asker.tokens)]
        values = [self._value(one.shares) for one in opinions if one.shares is not None]
        figures = {name: sum(one.figures.get(name, 0) for one in opinions) for name in ("asked", "unread")}
        if 2 * len(values) <= len(opinions):
            why = next(one.why for one in opinions if one.shares is None)
            return Score(None, f"the judge cannot tell: {why}", figures)
        return Score(math.fsum(values) / len(values), figures=figures)

    async def _reasoned(self, calls: Calls, problem_id: str, answer: str) -> Opinion:
        """Have the model reason, then say yes or no."""
        asker = self._asker(self.rationale_prompt)
        [question] = asker.questions(RewardRequest(problem_id, "", calls.messages, (answer,)))
        decoding = Decoding(self.max_tokens, temperature=self.temperature)
        try:
            rationale = await calls.generate(decoding, messages=question.messages, engine=self.judge)
        except CallError as error:
            return Opinion(None, f"no rationale: {error}", figures={"asked": 1, "unread": 1})
        then = Message("user", filled(self.rationale_question, yes=self.yes, no=self.no))
        messages = (*question.messages, Message("assistant", rationale.text), then)
        return await self.opinion(calls, replace(question, messages=messages), asker.tokens)

    def _value(self, shares: Sequence[float]) -> float:
        return engine.PTrue(yes=self.yes, no=self.no).value([math.log(one) if one else -math.inf for one in shares])

    def _asker(self, prompt: str) -> engine.PTrue:
        """Return what asks in the same way while candidates are drawn."""
        return engine.PTrue(
            prompt=prompt.replace("{yes}", self.yes).replace("{no}", self.no),
            yes=self.yes,
            no=self.no,
            system=self.system,
            prefill=self.prefill,
            rates="whole",
        )
