"""What the tests of stored runs share: small runs, drawn by the replay engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tts.components.component import Component
from tts.pipeline.run import open_run
from tts.problems import open_problems
from tts.recipe import rebuild_recipe
from tts.types import Ballot, Selection

Script = Sequence[str | Mapping[str, Any]]


def write_problems(path: Path, answers: Mapping[str, str | None]) -> Path:
    rows = [{"id": name, "problem": f"What is {name}?", "answer": answer} for name, answer in answers.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def draw(folder: Path, problems: Path, script: Mapping[str, Script] | Script, name: str = "drawn", **keys: Any) -> Path:
    """Draw one run into `folder`: as many candidates a problem as the longest script."""
    sizes = map(len, script.values()) if isinstance(script, Mapping) else [len(script)]
    recipe = rebuild_recipe(
        {
            "task": "math",
            "engine": {"name": "replay", "script": script},
            "sampler": {"name": "temperature", "num_candidates": max(sizes), **keys.pop("sampler", {})},
            "selector": "majority_vote",
            **keys,
        },
        name=name,
    )
    with open_problems(str(problems)) as rows, open_run(recipe, rows, folder) as run:
        assert len(list(run.outcomes())) == run.intake.num_rows
    return folder


def boxed(*answers: str) -> list[str]:
    return [f"So it is \\boxed{{{answer}}}." for answer in answers]


def cut(text: str = "so far") -> dict[str, Any]:
    return {"text": text, "finish_reason": "length"}


class Raises(Component):
    """A selector that fails where there are fewer than three candidates."""

    scorer: ClassVar[None] = None

    def select(self, ballot: Ballot) -> Selection:
        return Selection(ballot.candidates[2].index, "", (1.0,), 1, 0)


class LastAnswer(Component):
    """A selector that the package does not have: the last candidate."""

    scorer: ClassVar[None] = None

    def select(self, ballot: Ballot) -> Selection:
        last = ballot.candidates[-1]
        return Selection(last.index, "", (1.0,), 1, 0)
