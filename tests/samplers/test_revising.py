"""Self-refine and self-debug: what the model is shown between two answers, and when a chain is over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tts.errors import RecipeError
from tts.pipeline.run import open_run
from tts.programs.forms import as_object
from tts.recipe import load_recipe
from tts.samplers.self_debug import SelfDebug
from tts.samplers.self_refine import SelfRefine
from tts.testing import converse
from tts.types import Candidate, Completion, Message, Problem, ProblemRow, Reference, Request

SUM = Problem("p", "What is 3 + 7?", "math")
TOP = Problem("p", "Write top.", "code", entry_point="top", public_tests=as_object(["assert top([1, 2]) == 2"], "top"))


def refine(critiques: dict[str, str], **keys: Any) -> tuple[tuple[Candidate, ...], list[tuple[Message, ...]]]:
    """Return the candidates of a model whose answers count up, and the last conversations that it saw."""
    seen: list[tuple[Message, ...]] = []

    def reply(request: Request) -> Completion:
        seen.append(request.messages)
        last = request.messages[-1].content
        if last.startswith("Check your answer"):
            text = critiques.get(request.messages[1].content, "It is too small.")
        else:
            number = int(request.messages[1].content.split()[-1]) + 1 if len(request.messages) > 1 else 0
            text = f"<think>hm</think>I say {number}"
        return Completion(request.problem_id, request.key, text, "stop", 5, 3)

    found = converse(SelfRefine(**keys), SUM, reply, orders=3)
    return found, seen


def test_every_answer_is_a_candidate_and_the_critique_of_the_last_one_alone_is_shown() -> None:
    found, seen = refine({}, num_candidates=3)
    assert [(one.index, one.text, one.reasoning, len(one.calls)) for one in found] == [
        (0, "I say 0", "hm", 1),
        (1, "I say 1", "hm", 1),
        (2, "I say 2", "hm", 1),
    ]
    assert [message.role for message in seen[4]] == ["user", "assistant", "user"]
    assert seen[4][1] == Message("assistant", "I say 1")  # without its thinking
    assert seen[4][2].content.startswith("Here is a review of your answer:\n\nIt is too small.")


def test_the_first_candidates_are_plain_ones_of_chains_that_know_nothing_of_each_other() -> None:
    found, seen = refine({}, num_candidates=6, chains=3)
    assert [one.text for one in found] == ["I say 0"] * 3 + ["I say 1"] * 3
    parallel, _ = refine({}, num_candidates=6, chains=6)
    assert [one.text for one in parallel] == ["I say 0"] * 6
    assert {len(messages) for messages in seen} == {1, 3}


@pytest.mark.parametrize("critique", ["All is well. **NO MISTAKES**", "no mistakes.", "<think>It is fine.</think>"])
def test_a_chain_ends_where_the_critique_finds_nothing(critique: str) -> None:
    found, _ = refine({"I say 1": critique}, num_candidates=5)
    assert [one.text for one in found] == ["I say 0", "I say 1"]


def test_an_answer_that_was_cut_or_failed_ends_its_chain() -> None:
    for finish, number in (("length", 1), ("error", 1), ("stop", 3)):

        def reply(request: Request, finish: Any = finish) -> Completion:
            error = "no room" if finish == "error" else None
            return Completion(request.problem_id, request.key, "7", finish, 5, 3, error=error)

        found = converse(SelfRefine(num_candidates=3), SUM, reply, orders=2)
        assert [one.finish_reason for one in found] == [finish] * number


def program(value: str) -> str:
    return f"```python\ndef top(xs):\n    return {value}\n```"


def test_a_program_is_mended_until_it_passes_the_examples_and_hidden_tests_are_never_told(tmp_path: Path) -> None:
    script = {"a": [program("xs[0]")], "b": [program("max(xs)")]}
    recipe = {
        "task": {"name": "code", "verifier": {"name": "code", "packages": []}},
        "engine": {"name": "replay", "script": script},
        "sampler": {"name": "self_debug", "num_candidates": 3, "runner": {"name": "program_runner", "packages": []}},
        "selector": "majority_vote",
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    hidden = Reference(tests=as_object(["assert top([4321, 7]) == 4321"], "top"))
    rows = [
        ProblemRow(Problem(name, "Write top.", "code", entry_point="top", public_tests=TOP.public_tests), hidden, 1)
        for name in "ab"
    ]
    with open_run(load_recipe(str(tmp_path / "r.yaml")), rows, tmp_path / "run") as run:
        found = {one.solution.problem_id: one for one in run.outcomes()}
    assert {name: one.solution.counts.num_candidates for name, one in found.items()} == {"a": 3, "b": 1}
    calls = (tmp_path / "run/calls.jsonl").read_text()
    assert "4321" not in calls
    told = [json.loads(line) for line in calls.splitlines()]
    ran = [line["completion"]["text"] for line in told if line.get("engine") == "sampler.runner"]
    assert '[["wrong_answer", "assert top([1, 2]) == 2: top([1, 2]) returned 1"]]' in ran
    assert found["a"].solution.usage.engines["sampler.runner"].written_tokens == 0


def test_the_model_is_told_what_failed_and_a_chain_without_examples_is_one_answer() -> None:
    seen = []

    def reply(request: Request) -> Completion:
        if request.messages[0].role == "runner":
            is_right = "max" in json.loads(request.messages[0].content)["program"]
            text = json.dumps(
                [["ok", ""]] if is_right else [["ok", ""], ["wrong_answer", "top([1]) returned {report}"]]
            )
            return Completion(request.problem_id, request.key, text, "stop", 0, 0)
        seen.append(request.messages[-1].content)
        text = program("max(xs)") if "I ran" in seen[-1] else program("xs[0]") if "no program" in seen[-1] else "Hm."
        return Completion(request.problem_id, request.key, text, "stop", 5, 3)

    found = converse(SelfDebug(num_candidates=6), TOP, reply, orders=0)
    assert [one.text for one in found] == ["Hm.", program("xs[0]"), program("max(xs)")]
    assert seen[1] == SelfDebug().nothing
    assert "Of 2, 1 failed:\n\n- wrong_answer: top([1]) returned {report}\n\n" in seen[2]
    assert len(converse(SelfDebug(num_candidates=6), SUM, reply, orders=0)) == 1


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("name: self_refine, num_candidates: 8, chains: 3", "must be a multiple of chains, 3, got 8"),
        ("name: self_refine, revise: Again.", "must hold {critique}"),
        ("name: self_debug, mend: Again.", "must hold {report}"),
        ("name: self_debug, runner: {name: replay, script: [a]}", "capability `runs_programs`"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, keys: str, told: str) -> None:
    (tmp_path / "r.yaml").write_text(
        f"task: code\nengine: {{name: replay, script: [a]}}\nsampler: {{{keys}}}\nselector: majority_vote\n"
    )
    with pytest.raises(RecipeError, match=told):
        load_recipe(str(tmp_path / "r.yaml"))
