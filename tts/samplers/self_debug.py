"""Self-debug (Chen et al. 2023, arXiv 2304.05128): a program is run on the examples of its problem, then mended."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from tts.programs.extract import extract
from tts.programs.runner import WRITES_NOTHING, Runner, built_in_runner, cases_of, to_check
from tts.protocols import Calls
from tts.samplers.revising import Revising
from tts.types import Completion, Problem, Written


class SelfDebug(Revising):
    """Program, what it did wrong on the examples, program, …: every program is a candidate.

    A chain ends with a program that passes all examples, and where the problem shows none. What is run are the examples
    that the problem shows, as anybody may who reads it; of hidden tests and verdicts no sampler learns anything. They
    are run by an engine that the sampler asks as it asks a model: so it is on record, and nothing is run twice.
    """

    label: ClassVar[str] = "self_debug"

    runner: Runner = built_in_runner()
    """What runs the programs."""

    most_shown: int = Field(default=3, ge=1)
    """How many of the examples that failed are told."""

    mend: str = (
        "I ran this program on the examples. Of {number}, {failed} failed:\n\n{report}\n\nSay briefly what is wrong, "
        "then write the whole program anew, in the form that was asked for."
    )
    """Asks for the next program; `{report}` says what went wrong, `{failed}` and `{number}` count the examples."""

    nothing: str = "There is no program in your answer. Write the whole program, in the form that was asked for."
    """Asks for one where there was none."""

    @field_validator("mend")
    @classmethod
    def _shows_report(cls, mend: str) -> str:
        if "{report}" not in mend:
            raise ValueError("must hold {report}, else the programs are run in vain")
        return mend

    async def told(self, problem: Problem, calls: Calls, answer: Completion) -> tuple[str, Written]:
        """Run the examples."""
        if problem.public_tests is None:
            return "", ()
        program = extract(self.shown(answer), problem.entry_point, problem.starter_code)
        if program is None:
            return self.nothing, (answer.piece,)
        asked = to_check(program.text, problem.public_tests)
        reply = await calls.generate(WRITES_NOTHING, messages=asked, engine=self.runner, about=(answer.piece,))
        cases = cases_of(reply)
        failed = [case for case in cases if case.outcome != "ok"]
        report = "\n".join(f"- {case.outcome}: {case.text}" for case in failed[: self.most_shown])
        told = self.mend.replace("{number}", str(len(cases))).replace("{failed}", str(len(failed)))
        return (told.replace("{report}", report) if failed else ""), (answer.piece, reply.piece)
