"""What the tests of the command share."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TTS = (sys.executable, "-m", "tts")
SECONDS = 240


@dataclass(frozen=True)
class Result:
    """What one run of the command gave."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what changes how a terminal program looks."""
    kept = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}}
    return {**kept, **extra}


def rows(problems: Iterable[tuple[str, str]]) -> str:
    """Return JSON lines for (id, answer) pairs."""
    return "".join(
        json.dumps({"id": name, "problem": f"What is {name}?", "answer": answer}) + "\n" for name, answer in problems
    )
