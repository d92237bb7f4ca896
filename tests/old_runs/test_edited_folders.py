"""Stored folders in which one line was edited: read, or refused with its place; never a traceback.

Every kind of edit is tried on every file that a run, a benchmark or another tool's candidates have. Seed 0 is part of
every test run; more edits: `-m slow`.
"""

import gc
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_parts import Said, tts
from old_runs_parts import DATA, JOBS, files, settled

FOLDERS = DATA / "a1a8f35" / "folders"
NUM_EDITS = 2
PRIMARY = ("run.json", "problems.jsonl", "candidates.jsonl", "bench.json")
NEW_KEY = "key_of_a_later_version"

SOLVE = ("solve", "--run", "it")
GRADE = ("grade", "it")
SELECT = ("select", "it")
RESELECT = ("select", "it", "--selector", "majority_vote")
REPORT = ("report", "it", "--json", "--embeddings", "none")
WITH_PROBLEMS = ("--problems", "bench.jsonl")


@dataclass(frozen=True)
class Target:
    """A file to edit, in a copy of `source` that is called `it`, and the commands that read it. `path` "": itself."""

    source: Path
    path: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """What messages call the file."""
        return f"it/{self.path}" if self.path else "it"

    def copy(self, folder: Path) -> Path:
        """Make a copy in `folder`, beside all recipes and problems; return the file to edit."""
        shutil.copytree(JOBS, folder)
        copy = shutil.copy if self.source.is_file() else shutil.copytree
        return Path(copy(self.source, folder / "it")) / self.path


RUN, BENCH = FOLDERS / "mixed-interrupted", FOLDERS / "bench-interrupted"
TARGETS = {
    "run.json": Target(RUN, "run.json", (SOLVE, GRADE, RESELECT, REPORT)),
    "problems.jsonl": Target(RUN, "problems.jsonl", (SOLVE, GRADE, RESELECT, REPORT)),
    "candidates.jsonl": Target(RUN, "candidates.jsonl", (SOLVE, GRADE, RESELECT, REPORT)),
    "scores.jsonl": Target(RUN, "scores.jsonl", (SOLVE, SELECT, REPORT)),
    "selections.jsonl": Target(RUN, "selections.jsonl", (SOLVE, SELECT, RESELECT, REPORT)),
    "verdicts.jsonl": Target(RUN, "verdicts.jsonl", (SOLVE, SELECT, RESELECT, REPORT)),
    "sessions.jsonl": Target(RUN, "sessions.jsonl", (SOLVE, REPORT)),
    "bench.json": Target(BENCH, "bench.json", (("bench", "--run", "it"), GRADE, REPORT)),
    "theirs.jsonl": Target(
        JOBS / "theirs.jsonl", "", tuple((*command, *WITH_PROBLEMS) for command in (GRADE, RESELECT, REPORT))
    ),
}

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # see `_nothing_stays_open`

# --- edits

Record = dict[str, Any]
Edit = Callable[[random.Random, Record], object]
"""Changes a record, or returns what stands in its place."""


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any, Any]]:
    """Yield (container, key, value) of all that is in a record; of a recipe only its sections.

    A recipe's values are its reader's matter, and some would draw for ever.
    """
    if "recipe" in path[:-1]:
        return
    for key, below in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key, below
        if isinstance(below, dict | list):
            yield from spots(below, (*path, key))


def remove_key(rng: random.Random, record: Record) -> None:
    container, key, _ = rng.choice([spot for spot in spots(record) if isinstance(spot[0], dict)])
    del container[key]


def change_type(rng: random.Random, record: Record) -> None:
    container, key, value = rng.choice(list(spots(record)))
    others = {str: 7, int: "7", float: "0.5", bool: "yes", list: {"0": 1}, dict: [1], type(None): [1]}
    container[key] = others[type(value)]


def make_null(rng: random.Random, record: Record) -> None:
    container, key, _ = rng.choice([spot for spot in spots(record) if spot[2] is not None])
    container[key] = None


def change_number(rng: random.Random, record: Record) -> None:
    """Put a number that is too large, negative or none where a number is, else anywhere."""
    there = list(spots(record))
    numbers = [spot for spot in there if isinstance(spot[2], int | float) and spot[1] not in {"turns", "format"}]
    container, key, _ = rng.choice(numbers or there)
    container[key] = rng.choice([10**30, float("inf"), float("nan"), -1, 0.5])


def other_json(rng: random.Random, record: Record) -> object:
    return rng.choice([[record], "text", 7, None, True, {}])


CHANGES: tuple[Edit, ...] = (remove_key, change_type, make_null, change_number, other_json)


def cut(rng: random.Random, line: bytes) -> bytes:
    return line[: rng.randrange(1, len(line) - 2)] + b"\n"


def not_json(_: random.Random, __: bytes) -> bytes:
    return b"This is no JSON.\n"


def bad_bytes(rng: random.Random, line: bytes) -> bytes:
    place = rng.randrange(1, len(line) - 1)
    return line[:place] + b"\xff\xfe" + line[place:]


def double(_: random.Random, line: bytes) -> bytes:
    return line + line


DAMAGES = (cut, not_json, bad_bytes, double)


def edited(content: bytes, edit: Any, rng: random.Random, *, whole: bool) -> tuple[int, bytes, bytes, bytes]:
    """Return (number of the line, the line before, after, the edited file); of a `whole` file all is one line."""
    lines = [content] if whole else content.splitlines(keepends=True)
    complete = [place for place, line in enumerate(lines) if line.endswith(b"\n") and line.startswith(b"{")]
    place = rng.choice(complete)
    before = lines[place]
    if edit in DAMAGES:
        after = edit(rng, before)
    else:
        record = json.loads(before)
        instead = edit(rng, record)
        after = json.dumps(record if edit is not other_json else instead, ensure_ascii=False).encode() + b"\n"
    return place + 1, before, after, b"".join([*lines[:place], after, *lines[place + 1 :]])


# --- what must come of it

BROKEN = (other_json, not_json)
"""After these a line has no key any more: one that cannot be computed anew must not be passed over."""

IN_ITS_WORDS = {
    change_number: r"problem '|for '|`k` must be",  # wrong only beside others: a class, a score, a `k` too large
    remove_key: "holds a run of another recipe",  # a recipe without a key is one with the key's default
}
"""How an error may name its place otherwise."""


def fault(said: Said, target: Target, edit: Any, number: int) -> str | None:
    """Return what is wrong with an outcome; None where nothing is."""
    if said.crash:
        return said.crash
    if said.code not in (0, 1, 2, 3) or "Traceback" in said.err:
        return f"exit code {said.code}:\n{said.err}"
    errors = [line for line in said.err.splitlines() if line.startswith("tts: error:")]
    lines = f":({number}|{number + 1})" if edit is double else f":{number}"
    place = re.escape(target.name) + ("" if target.path.endswith(".json") else rf"{lines}\b")
    if len(errors) > 1 or (said.code in (2, 3) and not errors):
        return f"{len(errors)} errors:\n{said.err}"
    if errors and not re.search("|".join(filter(None, (place, IN_ITS_WORDS.get(edit)))), errors[0]):
        return f"the error does not name {target.name}, line {number}:\n{said.err}"
    if not errors and edit in BROKEN and target.path in PRIMARY:
        return f"exit code {said.code}: a broken line was passed over"
    return None


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    """Close what a refused command left open, which its process would do, before another test is blamed for it."""
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
@pytest.mark.parametrize("edit", [*CHANGES, *DAMAGES], ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("file", TARGETS)
def test_an_edited_line_is_read_or_refused_with_its_place(file: str, edit: Any, seed: int, tmp_path: Path) -> None:
    target, rng, faults = TARGETS[file], random.Random(f"{file} {edit.__name__} {seed}"), []
    for attempt in range(NUM_EDITS):
        content = (target.source / target.path).read_bytes()
        number, before, after, changed = edited(content, edit, rng, whole=file.endswith(".json"))
        for command in target.commands:
            folder = tmp_path / f"{attempt}-{'-'.join(command[::2])}"
            target.copy(folder).write_bytes(changed)
            found = fault(tts(folder, *command), target, edit, number)
            if found is not None:
                told = f"before: {before[:600]!r}\nafter:  {after[:600]!r}"
                faults.append(f"{file}, line {number}, {edit.__name__}, tts {' '.join(command)}\n{told}\n{found}")
    assert not faults, "\n\n".join(faults)


# --- later versions


def with_new_keys(value: Any, *, free: bool = False) -> Any:
    """Return a record with one more key in each of its records; `free`: a mapping whose keys mean themselves."""
    if isinstance(value, list):
        return [with_new_keys(one) for one in value]
    if not isinstance(value, dict) or free:
        return value
    free_keys = {"metadata", "engine_stats", "recipe", "host", "versions", "public_tests", "tests"}
    kept = {key: with_new_keys(below, free=key in free_keys) for key, below in value.items()}
    return {**kept, NEW_KEY: {"a": [1, None]}}


@pytest.mark.parametrize("file", TARGETS)
def test_keys_of_a_later_version_change_nothing(file: str, tmp_path: Path) -> None:
    target = TARGETS[file]
    for command in target.commands:
        outcomes = []
        for name in ("plain", "extended"):
            folder = tmp_path / f"{name}-{'-'.join(command[::2])}"
            path = target.copy(folder)
            if name == "extended":
                path.write_bytes(extended(path.read_bytes(), whole=file.endswith(".json")))
            said = tts(folder, *command)
            assert not said.crash, f"{file}, tts {' '.join(command)}\n{said.crash}"
            told = settled(said.out).replace(f"{NEW_KEY}, ", "")  # of another tool's file it is said what is not used
            left = {} if path.parent == folder else files(path.parent)
            outcomes.append((said.code, told, {name: text for name, text in left.items() if name != file}))
        assert outcomes[0] == outcomes[1]


def extended(content: bytes, *, whole: bool) -> bytes:
    lines = [content] if whole else content.splitlines(keepends=True)
    records = [line.startswith(b"{") and line.endswith(b"}\n") for line in lines]
    return b"".join(
        json.dumps(with_new_keys(json.loads(line)), ensure_ascii=False).encode() + b"\n" if is_record else line
        for line, is_record in zip(lines, records, strict=True)
    )
