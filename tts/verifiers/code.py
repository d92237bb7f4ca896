"""The code verifier: programs are found in the answers, judged by hidden tests, and grouped by what they do."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import Field

from tts.errors import VerifierError
from tts.programs.behaviour import Observe, behaviours, classes
from tts.programs.execution import RunsPrograms
from tts.programs.extract import extract
from tts.programs.forms import TestsError
from tts.programs.judging.compare import same_result
from tts.programs.judging.judge import judge_all
from tts.programs.judging.records import Observation
from tts.programs.suite import TestSuite, read_suite
from tts.programs.trials import Step, take_steps, trial_steps
from tts.types import JSON, Answer, Grouping, Problem, Reference, Verdict
from tts.verifiers.math.by_key import NO_ANSWER, group_keys


class CodeVerifier(RunsPrograms):
    """Answers that are Python programs, judged by running them in a sandbox.

    A program is right where it passes every hidden test; the verdict is made outside of its process. Where a function
    is asked for, what fails below it (an example of use, a main part) does not count against it. Without any reference,
    two programs are one answer where they behave alike on the examples that the problem shows and on inputs mutated
    from them.
    """

    num_mutants: int = Field(default=8, ge=0)
    """How many inputs are made from the problem's examples, beside these, to tell programs apart."""

    def extract(self, problem: Problem, text: str) -> Answer | None:
        """Return the program that `text` hands in, or None; the rule says where it stood (see `extract.extract`)."""
        return extract(text, problem.entry_point, problem.starter_code)

    def group(self, problem: Problem, answers: Sequence[Answer | None]) -> Grouping:
        """Return one node per behaviour.

        The same text is always one node, and so are programs whose results the judge of the examples cannot tell
        apart. A program that fails on an example or is stopped by a limit is like no other, and so is every program
        where the problem shows no example.
        """
        programs = sorted({answer.text for answer in answers if answer})
        known = self._classes(problem, programs) if len(programs) > 1 else {}
        return group_keys([known.get(answer.text, answer.text) if answer else None for answer in answers])

    def verify(
        self,
        problem: Problem,  # noqa: ARG002 - every verifier gets the problem
        answers: Sequence[Answer | None],
        reference: Reference,
    ) -> list[Verdict]:
        """Return one verdict per answer, order kept; equal texts are judged once.

        Failed: no_answer, or the first test's failure: wrong_answer, runtime_error, timeout, memory_limit,
        output_limit, sandbox_violation, not_plain_data. Undecided: no_reference, unparsable_reference,
        sandbox_unavailable, harness_error.
        """
        programs = list(dict.fromkeys(answer.text for answer in answers if answer))
        verdicts = dict(zip(programs, self._verdicts(programs, reference.tests), strict=True))
        return [verdicts[answer.text] if answer else NO_ANSWER for answer in answers]

    def _verdicts(self, programs: Sequence[str], tests: JSON) -> list[Verdict]:
        if tests is None:
            return [Verdict("undecided", "no_reference")] * len(programs)
        try:
            suite = read_suite(tests, self.comparison)
        except TestsError as error:
            return [Verdict("undecided", "unparsable_reference", str(error))] * len(programs)
        whole = [suite.program(program) for program in programs]
        try:
            sandbox = self._open_sandbox()
        except VerifierError as error:
            return [Verdict("undecided", "sandbox_unavailable", str(error))] * len(programs)
        return [result.verdict for result in judge_all(sandbox, whole, suite.tests, self._limits())]

    def _classes(self, problem: Problem, programs: Sequence[str]) -> dict[str, str]:
        """Return the class of each program that has a behaviour to compare, by its first program."""
        try:
            suite = read_suite(problem.public_tests, self.comparison)
            on_examples, on_mutants = trial_steps(suite.tests, self.num_mutants, seed=problem.id)
            if not on_examples:
                return {}
            seen = behaviours(programs, self._observer(suite, on_examples), self._observer(suite, on_mutants))
        except (TestsError, VerifierError):
            return {}
        return classes(seen, lambda one, other: same_result(one, other, suite.tests))

    def _observer(self, suite: TestSuite, steps: Sequence[Step]) -> Observe:
        """Return what takes programs through the steps, as many at a time as there are workers."""
        sandbox, limits = self._open_sandbox(), self._limits()

        def observe(programs: Sequence[str]) -> list[list[Observation]]:
            with ThreadPoolExecutor(self.workers, thread_name_prefix="tts-code-verifier") as threads:
                return list(threads.map(lambda code: take_steps(steps, sandbox, suite.program(code), limits), programs))

        return observe
