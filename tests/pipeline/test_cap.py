"""What a run may spend: a cap that is never passed, says what is missing, and changes nothing that a search does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts import ProblemRow
from tts.errors import CapReachedError, UsageError
from tts.pipeline.cap import Amount, Cap
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.types import Completion, Decoding, Message, Prices, Problem, Reference, Request, RewardRequest

SAMPLE = "{name: temperature, num_candidates: 4, max_tokens: 60}"
BEAM = "{name: prm_beam, num_candidates: 8, max_tokens: 60, reward: {name: replay, rewards: [0.1, 0.9, 0.5]}}"
SCRIPT = [{"text": f"so \\boxed{{{n % 3}}}", "num_tokens": 7 + n} for n in range(9)]


def recipe_of(folder: Path, sampler: str = SAMPLE, **engine):
    path = folder / "r.yaml"
    told = json.dumps({"name": "replay", "script": SCRIPT, "batch_size": 5, **engine})
    path.write_text(f"task: math\nengine: {told}\nsampler: {sampler}\nselector: majority_vote\n")
    return load_recipe(str(path))


def rows(number: int = 6) -> list[ProblemRow]:
    return [ProblemRow(Problem(f"p{one}", f"{one} + 1?", "math"), Reference("1"), one + 1) for one in range(number)]


def solved(recipe, folder: Path, **keys):
    with open_run(recipe, rows(), folder, **keys) as run:
        return {outcome.solution.problem_id: outcome.solution for outcome in run.outcomes()}


def spent(folder: Path) -> int:
    """All tokens that a folder says were written."""
    lines = [json.loads(line) for name in ("candidates", "calls") for line in lines_of(folder / f"{name}.jsonl")]
    if (folder / "calls.jsonl").exists():
        return sum(line["completion"]["num_tokens"] for line in lines if line.get("completion"))
    return sum(line["num_tokens"] for line in lines)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def call(key: str, max_tokens: int = 10, text: str = "hi") -> Request:
    return Request("p", key, (Message("user", text),), Decoding(max_tokens), 0, "s")


@pytest.mark.parametrize("sampler", [SAMPLE, BEAM])
@pytest.mark.parametrize("budget", [59, 60, 130, 190])
def test_a_token_budget_is_never_passed_and_a_larger_one_goes_on_to_the_same_end(
    tmp_path: Path, sampler: str, budget: int
) -> None:
    recipe = recipe_of(tmp_path, sampler)
    whole = solved(recipe, tmp_path / "whole")
    with pytest.raises(CapReachedError) as reached:
        solved(recipe, tmp_path / "run", token_budget=budget)
    taken = spent(tmp_path / "run")
    assert taken <= budget < taken + 60
    assert f"{taken} tokens are spent" in str(reached.value).replace("token are", "tokens are")
    assert f"{taken + 60 - budget} token" in str(reached.value)
    with pytest.raises(CapReachedError):
        solved(recipe, tmp_path / "run", token_budget=budget)  # what the folder spent counts
    assert spent(tmp_path / "run") == taken
    again = solved(recipe, tmp_path / "run", token_budget=100_000)
    assert {name: one.selection for name, one in again.items()} == {name: one.selection for name, one in whole.items()}
    assert spent(tmp_path / "run") == spent(tmp_path / "whole")


def test_what_the_message_names_as_least_is_enough_for_the_next_call(tmp_path: Path) -> None:
    recipe, budget, before = recipe_of(tmp_path), 100, -1
    for _ in range(200):
        try:
            solved(recipe, tmp_path / "run", token_budget=budget)
            break
        except CapReachedError as reached:
            assert spent(tmp_path / "run") > before
            before = spent(tmp_path / "run")
            budget = int(str(reached).rpartition("--token-budget ")[2].split()[0])
    assert len(lines_of(tmp_path / "run" / "candidates.jsonl")) == 24


def test_a_cost_budget_needs_prices(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs an engine with prices"):
        solved(recipe_of(tmp_path), tmp_path / "run", cost_budget=1.0)


def test_money_is_read_cached_and_written_tokens_by_their_prices() -> None:
    prices = {"engine": Prices(read=1.0, cached=0.1, written=10.0)}
    cap = Cap(cost=1.0, prices=prices, spent=Amount(50_000, 0.05 + 0.005 + 0.5))
    assert cap.reserve("engine", call("a", 44_000))  # 0.44 and a prompt of some bytes
    assert not cap.reserve("engine", call("b", 500))
    assert cap.reserve("judge", call("b", 500))  # costs no money
    cap.settle("judge", Completion("p", "b", "", "stop", 5, 300))
    cap.settle("engine", Completion("p", "a", "", "stop", 100, 1_000))  # 0.0101
    assert cap.reserve("engine", call("c", 43_400))
    assert not cap.reserve("engine", call("d", 100))
    cap.settle("engine", Completion("p", "c", "", "stop", 100, 43_400))
    assert not cap.reserve("engine", call("e", 200))
    told = str(cap.reached())
    assert "cost budget of 1 is reached" in told
    least = float(told.rpartition("--cost-budget ")[2].split()[0])
    assert 1.0 < least < 1.01


def test_a_prompt_counts_for_its_bytes_until_the_server_has_counted_it() -> None:
    cap = Cap(cost=1e-3, prices={"engine": Prices(read=1.0, cached=1.0, written=1.0)})
    assert not cap.reserve("engine", call("a", 1, "é" * 500))
    assert cap.reserve("engine", call("a", 1, "é" * 400))


def test_a_call_that_is_sent_anew_is_reserved_anew() -> None:
    cap = Cap(tokens=30)
    assert cap.reserve("engine", call("a"))
    assert cap.again("engine", "p", "a")
    assert cap.again("engine", "p", "a")
    assert not cap.again("engine", "p", "a")
    assert not cap.reserve("engine", call("b"))
    cap.settle("engine", Completion("p", "a", "", "stop", 5, 3, engine_stats={"wasted_tokens": 20.0}))
    assert cap.is_idle
    assert not cap.reserve("engine", call("b", 8))
    assert cap.reserve("engine", call("b", 7))


def test_what_rates_writes_nothing() -> None:
    assert Cap(tokens=1).reserve("reward", RewardRequest("p", "a", (Message("user", "x"),), ("y",)))


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20), st.integers(0, 3), st.booleans()), max_size=20),
)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_whatever_comes_when_no_more_is_written_than_the_cap(budget: int, calls) -> None:
    """Each call writes at most its max_tokens in each attempt; attempts and replies come in any order."""
    cap, written, flying = Cap(tokens=budget), 0, []
    for number, (most, takes, breaks, waits) in enumerate(calls):
        if cap.reserve("engine", call(str(number), most)):
            broken = 0
            while broken < breaks and cap.again("engine", "p", str(number)):
                broken += 1
            written += most * broken + min(takes, most)
            flying.append((str(number), min(takes, most), {"wasted_tokens": float(most * broken)}))
        while flying and not waits:
            key, took, stats = flying.pop()
            cap.settle("engine", Completion("p", key, "", "stop", 1, took, engine_stats=stats))
        assert written <= budget
