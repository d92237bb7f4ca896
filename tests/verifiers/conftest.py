"""What several verifier tests share: problems, one math verifier with its workers, the MATH-500 answers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tts.types import Problem
from tts.verifiers.math import MathVerifier


@pytest.fixture(scope="session")
def math_problem() -> Problem:
    return Problem("p", "What is it?", "math")


@pytest.fixture(scope="session")
def math_verifier() -> Iterator[MathVerifier]:
    with MathVerifier(timeout_seconds=30) as verifier:
        yield verifier


@pytest.fixture(scope="session")
def math500_answers(shared_data: Path) -> list[str]:
    lines = (shared_data / "math500.jsonl").read_text(encoding="utf-8").splitlines()
    return sorted({json.loads(line)["answer"] for line in lines})
