"""CodeT: the model writes tests, and programs and tests support each other (Chen et al. 2022, arXiv 2207.10397)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from tts.components.slot import Slot
from tts.engines.local_model import Tag
from tts.errors import CallError
from tts.programs.agreement import agreement
from tts.programs.completion import with_preamble
from tts.programs.extract import extract
from tts.programs.runner import WRITES_NOTHING, Runner, built_in_runner, cases_of, found_in, to_assert, to_find
from tts.protocols import Calls, Engine, Pending
from tts.runs.candidates import split_thinking
from tts.scorers.asking import Asks, check_prompt
from tts.tasks.prompt import filled
from tts.types import Candidate, Completion, Decoding, Message, Problem, Score


class CodeT(Asks):
    """Scores a program by √(programs that pass the very same tests) · (tests that it passes), tests by the model.

    For `best_of_n`, and problems that name a function. Programs and tests count as often as they were written. None
    where the model wrote no test that can be read, or no program passes any: then the plain vote chooses. Tests are
    read and run in a sandbox; a test that is wrong costs right programs nothing unless many programs agree with it.

    Differs from the source: a chat model is asked for tests (there a completion model goes on behind `assert`); tests
    that are spelt alike after reading are one; a tie goes to the likeliest program (there its expectation is told).
    """

    pointwise: ClassVar[bool] = False

    writer: Annotated[Engine, Slot("engines")] | None = None
    """The model that writes the tests; left out: the recipe's own."""

    runner: Runner = built_in_runner()
    """What runs programs and tests."""

    num_samples: int = Field(default=10, ge=1)
    """How many replies with tests are drawn; the source draws 100."""

    tests_per_sample: int = Field(default=5, ge=1)
    """How many tests are taken from each reply, the first ones."""

    temperature: float = Field(default=0.8, gt=0)
    """That of the replies."""

    max_tokens: int = Field(default=512, ge=1)
    """The most tokens of a reply, the model's own thinking included."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes the writer's own thinking, in which no test is looked for."""

    prompt: str = (
        "{problem}\n\nDo not solve this. Write {number} tests of {function} instead, that a right solution passes, "
        "the extreme cases included: one line each, of the form\n\nassert {call} == ...\n\n"
        "Answer with these lines alone, in one ```python block."
    )
    """The question. `{problem}` is what was sent to draw the programs, `{function}` the name of what is tested,
    `{call}` how it is called, `{number}` the number of tests that are taken."""

    @model_validator(mode="after")
    def _prompt_asks(self) -> Self:
        check_prompt(self.prompt, None, "problem")
        return self

    def most_calls(self, num_candidates: int) -> int:
        """Return a call a reply, one that reads them, and one a program."""
        return self.num_samples + 1 + num_candidates

    def most_tokens(self, num_candidates: int) -> int:
        """Return what the replies have written, however many candidates there are."""
        del num_candidates
        return self.num_samples * self.max_tokens

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:
        """Return one score per candidate, order kept."""
        if not problem.entry_point:
            return [Score(None, "the problem names no function that tests could call")] * len(candidates)
        replies, figures = await self._replies(problem, calls)
        asked = calls.generate(
            WRITES_NOTHING, messages=to_find(problem.entry_point, replies, self.tests_per_sample), engine=self.runner
        )
        try:
            written = Counter(test for tests in found_in(await asked) for test in tests)
        except CallError as error:
            return _told(Score(None, str(error)), len(candidates), figures)
        figures |= {"tests": written.total(), "different_tests": len(written)}
        if not written:
            return _told(Score(None, "the model wrote no test that can be read"), len(candidates), figures)
        # Each program is run once, with each test.
        programs = [self._program(problem, candidate) for candidate in candidates]
        tests = sorted(written)
        running: dict[str, Pending[Completion]] = {}
        for candidate, program in zip(candidates, programs, strict=True):
            if program is not None and program not in running:
                place, messages = calls.at(candidate.index), to_assert(program, problem.entry_point, tests)
                running[program] = place.generate(WRITES_NOTHING, messages=messages, engine=self.runner)
        passed: dict[str, frozenset[str]] = {}
        failed: dict[str, str] = {}
        for program, pending in running.items():
            try:
                cases = cases_of(await pending)
                passed[program] = frozenset(
                    test for test, case in zip(tests, cases, strict=True) if case.outcome == "ok"
                )
            except CallError as error:
                failed[program] = str(error)
        if not any(passed.values()):
            return _told(Score(None, "no program passes any test that the model wrote"), len(candidates), figures)
        known = [program for program in programs if program in passed]
        values = dict(zip(known, agreement([passed[program] for program in known], written), strict=True))
        scores = []
        for program in programs:
            if program in values:
                told = f"{sum(written[test] for test in passed[program])} of {written.total()} tests"
                scores.append(Score(values[program], told))
            else:
                scores.append(Score(None, "no program" if program is None else failed[program]))
        return [Score(one.value, one.detail, {} if place else figures) for place, one in enumerate(scores)]

    async def _replies(self, problem: Problem, calls: Calls) -> tuple[list[str], dict[str, float]]:
        """Return what the model wrote, its thinking left out, and how many replies there are."""
        name, _, method = problem.entry_point.partition(".")
        asked = filled(
            self.prompt,
            problem="\n\n".join(message.content for message in calls.messages),
            function=f"`{problem.entry_point}`",
            call=f"{name}().{method}(...)" if method else f"{name}(...)",
            number=str(self.tests_per_sample),
        )
        decoding = Decoding(self.max_tokens, temperature=self.temperature)
        messages = (Message("user", asked),)
        drawn = [calls.generate(decoding, messages=messages, engine=self.writer) for _ in range(self.num_samples)]
        texts = []
        for pending in drawn:
            try:
                reply = await pending
            except CallError:
                continue
            is_split = reply.reasoning is not None
            text = reply.text if is_split else split_thinking(reply.text, self.thinking_tags, opened=reply.opened)[1]
            texts.append(text)
        return texts, {"asked": len(drawn), "unread": len(drawn) - len(texts)}

    @staticmethod
    def _program(problem: Problem, candidate: Candidate) -> str | None:
        answer = extract(candidate.text, problem.entry_point, problem.starter_code)
        if answer is None:
            return None
        shown = problem.public_tests
        prelude = shown.get("prelude", "") if isinstance(shown, dict) else ""
        return with_preamble(str(prelude), answer.text)


def _told(score: Score, number: int, figures: dict[str, float]) -> list[Score]:
    """Return the same score for all; the figures stand with the first."""
    return [Score(score.value, score.detail, {} if place else figures) for place in range(number)]
