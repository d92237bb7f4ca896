"""The shipped recipes whose scorers ask models, on a small real model: killed while they ask, and gone on with."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import SMALL_ENGINE, Result, is_deterministic, kill_and_resume, needs_small_model
from test_resume import results

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(600)]
Command = Callable[..., Result]

SMALLER = {
    "gsm8k_judge": ("sampler.num_candidates=4", "sampler.max_tokens=60"),
    "gsm8k_p_true": (
        "sampler.num_candidates=4",
        "sampler.max_tokens=60",
        "selector.scorer={name: p_true, rationales: 2, max_tokens: 20}",
    ),
    "gsm8k_genselect": (  # different answers that are not cut
        "sampler.num_candidates=5",
        "sampler.max_tokens=60",
        "task.template=Answer with a number alone. {problem}",
        "selector.scorer={name: genselect, max_tokens: 20}",
    ),
    "creative_pairwise": (  # stories would be cut, and so not asked about
        "sampler.num_candidates=4",
        "sampler.max_tokens=40",
        "task.template=Say in three words what this is about. {problem}",
    ),
    "math_reward_model": (
        "sampler.num_candidates=4",
        "sampler.max_tokens=60",
        "selector.scorer.reward={name: p_true, rates: each}",
    ),
    "humaneval_codet": (
        "sampler.num_candidates=3",
        "sampler.max_tokens=120",
        "selector.scorer={name: codet, num_samples: 2, max_tokens: 60}",
    ),
}
PROGRAMS = [
    {"id": name, "problem": f"Write a Python function `{name}(a, b)` that returns {what}.", "entry_point": name,
     "tests": [f"assert {name}(2, 3) == {result}"]}
    for name, what, result in (("add", "the sum of a and b", 5), ("larger", "the larger one of a and b", 3))
]  # fmt: skip


@pytest.mark.parametrize("name", SMALLER)
def test_a_recipe_whose_scorer_is_killed_while_it_asks_asks_nothing_twice(
    tts: Command, tmp_path: Path, name: str
) -> None:
    needs_small_model()
    settings = [part for one in (SMALL_ENGINE, *SMALLER[name]) for part in ("--set", one)]
    programs = tmp_path / "programs.jsonl"
    programs.write_text("".join(json.dumps(row) + "\n" for row in PROGRAMS))
    problems = {"creative": "creative", "humaneval": programs}.get(name.partition("_")[0], "quickstart")
    command = ("solve", problems, "-r", name, "--limit", 2, *settings)
    whole, resumed = kill_and_resume(tts, tmp_path, command, "scorer_calls.jsonl", 2)
    asked = {run: keys(tmp_path / run) for run in ("whole", "killed")}
    assert max(asked["killed"].values()) == 1
    if is_deterministic(tmp_path / "whole"):
        assert asked["killed"] == asked["whole"]
        assert results(resumed) == results(whole)

    # chosen anew by the same scorer, it asks nothing; by another one, once
    calls = tmp_path / "killed" / "scorer_calls.jsonl"
    before = calls.read_bytes()
    assert tts("select", "killed").code == whole.code
    assert calls.read_bytes() == before
    for _ in range(2):
        other = tts("select", "killed", "--selector", "best_of_n", "--scorer", "p_true")
        assert other.code == whole.code, other.err
        assert max(keys(tmp_path / "killed").values()) == 1
    assert len(results(other)) == 2


def keys(run: Path) -> Counter[tuple[str, str, str]]:
    lines = [json.loads(line) for line in (run / "scorer_calls.jsonl").read_bytes().splitlines()]
    return Counter((one["problem_id"], one["key"], one["digest"]) for one in lines)
