"""CodeT: the model writes tests, and programs and tests support each other (Chen et al. 2022, arXiv 2207.10397)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self, TypeAlias

from pydantic import Field, model_validator

from tts.errors import CallError
from tts.programs.agreement import agreement
from tts.programs.runner import WRITES_NOTHING, cases_of, found_in, to_assert, to_compare, to_find
from tts.protocols import Calls, Pending
from tts.scorers.asking import check_prompt
from tts.scorers.written_tests import WritesTests, call_of, pairs_in, program_of, question
from tts.types import Candidate, Completion, Message, Problem, Score

Test: TypeAlias = tuple[str, ...]
"""An assertion about a function, or what a program reads and what it then prints."""


class CodeT(WritesTests):
    """Scores a program by √(programs that pass the very same tests) · (tests that it passes), tests by the model.

    For `best_of_n`. Programs and tests count as often as they were written. None where the model wrote no test that can
    be read, or no program passes any: then the plain vote chooses. Assertions are read and run in a sandbox; a test
    that is wrong costs right programs nothing unless many programs agree with it.

    Differs from the source: a chat model is asked for tests (there a completion model goes on behind `assert`); tests
    that are spelt alike after reading are one; a tie goes to the likeliest program (there its expectation is told);
    programs that read their standard input have tests, too: inputs with outputs.
    """

    num_samples: int = Field(default=10, ge=1)
    """How many replies with tests are drawn; the source draws 100."""

    tests_per_sample: int = Field(default=5, ge=1)
    """How many tests are taken from each reply, the first ones."""

    temperature: float = Field(default=0.8, gt=0)
    """That of the replies."""

    prompt: str = (
        "{problem}\n\nDo not solve this. Write {number} tests of {function} instead, that a right solution passes, "
        "the extreme cases included: one line each, of the form\n\nassert {call} == ...\n\n"
        "Answer with these lines alone, in one ```python block."
    )
    """The question where a function is tested. `{problem}` is what was sent to draw the programs, `{function}` the name
    of what is tested, `{call}` how it is called, `{number}` the number of tests that are taken."""

    stdin_prompt: str = (
        "{problem}\n\nDo not solve this. Write {number} tests instead, that a right program passes, the extreme cases "
        "included: what it reads, and what it then prints. Answer with these alone, each of the form\n\n"
        "Input:\n```\n...\n```\nOutput:\n```\n...\n```"
    )
    """The question where the program reads its standard input; `{problem}` and `{number}`. Of a reply each block behind
    the word «input» is read with the next block, behind «output»."""

    @model_validator(mode="after")
    def _prompts_ask(self) -> Self:
        check_prompt(self.prompt, None, "problem")
        check_prompt(self.stdin_prompt, None, "problem", key="stdin_prompt")
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
        asked = question(
            self.prompt if problem.entry_point else self.stdin_prompt,
            calls,
            function=f"`{problem.entry_point}`",
            call=call_of(problem.entry_point),
            number=str(self.tests_per_sample),
        )
        replies = await self.written(calls, [asked] * self.num_samples)
        figures = {"asked": float(self.num_samples), "unread": float(self.num_samples - len(replies))}
        try:
            written = await self._tests(problem, replies, calls)
        except CallError as error:
            return _told(Score(None, str(error)), len(candidates), figures)
        figures |= {"tests": written.total(), "different_tests": len(written)}
        if not written:
            return _told(Score(None, "the model wrote no test that can be read"), len(candidates), figures)
        # Each program is run once, with each test.
        programs = [program_of(problem, candidate) for candidate in candidates]
        tests = sorted(written)
        running: dict[str, Pending[Completion]] = {}
        for candidate, program in zip(candidates, programs, strict=True):
            if program is not None and program not in running:
                running[program] = calls.at(candidate.index).generate(
                    WRITES_NOTHING, messages=_to_run(problem, program, tests), engine=self.runner
                )
        passed: dict[str, frozenset[Test]] = {}
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

    async def _tests(self, problem: Problem, replies: Sequence[str], calls: Calls) -> Counter[Test]:
        """Return the tests in the replies, the first of each, with how often each was written. Raises CallError."""
        if not problem.entry_point:
            return Counter(pair for reply in replies for pair in pairs_in(reply, self.tests_per_sample))
        messages = to_find(problem.entry_point, replies, self.tests_per_sample)
        found = found_in(await calls.generate(WRITES_NOTHING, messages=messages, engine=self.runner))
        return Counter((test,) for tests in found for test in tests)


def _to_run(problem: Problem, program: str, tests: Sequence[Test]) -> tuple[Message, ...]:
    if problem.entry_point:
        return to_assert(program, problem.entry_point, [test for (test,) in tests])
    shown = problem.public_tests
    tolerance = shown.get("tolerance") if isinstance(shown, dict) else None
    return to_compare(program, [(read, printed) for read, printed in tests], tolerance)


def _told(score: Score, number: int, figures: Mapping[str, float]) -> list[Score]:
    """Return the same score for all; the figures stand with the first."""
    return [Score(score.value, score.detail, {} if place else figures) for place in range(number)]
