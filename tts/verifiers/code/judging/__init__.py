"""Judges programs by their tests, outside of the programs' own process."""

from tts.verifiers.code.judging.records import (
    Assertions,
    CallTest,
    CallTests,
    Judgement,
    Observation,
    StdioTest,
    StdioTests,
    TestOutcome,
    Tests,
)

__all__ = [
    "Assertions",
    "CallTest",
    "CallTests",
    "Judgement",
    "Observation",
    "StdioTest",
    "StdioTests",
    "TestOutcome",
    "Tests",
]
