"""Random rows, recipes and options, from a seed: no traceback, no lost row, nothing wrong in silence.

Seed 0 is part of every test run; more: `-m slow`.
"""

import gzip
import json
import random
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from command_parts import Said, tts

from tts.cli import app

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]
RECIPE: dict[str, Any] = {
    "task": "math",
    "engine": {"name": "replay", "script": ["\\boxed{42}", "\\boxed{41}", "\\boxed{42}"]},
    "sampler": {"name": "temperature", "num_candidates": 3},
    "selector": "majority_vote",
}
STRANGE: list[Any] = [
    *(None, True, -1, 0, 0.5, 2**64, "", "x", "\x1b[2J", "漢字", "{foo}", [], [1], {}, {"a": {"b": []}}),
    *("\ud800", "a" * 5000, [[[[]]]], {"name": "first"}, ["problem"], "../..", "\0"),
]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # what a refused command leaves to its process's end


def sound(said: Said, *codes: int) -> None:
    """State what holds of every command whatever it was given."""
    assert not said.crash, said.crash
    assert said.code in codes, said
    assert "\x1b" not in said.err
    if said.code == 2:
        assert said.err.startswith("tts: error: ") or "Usage: " in said.err or said.out, said


# --- rows


def some_row(rng: random.Random, number: int) -> tuple[bytes, str | None]:
    """Return a line, and the id of the problem that it is; None where it may be none."""
    row: dict[str, Any] = {"id": f"q{number}", "problem": f"What is 6*7+{number}?", "answer": "42"}
    match rng.randrange(6):
        case 0:
            return rng.choice([b"null", b"[]", b'"x"', b"{", b"{}", b"\xff", b"7", b'{"id": "a"', b"[" * 500]), None
        case 1:
            row[rng.choice(["id", "problem", "answer", "kind", "choices", "tests", "messages"])] = rng.choice(STRANGE)
            return json.dumps(row).encode(), None
        case 2:
            row[rng.choice(["extra", "level", "\u202e", "\x1b"])] = rng.choice(
                [one for one in STRANGE if one != "\ud800"]
            )
        case 3:
            row["problem"] = rng.choice(["\x1b[31m", "漢" * 100, "\x00", "\\boxed{", "{problem}", "x" * 10000]) + "?"
    return json.dumps(row, ensure_ascii=rng.random() < 0.5).encode(), f"q{number}"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_comes_back_once(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(RECIPE))
    for attempt in range(12):
        lines = [some_row(rng, number) for number in range(rng.randrange(1, 12))]
        content = rng.choice([b"", b"\xef\xbb\xbf"]) + rng.choice([b"\n", b"\r\n"]).join(line for line, _ in lines)
        content = rng.choice([bytes, gzip.compress])(content)
        run = ("--run", f"run-{attempt}")
        said = tts(tmp_path, "solve", "-r", "r.yaml", "--keep-order", *run, stdin=content)
        sound(said, 0, 1, 2)
        if said.code == 2:  # nothing in it looks like a row: it is refused whole
            assert not any(line.startswith(b"{") for line, _ in lines), (said, lines)
            continue
        records = [json.loads(line) for line in said.out.splitlines()]
        assert len(records) == len(lines)
        for (line, problem_id), record in zip(lines, records, strict=True):
            if problem_id is not None:
                assert (record["id"], record["verdict"]["status"]) == (problem_id, "passed"), line
            assert (record["error"] is None) == ("answer" in record and record["error"] is None)
        assert said.code == any(record["error"] or record.get("answer") is None for record in records)
        again = tts(tmp_path, "solve", "--keep-order", *run)
        assert [json.loads(line)["id"] for line in again.out.splitlines()] == [record["id"] for record in records]


# --- recipes


def spots(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything in a tree."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [spot for key in keys for spot in [(value, key), *spots(value[key])]]


@pytest.mark.parametrize("seed", SEEDS)
def test_any_change_of_a_recipe_is_good_or_a_mistake_that_is_told(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    (tmp_path / "p.jsonl").write_text('{"problem": "What is 6*7?", "answer": "42"}\n')
    shipped = tts(tmp_path, "recipes", "show", "quickstart").out
    for _ in range(40):
        tree = json.loads(json.dumps(rng.choice([RECIPE, {**yaml.safe_load(shipped), "engine": RECIPE["engine"]}])))
        for _ in range(rng.randrange(1, 3)):
            container, key = rng.choice(spots(tree))
            change = rng.randrange(3)
            if change == 0:
                container[key] = rng.choice(STRANGE)
            elif change == 1 and isinstance(container, dict):
                container[rng.choice(["x", "name", "n", "seed", "extends", "temperature", "\x1b"])] = rng.choice(
                    STRANGE
                )
            else:
                container.pop(key)
        (tmp_path / "r.yaml").write_text(json.dumps(tree))
        checked = tts(tmp_path, "recipes", "check", "r.yaml")
        sound(checked, 0, 2)
        planned = tts(tmp_path, "solve", "p.jsonl", "-r", "r.yaml", "--dry-run")
        sound(planned, 0, 2)
        assert planned.code >= checked.code
        if checked.code == 0:
            shown = tts(tmp_path, "recipes", "show", "r.yaml")
            (tmp_path / "shown.yaml").write_text(shown.out)
            again = tts(tmp_path, "recipes", "check", "shown.yaml")
            assert again.out.split("(")[1:] == checked.out.split("(")[1:], (tree, shown, again)


# --- options

VALUES = {
    "PROBLEMS": ["p.jsonl", "few.jsonl"],
    "RUNS": ["run", "theirs.jsonl"],
    "--recipe": ["-r", "r.yaml"],
    "--set": ["--set", "selector=first"],
    "--run": ["--run", "run"],
    "--limit": ["--limit", "2"],
    "--k": ["--k", "1,2"],
    "--from": ["--from", "run"],
    "--problems": ["--problems", "p.jsonl"],
    "--seed": ["--seed", "3"],
    "--turns": ["--turns", "2"],
    "--embeddings": ["--embeddings", "ngrams"],
    "--selector": ["-s", "majority_vote"],
    "--scorer": ["--scorer", "novelty"],
    "--out": ["--out", "page.html"],
    "--figures": ["--figures", "figures"],
    "--csv": ["--csv", "csv"],
    "--time-limit": ["--time-limit", "1h"],
    "--token-budget": ["--token-budget", "1000000000"],
    "--cost-budget": ["--cost-budget", "5"],
    "--shard": ["--shard", "0/2"],
    "--axis": ["--axis", "tokens"],
}
SKIPPED = {"--perplexity", "--help", "--engine", "--model"}
"""They load a model."""


def words(option: str, rng: random.Random) -> list[str]:
    """Return what the command line says for an option."""
    values = VALUES.get(option, [option])
    return [rng.choice(values)] if option.isupper() else values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six problems and a finished run of them, two of them alone, and candidates of another tool."""
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(RECIPE))
    rows = [{"id": f"q{number}", "problem": f"What is {number}?", "answer": "42"} for number in range(6)]
    for name, some in (("p.jsonl", rows), ("few.jsonl", rows[:2])):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in some))
    done = tts(tmp_path, "solve", "p.jsonl", "-r", "r.yaml", "--run", "run")
    assert done.code == 0, done
    shutil.copy(tmp_path / "run" / "candidates.jsonl", tmp_path / "theirs.jsonl")
    return tmp_path


def expected_records(command: str, line: list[str]) -> int | None:
    """Return how many records the command must give; None where that says nothing of it."""
    if command != "solve" or {"--dry-run", "--shard"} & set(line):
        return None
    num_problems = 2 if "few.jsonl" in line else 6
    return min(2, num_problems) if "--limit" in line else num_problems


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("command", ["solve", "grade", "select", "report", "bench"])
def test_any_two_options_do_something_or_are_refused(command: str, seed: int, folder: Path) -> None:
    rng = random.Random(f"{command} {seed}")
    given: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group
    names = [
        one.name.upper() if one.param_type_name == "argument" else max(one.opts, key=len)
        for one in given[command].params
    ]
    pairs = list(combinations(sorted({*names, *VALUES.keys() & set(names)} - SKIPPED), 2))
    before = (folder / "run" / "candidates.jsonl").read_bytes()
    for pair in rng.sample(pairs, min(len(pairs), 12 if command in {"bench", "report"} else 30)):
        line = [word for option in pair for word in words(option, rng)]
        if "RUNS" in names and "RUNS" not in pair:
            line.insert(0, "run")
        if command in {"solve", "bench"} and not {"--recipe", "--run", "--from"} & set(pair):
            line += ["-r", "r.yaml"]  # else it would be the quickstart's model
        if command in {"solve", "bench"} and not {"PROBLEMS", "--run", "--from"} & set(pair):
            line.append("p.jsonl")
        if command in {"report", "bench"} and "--embeddings" not in pair:
            line += ["--embeddings", "none"]
        said = tts(folder, command, *line)
        sound(said, 0, 1, 2)
        number = expected_records(command, line)
        if number is not None and said.code == 0 and "PROBLEMS" in pair:
            assert len(said.out.splitlines()) == number, (line, said)
        assert said.out or said.code == 2 or command == "report", (line, said)
        assert said.code < 2 or not said.out or command == "solve", (line, said)  # solve hands out what it has first
        assert (folder / "run" / "candidates.jsonl").read_bytes().startswith(before), line
