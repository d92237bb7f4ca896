"""`tts export`: the table holds what the run holds, and other tools read it."""

import base64
import csv
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cli_parts import Result, rows
from command_parts import tts
from test_shards import SEARCH, Command

from tts.report.export import COLUMNS

ODD = 'a "quoted", text;\r\nof\rtwo\u2028lines\x00, ü 😀 HALF'


@pytest.fixture
def run(folder: Path) -> Path:
    """A folder with a run that has odd texts and a failed candidate beside good ones, and one that is unfinished."""
    script = [ODD + " \\boxed{42}", "", {"text": "", "finish_reason": "error", "error": "no"}, "\\boxed{41}"]
    text = (folder / "scripted.yaml").read_text()
    start, end = text.index("  script:"), text.index("sampler:")
    (folder / "odd.yaml").write_text(f"{text[:start]}  script: {json.dumps(script, ensure_ascii=False)}\n{text[end:]}")
    (folder / "p.jsonl").write_text(rows([("6*7", "42"), ("ü,\n", "41"), ("free", "0")]))
    assert tts(folder, "solve", "p.jsonl", "-r", "odd.yaml", "--run", "odd").code == 1
    file = folder / "odd" / "candidates.jsonl"  # a half of a character, which no recipe may hold
    file.write_bytes(file.read_bytes().replace(b"HALF", b"\\udc80"))
    return folder


def read(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of any of the three kinds."""
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
    if file.suffix == ".csv":
        with file.open(newline="") as lines:
            return list(csv.DictReader(lines))
    from pyarrow import parquet

    found: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    return found


def test_each_candidate_is_a_row_with_all_that_is_known_of_it(run: Path) -> None:
    said = tts(run, "export", "odd", "--to", "x.jsonl")
    assert (said.code, said.out, said.err) == (0, "", "tts: 12 candidates are in x.jsonl\n")
    found = read(run / "x.jsonl")
    assert [tuple(row) for row in found] == [tuple(COLUMNS)] * 12
    stored = read(run / "odd" / "candidates.jsonl")
    by_key = {(one["problem_id"], one["index"]): one for one in stored}
    for row in found:
        candidate = by_key[row["problem_id"], row["index"]]
        assert {name: row[name] for name in candidate if name in row and name != "engine_stats"} == {
            name: value for name, value in candidate.items() if name in row and name != "engine_stats"
        }
    first, second, third, fourth = found[:4]
    assert (first["answer"], first["answer_rule"], first["verdict"]) == ("42", "boxed", "passed")
    assert [row["selected"] for row in found[:4]] == [False, False, False, True]  # a tie, which the text decides
    assert (first["problem"], first["reference"], first["class"]) == ("What is 6*7?", "42", 0)
    assert (second["answer"], second["class"], second["verdict"], second["selected"]) == (None, None, "failed", False)
    assert (third["finish_reason"], third["error"]) == ("error", "no")
    assert (fourth["answer"], fourth["verdict"]) == ("41", "failed")


def test_the_three_forms_say_the_same(run: Path) -> None:
    for kind in ("jsonl", "csv", "parquet"):
        assert tts(run, "export", "odd", "--to", f"x.{kind}").code == 0
    lines, cells, typed = (read(run / f"x.{kind}") for kind in ("jsonl", "csv", "parquet"))
    spelled = [
        {name: value.replace("\udc80", "\\udc80") if isinstance(value, str) else value for name, value in row.items()}
        for row in lines
    ]
    assert typed == spelled
    assert cells == [{name: "" if value is None else str(value) for name, value in row.items()} for row in spelled]
    piped = tts(run, "export", "odd", "--to", "-")
    assert [json.loads(line) for line in piped.out.split("\n")[:-1]] == lines


@pytest.mark.filterwarnings("ignore")  # of the library that reads
@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_datasets_loads_it(run: Path, tmp_path: Path, kind: str) -> None:
    import datasets

    name = "x.jsonl" if kind == "json" else f"x.{kind}"
    assert tts(run, "export", "run", "--to", name).code == 0  # its texts are such that pandas guesses nothing else
    loaded = datasets.load_dataset(kind, data_files=str(run / name), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.column_names == list(COLUMNS)
    assert loaded.num_rows == 8
    assert loaded["verdict"] == ["passed", "failed", "passed", "failed", "failed", "passed", "failed", "failed"]
    assert loaded["num_tokens"][0] > 0


def test_searches_have_calls_and_rewards(folder: Path) -> None:
    (folder / "search.yaml").write_text(SEARCH)
    tts(folder, "solve", "p.jsonl", "-r", "search.yaml", "--run", "searched")
    for kind in ("parquet", "csv"):
        assert tts(folder, "export", "searched", "--to", f"x.{kind}").code == 0
    found = read(folder / "x.parquet")
    assert all(row["num_calls"] == len(row["rewards"]) > 0 for row in found)
    assert all(row["score"] is not None for row in found)
    assert [json.loads(row["rewards"]) for row in read(folder / "x.csv")] == [row["rewards"] for row in found]


def test_what_is_not_judged_is_null_and_told(run: Path) -> None:
    (run / "odd" / "verdicts.jsonl").unlink()
    said = tts(run, "export", "odd", "run", "--to", "x.parquet")
    assert "12 of 20 candidates not judged yet" in said.err
    found = read(run / "x.parquet")
    assert [row["run"] for row in found] == ["odd"] * 12 + ["run"] * 8
    assert [row["verdict"] is None for row in found] == [True] * 12 + [False] * 8


def test_what_cannot_be_written_is_refused_and_leaves_what_was_there(run: Path) -> None:
    for wrong in ("x.xlsx", "x", "parquet"):
        said = tts(run, "export", "run", "--to", wrong)
        assert (said.code, said.err) == (
            2,
            f"tts: error: `--to` must end in .parquet, .csv, .jsonl, or be - for JSON lines on stdout, got {wrong}\n",
        )
    assert "`--to` or `--push` must say" in tts(run, "export", "run").err
    assert "must be a run folder" in tts(run, "export", "p.jsonl", "--to", "x.csv").err
    (run / "x.csv").write_text("mine")
    (run / "run" / "candidates.jsonl").write_text('{"problem_id": "6*7"}\n')
    assert tts(run, "export", "run", "--to", "x.csv").code == 2
    assert (run / "x.csv").read_text() == "mine"
    assert not list(run.glob("*.partial"))
    assert tts(run, "export", "odd", "--to", "/dev/full.csv").code == 3


def test_without_pyarrow_the_message_names_the_extra(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = tts(run, "export", "run", "--to", "x.parquet")
    assert said.code == 2
    assert "Writing Parquet needs the package `pyarrow`" in said.err
    assert "datasets" in said.err
    assert tts(run, "export", "run", "--to", "x.csv").code == 0


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as takes a file; whoever has another token than `right` is refused."""

    taken: dict[str, Any]

    def do_HEAD(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != "Bearer right":
            return self._answer({"error": "Invalid credentials"}, 401)
        if self.path == "/api/repos/create":
            self.taken["repo"] = json.loads(content)
            return self._answer({"url": f"{self._here}/datasets/o/n", "id": "o/n"})
        if "/preupload/" in self.path:
            named = json.loads(content)["files"]
            files = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in named]
            return self._answer({"files": files})
        for line in map(json.loads, content.splitlines()):
            if line["key"] == "file":
                self.taken[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        commit = f"{self._here}/datasets/o/n/commit/0"
        return self._answer({"success": True, "commitOid": "0", "commitUrl": commit, "hookOutput": ""})

    @property
    def _here(self) -> str:
        return f"http://{self.headers['Host']}"

    def _answer(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, Any]]]:
    """A hub of our own: its address, and what it took."""
    taken: dict[str, Any] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OurHub", (Hub,), {"taken": taken}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_pushed_it_is_in_the_data_set(
    folder: Path, hub: tuple[str, dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    address, taken = hub
    command: Command = request.getfixturevalue("tts")

    def push(**environment: str) -> Result:
        return command("export", "run", "--push", "o/n", HF_HOME=str(folder / "hf"), **environment)

    said = push(HF_ENDPOINT=address, HF_TOKEN="right")
    assert said.code == 0, said.err
    assert said.err == f"tts: 8 candidates are in {address}/datasets/o/n\n"
    assert (taken["repo"]["name"], taken["repo"]["type"]) == ("n", "dataset")
    (folder / "got.parquet").write_bytes(taken["data/candidates.parquet"])
    assert len(read(folder / "got.parquet")) == 8

    for environment, told in (
        ({"HF_ENDPOINT": address, "HF_TOKEN": "wrong"}, "nothing was put into o/n: "),
        ({"HF_ENDPOINT": address}, "must have a token of the hub"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "right"}, "nothing can be put into o/n: the hub http"),
    ):
        said = push(**environment)
        assert said.code in (2, 3)
        assert told in said.err
        assert said.err.count("\n") == 1


def test_a_data_set_has_an_owner(folder: Path) -> None:
    assert "`--push` must be the OWNER/NAME" in tts(folder, "export", "run", "--push", "n").err
