"""`--token-budget` wherever a command asks models: never passed, and what the error names is enough to go on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_parts import Said, tts

ROWS = [{"id": f"p{number}", "problem": f"What is {number}?", "answer": "1"} for number in range(6)]
SCRIPT = [{"text": f"so \\boxed{{{number % 3}}}", "num_tokens": 7 + number} for number in range(9)]
ENGINE = {"name": "replay", "script": SCRIPT, "batch_size": 5}
JUDGE = {"name": "replay", "script": [{"text": "Score: 3", "num_tokens": 5}, {"text": "Score: 9", "num_tokens": 8}]}
SCORER = {"name": "judge", "by": "samples", "num_samples": 2, "max_tokens": 20, "judge": JUDGE}
RECIPES = {
    "vote": {"sampler": {"temperature": 1.0, "num_candidates": 4}, "selector": "majority_vote"},
    "first": {"sampler": {"temperature": 1.0, "num_candidates": 4}, "selector": "first"},
    "cold": {"sampler": {"temperature": 0.5, "num_candidates": 4}, "selector": "majority_vote"},
    "judged": {
        "sampler": {"temperature": 1.0, "num_candidates": 4},
        "selector": {"name": "best_of_n", "scorer": SCORER},
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, recipe in RECIPES.items():
        sampler = {"name": "temperature", "max_tokens": 60, **recipe["sampler"]}  # type: ignore[dict-item]
        told = {"task": "math", "engine": ENGINE, **recipe, "sampler": sampler}
        (tmp_path / f"{name}.yaml").write_text(json.dumps(told))
    return tmp_path


def written(folder: Path, name: str) -> int:
    """The tokens on the lines of a file, where it is."""
    if not (folder / name).exists():
        return 0
    lines = [json.loads(line) for line in (folder / name).read_bytes().splitlines()]
    return sum((line.get("completion") or line)["num_tokens"] for line in lines)


def budget_of(said: Said) -> int:
    (number,) = re.findall(r"Go on with --token-budget (\d+) or more", said.err.replace("\n", " "))
    return int(number)


def test_a_benchmarks_budget_holds_for_all_its_recipes_and_counts_what_was_lent_once(folder: Path) -> None:
    arms = [word for name in ("vote", "first", "cold", "judged") for word in ("-r", f"{name}.yaml")]
    bench = ("bench", "problems.jsonl", *arms, "--k", "1,4", "--embeddings", "none", "--run", "b")

    def total() -> int:
        parts = [(name, "candidates.jsonl") for name in ("vote", "cold")] + [("judged", "scorer_calls.jsonl")]
        return sum(written(folder / "b" / name, file) for name, file in parts)

    budget, said = 100, tts(folder, *bench, "--token-budget", "100")
    for _ in range(60):
        assert total() <= budget
        if said.code != 3:
            break
        assert f"the token budget of {budget} tokens is reached" in said.err.replace("\n", " "), said
        assert "tts bench --run b" in said.err
        budget = budget_of(said) + 150
        said = tts(folder, "bench", "--run", "b", "--token-budget", str(budget))
    assert said.code in (0, 1), said
    assert len(list((folder / "b").glob("*/candidates.jsonl"))) == 4
    # All that was drawn and asked, once, and a call's reservation, are enough from the start.
    enough = str(total() + 60)
    again = tts(folder, *bench[:-1], "c", "--token-budget", enough)
    assert again.code == said.code, again


@pytest.mark.parametrize("command", ["select", "grade"])
def test_what_a_scorer_asks_about_a_stored_run_stays_below_the_budget(folder: Path, command: str) -> None:
    assert tts(folder, "solve", "problems.jsonl", "-r", "vote.yaml", "--run", "run").code == 0
    assert written(folder / "run", "candidates.jsonl") > 60, "what was drawn does not count"
    asked = (command, "run", "--set", f"selector={json.dumps({'name': 'best_of_n', 'scorer': SCORER})}")
    budget, said = 60, tts(folder, *asked, "--token-budget", "60")
    for _ in range(20):
        assert 0 < written(folder / "run", "scorer_calls.jsonl") <= budget
        if said.code != 3:
            break
        budget = budget_of(said) + 50
        said = tts(folder, *asked, "--token-budget", str(budget))
    assert said.code == 0, said
    assert len(said.out.splitlines()) == len(ROWS)
    assert tts(folder, *asked, "--token-budget", "1").code == 0, "nothing is left to ask"
    wrong = tts(folder, *asked, "--cost-budget", "1")
    assert wrong.code == 2
    assert "needs an engine with prices" in wrong.err
