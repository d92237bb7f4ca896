"""Judges programs by their tests, outside of the programs' own process."""

from tts.programs.judging.compare import same_output, same_value
from tts.programs.judging.judge import judge, judge_all, observe_calls, observe_stdio
from tts.programs.judging.records import (
    Assertions,
    CallTest,
    CallTests,
    CaseResult,
    Observation,
    StdioTest,
    StdioTests,
    SuiteResult,
    Tests,
)

__all__ = [
    "Assertions",
    "CallTest",
    "CallTests",
    "CaseResult",
    "Observation",
    "StdioTest",
    "StdioTests",
    "SuiteResult",
    "Tests",
    "judge",
    "judge_all",
    "observe_calls",
    "observe_stdio",
    "same_output",
    "same_value",
]
