"""Hub data sets through the real `datasets` library: local folders, and a small server that answers like the hub."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tts.errors import ProblemsError
from tts.problems import ProblemSource, open_problems
from tts.problems.hub import HubSet, parse_hub_spec
from tts.problems.named import shuffled
from tts.types import ProblemRow, RowError

Rows = list[dict[str, object]]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which `owner/name` is a local data set, with a cache of its own."""
    config = pytest.importorskip("datasets.config", reason="needs the extra `datasets`")
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_set(folder: Path, config: str = "default", **splits: Rows) -> None:
    folder.mkdir(parents=True)
    files = [f"  - split: {name}\n    path: {name}.jsonl\n" for name in splits]
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n  data_files:\n{''.join(files)}---\n")
    for name, rows in splits.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def open_source(spec: str, seed: int = 0) -> ProblemSource:
    return open_problems(spec, default_kind="math", seed=seed, stdin=io.BytesIO())


def read(spec: str, seed: int = 0) -> list[ProblemRow | RowError]:
    with open_source(spec, seed) as source:
        return list(source)


def good(spec: str, seed: int = 0) -> list[ProblemRow]:
    rows = [row for row in read(spec, seed) if isinstance(row, ProblemRow)]
    assert len(rows) == len(read(spec, seed))
    return rows


def test_a_specification_is_read_whole() -> None:
    spec = "hf://owner/name?split=train[:5]&config=main&revision=abc&problem=Question%20text&answer=gold&id=uid"
    columns = {"problem": "Question text", "answer": "gold", "id": "uid"}
    assert parse_hub_spec(spec) == HubSet("owner/name", "train[:5]", "main", "abc", columns)
    assert parse_hub_spec("hf://o/n?split=train+test&problem=the text").split == "train+test"
    assert parse_hub_spec("hf:///a/folder") == HubSet("/a/folder")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("hf://", "name a data set"),
        ("hf://?split=test", "name a data set"),
        ("hf://o/n?splt=test", "did you mean `split`"),
        ("hf://o/n?split=", "got none"),
        ("hf://o/n?split", "got none"),
        ("hf://o/n?split=a&split=b", "got two"),
    ],
)
def test_a_wrong_specification_is_refused_before_anything_is_loaded(spec: str, says: str) -> None:
    with pytest.raises(ProblemsError, match=says):
        open_source(spec)


def test_columns_are_found_by_our_names_and_the_order_is_kept(hub: Path) -> None:
    make_set(hub / "o/n", test=[{"question": f"q{i}", "answer": i, "level": i % 2} for i in range(5)])
    rows = good("hf://o/n?split=test")
    assert [row.problem.prompt for row in rows] == ["q0", "q1", "q2", "q3", "q4"]
    assert [row.problem.id for row in rows] == ["n-0", "n-1", "n-2", "n-3", "n-4"]
    assert [row.line for row in rows] == [1, 2, 3, 4, 5]
    assert [row.reference.answer for row in rows] == ["0", "1", "2", "3", "4"]
    assert rows[3].problem.metadata == {"level": 1}


def test_named_columns_displace_the_ones_that_have_our_names(hub: Path) -> None:
    rows = [{"uid": f"u{i}", "Q": f"q{i}", "prompt": "other", "gold": str(i), "answer": "long"} for i in range(2)]
    make_set(hub / "set", train=rows)
    first, second = good(f"hf://{hub}/set?problem=Q&answer=gold&id=uid")
    assert (first.problem.id, first.problem.prompt, first.reference.answer) == ("u0", "q0", "0")
    assert (second.problem.id, second.problem.prompt, second.reference.answer) == ("u1", "q1", "1")
    assert first.problem.metadata == {"prompt": "other", "answer": "long"}


def test_a_bad_row_of_a_set_is_one_record_and_the_rest_goes_on(hub: Path) -> None:
    make_set(hub / "o/n", test=[{"problem": "a"}, {"problem": ""}, {"problem": "c"}])
    first, error, third = read("hf://o/n?split=test")
    assert isinstance(first, ProblemRow)
    assert isinstance(error, RowError)
    assert isinstance(third, ProblemRow)
    assert (error.line, error.problem_id, error.error_type) == (2, "n-1", "empty_prompt")


def test_dates_that_the_library_recognises_stay_text(hub: Path) -> None:
    make_set(hub / "o/n", test=[{"problem": p, "at": "2024-01-02T03:04:05", "v": None} for p in "ab"])
    assert [row.problem.metadata for row in good("hf://o/n")] == [{"at": "2024-01-02T03:04:05", "v": None}] * 2


def test_what_json_cannot_hold_is_one_record_a_row(hub: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra `datasets`")
    arrow = pytest.importorskip("pyarrow", reason="needs the extra `datasets`")
    (hub / "set").mkdir()
    table = arrow.table({"id": ["a", "b", "c"], "problem": ["p", "q", "r"], "v": [1.0, float("nan"), 2.0]})
    parquet.write_table(table, hub / "set" / "test.parquet")
    parquet.write_table(table.append_column("raw", [[b"x", b"y", None]]), hub / "set" / "train.parquet")
    assert [type(row) for row in read("hf://set?split=test")] == [ProblemRow, RowError, ProblemRow]
    errors = [row for row in read("hf://set?split=train") if isinstance(row, RowError)]
    assert [(error.line, error.error_type) for error in errors] == [(1, "not_json_value"), (2, "not_json_value")]


def test_one_split_is_taken_and_several_have_to_be_chosen_from(hub: Path) -> None:
    make_set(hub / "o/one", test=[{"problem": "a"}, {"problem": "b"}])
    make_set(hub / "o/two", train=[{"problem": "a"}], test=[{"problem": "b"}])
    assert len(good("hf://o/one")) == 2
    assert open_source("hf://o/one").num_rows == 2
    with pytest.raises(ProblemsError, match=r"must be one of train, test .* add \?split=train"):
        open_source("hf://o/two")
    assert [row.problem.prompt for row in good("hf://o/two?split=test")] == ["b"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?split=tset", 'Unknown split "tset"'),
        ("?config=other&split=test", "BuilderConfig 'other' not found"),
        ("?problem=Problem", "did you mean `problem`"),
    ],
)
def test_what_the_set_has_not_is_an_error_before_the_first_row(hub: Path, query: str, says: str) -> None:
    make_set(hub / "o/n", test=[{"problem": "a"}, {"problem": "b"}])
    with pytest.raises(ProblemsError, match=says):
        open_source(f"hf://o/n{query}")


def test_gsm8k_answers_stand_behind_the_hashes_and_the_solution_is_not_read(hub: Path) -> None:
    answers = ["2 + 2 = 4\n#### 4", "A long way.\n#### 1,234", "#### -3", "no hashes", "####"]
    make_set(hub / "openai/gsm8k", "main", test=[{"question": f"q{i}", "answer": a} for i, a in enumerate(answers)])
    rows = read("gsm8k")
    problems = [row for row in rows if isinstance(row, ProblemRow)]
    assert [row.reference.answer for row in problems] == ["4", "1234", "-3"]
    assert [row.problem.metadata for row in problems] == [{}, {}, {}]
    errors = [row for row in rows if isinstance(row, RowError)]
    assert [(e.line, e.problem_id, e.error_type) for e in errors] == [
        (4, "gsm8k-3", "bad_answer"),
        (5, "gsm8k-4", "bad_answer"),
    ]


def test_math_500_keeps_its_own_ids_and_leaves_the_solutions_out(hub: Path) -> None:
    rows = [
        {
            "problem": f"p{i}",
            "solution": "s",
            "answer": "$1$",
            "subject": "Algebra",
            "level": i,
            "unique_id": f"test/{i}",
        }
        for i in range(2)
    ]
    make_set(hub / "HuggingFaceH4/MATH-500", test=rows)
    first, second = good("math_500")
    assert (first.problem.id, second.problem.id) == ("math_500-test/0", "math_500-test/1")
    assert second.problem.metadata == {"subject": "Algebra", "level": 1}


def test_both_years_of_aime_are_read(hub: Path) -> None:
    old = {"id": 60, "problem": "p", "solution": "s", "answer": "204", "url": "u", "year": "2024"}
    make_set(hub / "HuggingFaceH4/aime_2024", train=[old, {**old, "id": 61}])
    make_set(hub / "math-ai/aime25", test=[{"problem": "p", "answer": "70", "id": "0"}] * 2)
    assert [row.problem.id for row in good("aime_2024")] == ["aime_2024-0", "aime_2024-1"]
    assert [row.reference.answer for row in good("aime_2025")] == ["70", "70"]


def test_a_benchmark_whose_columns_have_changed_is_an_error_that_names_one(hub: Path) -> None:
    make_set(hub / "math-ai/aime25", test=[{"question": "p", "solution": "70"}] * 2)
    with pytest.raises(ProblemsError, match="'problem'"):
        open_source("aime_2025")


def gpqa_rows(order: list[int]) -> Rows:
    return [
        {
            "Record ID": f"rec{i}",
            "Question": f"q{i}",
            "Correct Answer": f" right{i}\n",
            **{f"Incorrect Answer {k}": f"wrong{i}{k}" for k in (1, 2, 3)},
            "High-level domain": "Physics",
            "Subdomain": "Optics",
            "Explanation": "gives it away",
        }
        for i in order
    ]


def test_gpqa_options_are_shuffled_by_seed_and_id_and_not_by_the_order_of_the_rows(hub: Path) -> None:
    make_set(hub / "Idavidrein/gpqa", "gpqa_diamond", train=gpqa_rows(list(range(12))))
    rows = good("gpqa_diamond", seed=7)
    for i, row in enumerate(rows):
        assert row.problem.kind == "choice"
        assert sorted(row.problem.choices) == [f"right{i}", f"wrong{i}1", f"wrong{i}2", f"wrong{i}3"]
        assert row.problem.choices["ABCD".index(row.reference.answer or "")] == f"right{i}"
        assert row.problem.metadata == {"domain": "Physics", "subdomain": "Optics"}
    assert len({row.reference.answer for row in rows}) > 1
    assert [row.problem for row in good("gpqa_diamond", seed=7)] == [row.problem for row in rows]
    assert [row.reference for row in good("gpqa_diamond", seed=8)] != [row.reference for row in rows]


def test_the_order_of_options_is_the_same_on_every_machine() -> None:
    by_sha256sum = {"a": [2, 1, 3, 0], "b": [0, 1, 2, 3], "c": [3, 1, 2, 0]}  # of 0/a/0, 0/a/1, …, sorted
    assert {problem_id: shuffled(4, 0, problem_id) for problem_id in by_sha256sum} == by_sha256sum
    assert all(sorted(shuffled(4, seed, "x")) == [0, 1, 2, 3] for seed in range(20))


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for a set that is gated, and for one that is not there."""

    def do_HEAD(self) -> None:
        code, status = ("GatedRepo", 403) if "gpqa" in self.path else ("RepoNotFound", 404)
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", f"Access to {self.path} is not granted.")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815 - the names are those of the standard library's protocol

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def hub_address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


OPEN_EACH = """
import io, sys
from tts.errors import TTSError
from tts.problems import open_problems
for spec in sys.argv[1:]:
    try:
        open_problems(spec, default_kind="math", seed=0, stdin=io.BytesIO())
    except TTSError as error:
        print(type(error).__name__, error)
"""


def open_elsewhere(specs: list[str], tmp_path: Path, **environment: str) -> list[str]:
    """Open each in a new interpreter, which reads the hub's address anew; return its lines of output."""
    command = [sys.executable, "-c", OPEN_EACH, *specs]
    environment = {**os.environ, "HF_HOME": str(tmp_path), **environment}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
    return result.stdout.splitlines()


def test_a_gated_and_a_missing_set_say_what_to_do(tmp_path: Path, hub_address: str) -> None:
    pytest.importorskip("datasets", reason="needs the extra `datasets`")
    gated, missing = open_elsewhere(["gpqa_diamond", "hf://o/nothing"], tmp_path, HF_ENDPOINT=hub_address)
    assert gated.startswith("ProblemsError")
    assert "gated" in gated
    assert "https://huggingface.co/datasets/Idavidrein/gpqa" in gated
    assert "hf auth login" in gated
    assert "o/nothing" in missing
    assert "A path to a JSON lines file works too" in missing


def test_without_a_network_the_error_says_so_and_names_the_way_out(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="needs the extra `datasets`")
    first, second = open_elsewhere(["gsm8k", "hf://o/n?split=test"], tmp_path, HF_HUB_OFFLINE="1")
    for line, name in ((first, "openai/gsm8k"), (second, "o/n")):
        assert line.startswith(f"ProblemsNotHereError The data set {name} cannot be loaded")
        assert "Check the network" in line
        assert "A path to a JSON lines file works too" in line


def test_without_the_library_the_error_names_the_install_command(tmp_path: Path) -> None:
    (tmp_path / "datasets.py").write_text("raise ModuleNotFoundError('No module named datasets', name='datasets')")
    lines = open_elsewhere(["gsm8k", "hf://o/n"], tmp_path, PYTHONPATH=str(tmp_path))
    assert len(lines) == 2
    assert all(line.startswith("MissingExtraError") and "[datasets]'" in line for line in lines)
