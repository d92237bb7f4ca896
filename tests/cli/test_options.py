"""What was asked and would change nothing is refused, for each command by the same table."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_parts import rows
from command_parts import tts

from tts.cli import app
from tts.cli.options import RULES, STDIN, Rule, check_rule
from tts.errors import UsageError

SIX = rows([(f"q{number}", "42") for number in range(6)])
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group


@pytest.fixture
def folder(recipe: Path) -> Path:
    """A folder with six problems and a finished run of them."""
    folder = recipe.parent
    (folder / "p.jsonl").write_text(SIX)
    done = tts(folder, "solve", "p.jsonl", "-r", recipe, "--run", "run")
    assert done.code == 0, done.err
    return folder


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("bench --from run --turns 3 --run b", "`--turns` must go with a --recipe"),
        ("bench --from run --limit 3 --run b", "`--limit` must go with a --recipe"),
        ("bench --from run --seed 3 --run b", "`--seed` must go with a --recipe"),
        ("bench -r scripted.yaml --seed 1 --set seed=2 --run b", "`--seed` must not go with `--set seed`"),
        ("bench -r scripted.yaml --problems p.jsonl", "`--problems` must go with `--from` or `--run`"),
        ("solve --run run --limit 2", "`--limit` must be at least 6"),
        ("solve p.jsonl --retry-errors", "`--retry-errors` must go with `--run`"),
        ("solve p.jsonl --dry-run --keep-order", "`--dry-run` must not go with `--keep-order`"),
        ("solve p.jsonl --dry-run --time-limit 1h", "`--dry-run` must not go with `--time-limit`"),
        ("solve p.jsonl --set problems=quickstart", "`--set problems` must not go with `PROBLEMS`"),
        ("select run --scorer likelihood", "`--scorer` must go with `--selector`"),
        ("select run -s majority_vote --set selector=first", "`--selector` must not go with `--set selector`"),
        ("select run -s best_of_n --set selector.scorer=novelty", "`--selector` must not go with `--set selector`"),
        ("serve-args -r aime_esamp --set seed=3", "`--set seed=3` changes nothing"),
        ("serve-args -r aime_esamp --set selector=first", "`--set selector=first` changes nothing"),
        ("serve-args -r paper/math_override", "`sampler` must be esamp, or one that needs no plugin"),
    ],
)
def test_what_does_not_apply_is_refused_before_anything_is_done(folder: Path, arguments: str, told: str) -> None:
    before = {path: path.read_bytes() for path in (folder / "run").iterdir()}
    said = tts(folder, *arguments.split())
    assert (said.code, said.out) == (2, ""), said
    assert told in said.err
    assert len(said.err.splitlines()) == 1
    assert not (folder / "b").exists()
    assert not (folder / "runs").exists()
    assert {path: path.read_bytes() for path in (folder / "run").iterdir()} == before


def test_a_recipes_problems_and_a_pipe_are_two_inputs(folder: Path) -> None:
    said = tts(folder, "solve", "-r", "scripted.yaml", "--set", "problems=quickstart", stdin=SIX.encode())
    assert (said.code, said.out) == (2, "")
    assert f"`--set problems` must not go with `{STDIN}`" in said.err


def test_a_limit_as_large_as_the_run_or_larger_goes_on(folder: Path) -> None:
    assert len(tts(folder, "solve", "--run", "run", "--limit", 6).out.splitlines()) == 6
    more = SIX + rows([("q6", "42"), ("q7", "42")])
    (folder / "p.jsonl").write_text(more)
    said = tts(folder, "solve", "p.jsonl", "--run", "run", "--limit", 7)
    assert [json.loads(line)["id"] for line in said.out.splitlines()] == [f"q{number}" for number in range(7)]


def test_fewer_problems_than_the_run_holds_are_told(folder: Path) -> None:
    (folder / "fewer.jsonl").write_text(rows([("q0", "42")]))
    said = tts(folder, "solve", "fewer.jsonl", "--run", "run")
    assert said.code == 2
    assert "the input ends after row 1" in said.err


def test_a_dry_run_of_a_run_counts_what_is_missing(folder: Path) -> None:
    path = folder / "run" / "candidates.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-5]))
    said = tts(folder, "solve", "--run", "run", "--dry-run")
    assert "6 problems × 4 candidates = 24 candidates\n19 of them are drawn already, 5 are missing\n" in said.out
    assert "at most 5 × 1024 = 5120 tokens" in said.out


def options_of(command: str) -> set[str]:
    """The long names of a command's options, and its arguments in capitals."""
    return {
        parameter.name.upper() if parameter.param_type_name == "argument" else max(parameter.opts, key=len)
        for parameter in COMMANDS[command].params
    }


@pytest.mark.parametrize("command", RULES)
def test_every_rule_names_options_that_its_command_has(command: str) -> None:
    known = options_of(command) | {STDIN}
    for rule in RULES[command]:
        for name in (rule.option, *rule.needs, *rule.excludes):
            assert name.split(" ")[0] in known or name in known, (command, name)


@pytest.mark.parametrize("command", RULES)
def test_of_any_options_together_a_rule_says_the_same_in_any_order(command: str) -> None:
    known = sorted(options_of(command) | {STDIN})
    for given in combinations(known, 3):
        outcomes = {refused(RULES[command], set(order)) for order in (given, given[::-1])}
        assert len(outcomes) == 1


def refused(rules: tuple[Rule, ...], given: set[str]) -> bool:
    try:
        for rule in rules:
            check_rule(rule, given)
    except UsageError:
        return True
    return False
