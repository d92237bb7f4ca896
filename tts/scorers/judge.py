"""A model as a judge: the expected mark that it would give (G-Eval, Liu et al. 2023, arXiv 2303.16634)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from tts.engines.reward.expected_score import ExpectedScore
from tts.protocols import Calls
from tts.scorers.asking import CRITERIA, AsksJudge, check_prompt
from tts.types import Candidate, Problem, RewardRequest, Score


class Judge(AsksJudge):
    """Scores a candidate by the mark that a model gives it, in expectation over the scale, in [0, 1].

    None where the judge's word cannot be read: it is never taken for a number. Many candidates have the same mark where
    it is read from samples, and rarely where it is an expectation.
    """

    scale: Literal["1-5", "A-T"] = "1-5"
    """Five digits, of which 5 is the best, or twenty letters, of which A is the best; each is one token."""

    criteria: str | None = None
    """What counts, in a sentence or more; null: a default for the kind of problem."""

    prompt: str = (
        "{problem}\n\nHere is a response to this:\n\n<response>\n{answer}\n</response>\n\n{criteria}\n\n"
        "How good is the response? Answer with one of {scale} alone: {worst} is the worst, {best} the best."
    )
    """The question. `{problem}` is what was sent to draw the answer, `{answer}` the candidate's; `{criteria}`;
    `{scale}`, `{worst}` and `{best}` are the marks, the worst and the best of them."""

    @model_validator(mode="after")
    def _prompt_asks(self) -> Self:
        check_prompt(self.prompt, self.criteria, "problem", "answer")
        return self

    def most_calls(self, num_candidates: int) -> int:
        """Return one question a candidate, each in a branch of its own."""
        return (1 + self.most_asked) * num_candidates

    def most_tokens(self, num_candidates: int) -> int:
        """Return what one question a candidate has written."""
        return self.most_written * num_candidates

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:
        """Return one score per candidate, order kept."""
        criteria = CRITERIA[problem.kind] if self.criteria is None else self.criteria
        asker = self._asker(criteria)
        asked = [
            calls.at(candidate.index).branch(self._score, problem.id, candidate, asker) for candidate in candidates
        ]
        return [await one for one in asked]

    async def _score(self, calls: Calls, problem_id: str, candidate: Candidate, asker: ExpectedScore) -> Score:
        request = RewardRequest(problem_id, "", calls.messages, (self.shown(candidate),))
        [question] = asker.questions(request)
        opinion = await self.opinion(calls, question, asker.tokens)
        if opinion.shares is None:
            return Score(None, f"the judge cannot tell: {opinion.why}", opinion.figures)
        logprobs = [math.log(share) if share else -math.inf for share in opinion.shares]
        return Score(asker.value(logprobs), figures=opinion.figures)

    def _asker(self, criteria: str) -> ExpectedScore:
        """Return what asks and reads in the same way while candidates are drawn."""
        prompt = self.prompt.replace("{criteria}", criteria)
        return ExpectedScore(prompt=prompt, scale=self.scale, system=self.system, prefill=self.prefill, rates="whole")
