"""The share of the visible examples that a candidate's program passes, for reranking; hidden tests are never seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tts.errors import ScorerError, VerifierError
from tts.programs.execution import RunsPrograms
from tts.programs.extract import extract
from tts.programs.forms import TestsError
from tts.programs.judging.judge import judge_all
from tts.programs.judging.records import SuiteResult
from tts.programs.suite import TestSuite, read_suite
from tts.types import Candidate, Problem, Score


class PublicTests(RunsPrograms):
    """Scores a candidate by the share of the problem's own examples that its program passes, in [0, 1].

    None where the problem shows no examples, where the candidate was not finished or holds no program, and where the
    sandbox could not decide.
    """

    requires: ClassVar[frozenset[str]] = frozenset()

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:
        """Return one score per candidate, order kept; equal programs are run once."""
        if problem.public_tests is None:
            return [Score(None, "the problem shows no examples")] * len(candidates)
        try:
            suite = read_suite(problem.public_tests, self.comparison)
        except TestsError as error:
            return [Score(None, f"the problem's examples cannot be read: {error}")] * len(candidates)
        programs = [_program(problem, candidate) for candidate in candidates]
        scores = self._scores(suite, list(dict.fromkeys(program for program in programs if program is not None)))
        return [scores[program] if program is not None else Score(None, "no program") for program in programs]

    def _scores(self, suite: TestSuite, programs: Sequence[str]) -> dict[str, Score]:
        try:
            sandbox = self._open_sandbox()
        except VerifierError as error:
            raise ScorerError(f"the scorer `public_tests` needs a sandbox: {error}") from error
        whole = [suite.program(program) for program in programs]
        results = judge_all(sandbox, whole, suite.tests, self._limits(), all_tests=True)
        return {program: _share(result, suite) for program, result in zip(programs, results, strict=True)}


def _program(problem: Problem, candidate: Candidate) -> str | None:
    """Return the candidate's program, None where it was not finished or wrote none."""
    if candidate.finish_reason != "stop":
        return None
    answer = extract(candidate.text, problem.entry_point, problem.starter_code)
    return answer.text if answer else None


def _share(result: SuiteResult, suite: TestSuite) -> Score:
    if result.verdict.status == "undecided":
        return Score(None, result.verdict.reason)
    num_passed = sum(case.outcome == "ok" for case in result.cases)
    return Score(num_passed / len(suite.tests.tests), f"{num_passed} of {len(suite.tests.tests)} examples")
