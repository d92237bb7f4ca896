"""Stored candidates judged anew: what fails is counted, and takes nothing else with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from tts.components.component import Component
from tts.pipeline.outcomes import Solved
from tts.pipeline.rejudging import Rejudging
from tts.runs.opening import open_stored
from tts.types import Candidate, Problem, Score


class Reward(Component):
    """Scores by the engine's `reward`, as a model of it would; it falls over at -9."""

    requires: ClassVar[frozenset[str]] = frozenset()

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:
        rewards = [candidate.engine_stats["reward"] for candidate in candidates]
        if -9 in rewards:
            raise RuntimeError(f"the reward model fell over at {problem.id}")
        return [Score(reward) for reward in rewards]


@pytest.mark.parametrize(
    ("broken", "told"),
    [(-1.0, "must be 0 or above to weigh a vote"), (-9.0, "RuntimeError: the reward model fell over at p0")],
)
def test_a_failing_selector_or_scorer_leaves_the_verdicts_standing(tmp_path: Path, broken: float, told: str) -> None:
    problems, file = tmp_path / "p.jsonl", tmp_path / "c.jsonl"
    problems.write_text(
        "".join(json.dumps({"id": name, "problem": "?", "answer": "1"}) + "\n" for name in ("p0", "p1"))
    )
    drawn = [("p0", "1", 1.0), ("p0", "1", broken), ("p1", "1", 1.0), ("p1", "2", 2.0)]
    rows = [
        {"problem_id": name, "text": f"\\boxed{{{answer}}}", "engine_stats": {"reward": reward}}
        for name, answer, reward in drawn
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    overrides = ["selector=self_consistency", f"selector.scorer={__name__}:Reward"]
    (run,) = open_stored([file], str(problems), overrides)
    rejudging = Rejudging(run, afresh=False)
    failed, chosen = (one.solution for one in rejudging.outcomes() if isinstance(one, Solved))
    assert (failed.counts.num_passed, failed.counts.num_undecided, failed.counts.num_no_answer) == (2, 0, 0)
    assert (failed.verdict.status, failed.verdict.reason) == ("undecided", "selection_failed")
    assert failed.error is not None
    assert told in failed.error
    assert (chosen.selection.answer, chosen.error) == ("2", None)
    tally = rejudging.tally
    one_draw, selected = tally.estimates()
    assert (one_draw.lower, one_draw.upper) == (0.75, 0.75)
    assert (selected.lower, selected.upper) == (0, 0.5)
    assert (tally.num_unjudged, rejudging.num_failed) == (1, 1)
    assert tally.notes()[0] == "judging or selecting failed on 1 of 2 problems: the records say why"
    run.close()
