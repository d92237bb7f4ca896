"""Inputs on which programs differ: what most of them make of one is heard across the programs that differ elsewhere."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import PrivateAttr

from tts.components.component import Component
from tts.errors import RecipeError
from tts.pipeline.run import open_run
from tts.programs.runner import Case
from tts.recipe import load_recipe
from tts.scorers.distinguishing_inputs import DistinguishingInputs, majorities
from tts.types import Completion, Message, Problem, ProblemRow, Reference, Request, Solution


def program(value: str) -> str:
    return f"```python\ndef top(xs):\n    return {value}\n```"


FIRST, RIGHT, ODD = program("xs[0]"), program("max(xs)"), program("max(xs) if len(xs) < 3 else -1")
PROGRAMS = [FIRST, RIGHT, ODD, FIRST, RIGHT, FIRST, ODD, FIRST, RIGHT]
"""Four take the first item, three are right, two are right on short lists only; without examples a text is a class."""


def solve(
    folder: Path, programs: Sequence[str], inputs: Sequence[str], *, scorer: Mapping[str, Any] | None = None, **row: Any
) -> tuple[Solution, list[Any]]:
    """Return what is handed in, chosen by the inputs that the model writes, and the scores."""
    asked = {"name": "distinguishing_inputs", "writer": {"name": "replay", "script": list(inputs)}, **(scorer or {})}
    recipe = {
        "task": {"name": "code", "verifier": {"name": "code", "packages": []}},
        "engine": {"name": "replay", "script": list(programs)},
        "sampler": {"name": "temperature", "num_candidates": len(programs)},
        "selector": {"name": "best_of_n", "scorer": asked},
    }
    (folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    rows = [ProblemRow(Problem("p", "Write it.", "code", **row), Reference(), 1)]
    with open_run(load_recipe(str(folder / "r.yaml")), rows, folder / "run") as run:
        [outcome] = run.outcomes()
    return outcome.solution, json.loads((folder / "run/scores.jsonl").read_bytes())["scores"]


def test_classes_that_agree_on_an_input_are_heard_together_against_a_larger_one(tmp_path: Path) -> None:
    found, scores = solve(tmp_path, PROGRAMS, ["So:\n```\ntop([1,2])\n```", "top([1, 2])"], entry_point="top")
    assert found.text == RIGHT
    by_program = {PROGRAMS[place]: one["value"] for place, one in enumerate(scores)}
    assert by_program == {FIRST: 0 + 4 / 9, RIGHT: 1 + 3 / 9, ODD: 1 + 2 / 9}
    assert scores[0]["figures"] == {"pairs": 3, "inputs": 1, "decisive": 1}
    assert scores[1]["detail"] == "with most on 1 of 1 inputs"
    spent = found.usage.engines
    assert spent["selector.scorer.writer"].num_calls == 3
    assert spent["selector.scorer.runner"].num_calls == 1 + 3


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (["I cannot see a difference."], "the model wrote no input that can be read"),
        (["top([5, 2])"], "no input tells the programs apart"),
        (["top(None)"], "no input tells the programs apart"),
    ],
)
def test_inputs_that_tell_nothing_leave_the_plain_vote(tmp_path: Path, inputs: list[str], told: str) -> None:
    found, _ = solve(tmp_path, PROGRAMS, inputs, entry_point="top")
    assert told in found.selection.fallback
    assert found.text == FIRST


def test_programs_that_read_standard_input_are_told_apart_too(tmp_path: Path) -> None:
    programs = [f"```python\n{code}\n```" for code in ("print(input())",) * 2 + ("print(input().strip('-'))",) * 3]
    found, scores = solve(tmp_path, programs, ["This one:\n```\n-7\n```"])
    assert [one["value"] for one in scores] == [2 / 5] * 2 + [1 + 3 / 5] * 3
    assert found.text == programs[-1]


def test_one_behaviour_needs_no_question_and_what_holds_no_program_has_no_score(tmp_path: Path) -> None:
    found, scores = solve(tmp_path, [RIGHT, "I pass.", RIGHT], ["top([1, 2])"], entry_point="top")
    assert [one["value"] for one in scores] == [1.0, None, 1.0]
    assert "selector.scorer.writer" not in found.usage.engines


def test_only_the_classes_with_most_votes_are_asked_about() -> None:
    made = DistinguishingInputs(most_classes=3)
    assert made.most_calls(10) == 1 + 3 + 1 + 3
    assert made.most_tokens(10) == 3 * made.max_tokens
    assert made.most_tokens(2) == made.max_tokens


def cases(*texts: str) -> list[Case]:
    return [Case("ok", text) if text != "!" else Case("runtime_error", "boom") for text in texts]


def test_an_input_decides_where_one_result_has_more_votes_than_any_other() -> None:
    seen = [cases("1", "1", "!", "1", "1"), cases("2", "1", "!", "!", "2"), cases("2", "1", "1", "!", "3")]
    assert majorities([3, 2, 2], seen) == [{1, 2}, {0}]
    assert majorities([3, 2, 1], seen) == [{0}]
    assert majorities([3, 2, 2], []) == []


@given(st.lists(st.tuples(st.integers(1, 4), st.lists(st.sampled_from("ab!"), min_size=3, max_size=3)), min_size=1))
def test_a_majority_has_more_votes_than_any_other_result_and_there_is_another(
    classes: list[tuple[int, list[str]]],
) -> None:
    votes = [number for number, _ in classes]
    for place in range(3):
        found = majorities(votes, [cases(results[place]) for _, results in classes])
        total = {text: sum(number for number, results in classes if results[place] == text) for text in "ab!"}
        best = max(total, key=total.__getitem__)
        decided = best != "!" and [*total.values()].count(total[best]) == 1 and total[best] < sum(votes)
        assert bool(found) is decided
        if decided:
            assert found == [{one for one, (_, results) in enumerate(classes) if results[place] == best}]


class Reads(Component):
    """A judge that prefers what a mark stands in, wherever it stands; without the mark it says nothing clear."""

    prefers: str
    thinking_tags: ClassVar[tuple[str, str]] = ("<think>", "</think>")
    num_generated_tokens: ClassVar[int] = 0
    _waiting: list[Request] = PrivateAttr(default_factory=list)

    def capabilities(self) -> frozenset[str]:
        return frozenset({"ask_tokens", "seeds"})

    @property
    def num_free(self) -> int:
        return 4 - len(self._waiting)

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        return "\n".join(message.content for message in messages), 1

    def add(self, request: Request) -> None:
        self._waiting.append(request)

    def cancel(self, problem_id: str, key: str) -> None:
        del problem_id, key

    def step(self, patience_seconds: float = 0.1) -> list[Completion]:
        del patience_seconds
        taken, self._waiting[:] = [*self._waiting], []
        return [self._reply(one) for one in taken]

    def _reply(self, request: Request) -> Completion:
        first, second = request.messages[0].content.split("<response_B>")
        share = 0.5 + 0.4 * ((self.prefers in first) - (self.prefers in second))
        told = (math.log(share), math.log(1 - share))
        return Completion(request.problem_id, request.key, "A", "length", 30, 1, asked_logprobs=told)


READS = f"{__name__}:Reads"


def judged(prefers: str) -> dict[str, Any]:
    return {"judge": {"name": "pairwise", "judge": {"name": READS, "prefers": prefers}}}


def test_a_judge_decides_by_what_the_programs_do_where_the_recipe_names_one(tmp_path: Path) -> None:
    inputs = ["top([1, 2])", "top([1, 2, 3])"]
    found, scores = solve(
        tmp_path, PROGRAMS, inputs, entry_point="top", scorer=judged("Input:\ntop([1, 2, 3])\nResult:\n-1")
    )
    assert found.text == ODD
    assert [scores[place]["value"] for place in (0, 1, 2)] == [0.5, 0.0, 1.0] or scores[2]["value"] == 1.0
    assert scores[0]["figures"]["comparisons"] == 2
    assert found.usage.engines["selector.scorer.judge.judge"].num_calls == 4


@pytest.mark.parametrize(
    ("prefers", "inputs", "told"),
    [
        ("<response_A>", ["top([1, 2])"], "none of 2 comparisons was decided: the judge prefers the same place"),
        ("Input", ["top([1, 2])"], "none of 2 comparisons was decided"),
        ("Input", ["top([5, 2])"], "no input tells the programs apart"),
    ],
)
def test_a_judge_that_decides_nothing_leaves_the_plain_vote(
    tmp_path: Path, prefers: str, inputs: list[str], told: str
) -> None:
    found, _ = solve(tmp_path, PROGRAMS, inputs, entry_point="top", scorer=judged(prefers))
    assert told in found.selection.fallback
    assert found.text == FIRST


def test_a_judge_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"scorer\.judge` must be a scorer `pairwise`"):
        solve(tmp_path, PROGRAMS, ["top([1])"], entry_point="top", scorer={"judge": {"name": "judge"}})
