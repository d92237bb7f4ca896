"""What the command says of a stored folder, without what a clock or a machine wrote."""

import re
from html.parser import HTMLParser
from pathlib import Path

from command_parts import tts

HERE = Path(__file__).parent
JOBS = HERE / "jobs"
DATA = HERE / "data"
DERIVED = ("scores.jsonl", "selections.jsonl", "verdicts.jsonl", "summary.json")
REPEATABLE = ("problems.jsonl", "candidates.jsonl", *DERIVED)

COMMANDS = {
    "grade": ("grade",),
    "select": ("select",),
    "select-majority": ("select", "--selector", "majority_vote"),
    "select-likelihood": ("select", "--selector", "best_of_n", "--scorer", "likelihood"),
}
"""What is asked of a stored folder, by the name of the file that holds the answer; `report` beside them."""


def answers(folder: Path, name: str, *options: str) -> dict[str, str]:
    """Return what the commands say of `name` in `folder`, file by file; `report` writes its files beside it."""
    found = {}
    for file, command in COMMANDS.items():
        said = tts(folder, *command, name, *options)
        found[f"{file}.jsonl"] = f"{said.out}exit code {said.code}\n"
    shown = ("--json", "--out", "page.html", "--csv", "csv", "--embeddings", "ngrams")
    said = tts(folder, "report", name, *shown, *options)
    assert said.code == 0, said
    found["report.json"] = said.out
    found["page.txt"] = page_text((folder / "page.html").read_text())
    found |= {f"{table.stem}.csv": table.read_text() for table in (folder / "csv").iterdir()}
    return {file: settled(text) for file, text in found.items()}


def files(folder: Path, names: tuple[str, ...] = REPEATABLE) -> dict[str, str]:
    """Return the files of a run folder that must not depend on interruptions; lines of JSONL files in any order."""
    there = {name: (folder / name).read_text() for name in names if (folder / name).exists()}
    return {
        name: "".join(sorted(text.splitlines(keepends=True))) if name.endswith("l") else text
        for name, text in there.items()
    }


def settled(text: str) -> str:
    """Return `text` without what clocks and machines wrote.

    Its numbers have 12 digits: processors add them up differently.
    Keys that recipes and benchmarks were given later are left out where they have the value that changes nothing.
    """
    text = re.sub(r'"examples": \[\],\s+"examples_as": "turns",\s+', "", text)
    text = re.sub(r'"(rewards": \[\]|confidence_window": null|preset": "none"|start": "paper"),\s+', "", text)
    text = re.sub(r',\s+"(judged_by": \[\]|baseline": null|num_parameters": null|axis": "")', "", text)
    text = re.sub(r'"(wall_seconds|seconds|tokens_per_second|began|ended)": [^,}]+', r'"\1": null', text)
    text = re.sub(r'"(hosts|versions)": [\[{][^\]}]*[\]}]', r'"\1": null', text)
    return re.sub(r"\d+\.\d{12,}(e-?\d+)?", lambda number: f"{float(number[0]):.12g}", text)


def page_text(page: str) -> str:
    """Return what a reader of the page finds, a line each: text, ids, links and names of what is drawn."""
    reader = _Reader()
    reader.feed(page)
    return "".join(f"{line}\n" for line in reader.lines)


class _Reader(HTMLParser):
    """Collects what can be read. Style, script, and the version in the footer are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("style", "script")
        self.lines += [f"{name}={value}" for name, value in attrs if name in ("id", "href", "title", "aria-label")]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the signature is the base class's
        self._hidden = False

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        if words and not self._hidden:
            self.lines.append(re.sub(r"^Written by tts \S+\.", "Written by tts.", words))
