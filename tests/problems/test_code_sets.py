"""HumanEval, MBPP and LiveCodeBench: rows as they are published, sets by name, their options; and rows of one's own."""

from __future__ import annotations

import base64
import io
import json
import pickle
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tts.errors import ProblemsError
from tts.problems import open_problems, read_rows
from tts.problems.examples import docstring_examples
from tts.types import ProblemRow, RowError

HUMANEVAL: list[dict[str, Any]] = [
    {
        "task_id": f"HumanEval/{number}",
        "prompt": f'import math\n\n\ndef {name}(x):\n    """\n    >>> {name}(1)\n    {number}\n    """\n',
        "entry_point": name,
        "test": f"def check(candidate):\n    assert candidate(1) == {number}\n",
        "canonical_solution": f"    return {number}\n",
    }
    for number, name in enumerate(("zero", "one"))
]
MBPP: list[dict[str, Any]] = [
    {
        "task_id": number,
        "prompt": f"Write a function that returns {number}.",
        "code": f"import re\ndef helper(): pass\ndef {name}(x):\n  return {number}",
        "test_imports": ["import math"],
        "test_list": [f"assert math.floor({name}({x})) == {number}" for x in range(3)],
        "source_file": "x.ipynb",
    }
    for number, name in ((2, "two"), (3, "sum"))
]
LIVECODEBENCH: list[dict[str, Any]] = [
    {
        "question_id": "abc1_a",
        "question_title": "Add",
        "question_content": "Add two numbers.",
        "platform": "atcoder",
        "contest_date": "2024-07-31T00:00:00",
        "starter_code": "",
        "public_test_cases": json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]),
        "private_test_cases": json.dumps([{"input": "5 5\n", "output": "10\n", "testtype": "stdin"}]),
        "metadata": "{}",
    },
    {
        "question_id": "2727",
        "question_title": "Twice",
        "question_content": "Double a list.",
        "platform": "leetcode",
        "contest_date": "2024-08-01T00:00:00",
        "starter_code": "class Solution:\n    def twice(self, xs: List[int], n: int) -> List[int]:\n        ",
        "public_test_cases": json.dumps([{"input": "[1, 2]\n2", "output": "[2, 4]", "testtype": "functional"}]),
        "private_test_cases": None,  # packed below
        "metadata": json.dumps({"func_name": "twice"}),
    },
]


def packed(value: object) -> str:
    """Pack test cases the way LiveCodeBench does."""
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


LIVECODEBENCH[1]["private_test_cases"] = packed(json.dumps([{"input": "[]\n3", "output": "[]", "testtype": "x"}]))


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def read(*rows: dict[str, Any]) -> list[ProblemRow | RowError]:
    return list(read_rows(io.BytesIO(as_lines([*rows])), "math"))


def good(*rows: dict[str, Any]) -> list[ProblemRow]:
    found = read(*rows)
    assert not [row for row in found if isinstance(row, RowError)], found
    return [row for row in found if isinstance(row, ProblemRow)]


def test_a_humaneval_row_is_a_function_to_complete() -> None:
    zero, one = good(*HUMANEVAL)
    assert (zero.problem.id, zero.problem.kind, zero.problem.entry_point) == ("HumanEval/0", "code", "zero")
    assert one.problem.prompt == one.problem.starter_code == HUMANEVAL[1]["prompt"]
    common = {"entry_point": "one", "setup": "import math"}
    assert one.problem.public_tests == {"asserts": ["assert one(1) == 1"], **common}
    assert one.reference.tests == {"check": HUMANEVAL[1]["test"], **common}
    assert one.problem.metadata == {}


def test_what_gives_the_solution_away_goes_to_the_reference_alone() -> None:
    for row, original in zip(good(*HUMANEVAL, *MBPP), [*HUMANEVAL, *MBPP], strict=True):
        solution = original.get("code") or original["canonical_solution"]
        assert solution in (row.reference.answer or "")
        assert solution not in str(row.problem)


def test_an_mbpp_row_shows_its_first_test_since_that_names_the_function() -> None:
    two, three = good(*MBPP)
    assert two.problem.id == "mbpp/2"
    assert two.problem.prompt == (
        "Write a function that returns 2.\n\nYour code should pass this test:\nassert math.floor(two(0)) == 2"
    )
    common = {"entry_point": "two", "setup": "import math\nimport re"}
    assert two.problem.public_tests == {"asserts": MBPP[0]["test_list"][:1], **common}
    assert two.reference.tests == {"asserts": MBPP[0]["test_list"], **common}
    assert three.problem.entry_point == "sum"  # a name that Python has too


def test_livecodebench_rows_read_their_input_or_are_methods() -> None:
    add, twice = good(*LIVECODEBENCH)
    assert (add.problem.id, add.problem.entry_point, add.problem.starter_code) == ("abc1_a", "", "")
    assert isinstance(add.problem.public_tests, dict)
    assert isinstance(add.reference.tests, dict)
    assert add.problem.public_tests["stdin"] == [{"input": "1 2\n", "output": "3\n"}]
    assert add.reference.tests["stdin"] == [{"input": "1 2\n", "output": "3\n"}, {"input": "5 5\n", "output": "10\n"}]
    assert add.reference.tests["tolerance"] == 0
    assert "from typing import *" in str(add.reference.tests["prelude"])
    assert add.problem.metadata == {"title": "Add", "platform": "atcoder", "contest_date": "2024-07-31T00:00:00"}
    assert (twice.problem.entry_point, twice.problem.starter_code) == (
        "Solution.twice",
        LIVECODEBENCH[1]["starter_code"],
    )
    assert isinstance(twice.reference.tests, dict)
    assert twice.reference.tests["calls"] == [
        {"args": [[1, 2], 2], "expected": [2, 4]},
        {"args": [[], 3], "expected": []},
    ]


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return (open, ("/nowhere/at/all",))


@pytest.mark.parametrize("private", [packed(Bomb()), packed([1]), "###", "AAAA", packed("no json"), 5, [5]])
def test_packed_tests_may_hold_nothing_but_text(private: object) -> None:
    first, bad = read(LIVECODEBENCH[0], {**LIVECODEBENCH[1], "private_test_cases": private})
    assert isinstance(first, ProblemRow)
    assert isinstance(bad, RowError)
    assert bad.error_type == "bad_tests"


@pytest.mark.parametrize(
    "row",
    [
        {**HUMANEVAL[0], "entry_point": "other"},
        {**HUMANEVAL[0], "test": 5},
        {**MBPP[0], "test_list": ["assert 1 == 1"]},
        {**MBPP[0], "test_list": ["assert two("]},
        {**LIVECODEBENCH[1], "public_test_cases": '[{"input": "1", "output": "x"}]'},
    ],
)
def test_a_published_row_that_is_broken_is_one_record(row: dict[str, Any]) -> None:
    error, fine = read(row, MBPP[1])
    assert isinstance(error, RowError)
    assert error.error_type == "bad_tests"
    assert isinstance(fine, ProblemRow)


def test_a_row_of_ones_own_brings_tests_and_what_they_need() -> None:
    rows = [
        {"problem": "Add.", "tests": [{"args": [1, 2], "expected": 3}], "entry_point": "add"},
        {"problem": "Echo.", "tests": [{"input": "1", "output": "1"}], "public_tests": [{"input": "2", "output": "2"}]},
        {"problem": "Add.", "tests": ["assert add(1, 2) == 3"], "starter_code": "def add(a, b):\n", "level": 1},
        {"problem": "def add(a, b):\n    '''Add.'''\n", "tests": ["assert add(1, 2) == 3"]},
    ]
    add, echo, started, completed = good(*rows)
    assert add.reference.tests == {"calls": [{"args": [1, 2], "expected": 3}], "entry_point": "add"}
    assert echo.problem.public_tests == {"stdin": [{"input": "2", "output": "2"}]}
    assert (started.problem.entry_point, started.problem.starter_code) == ("add", "def add(a, b):\n")
    assert started.problem.metadata == {"level": 1}
    assert completed.problem.starter_code == completed.problem.prompt
    assert {row.problem.kind for row in (add, echo, started, completed)} == {"code"}


@pytest.mark.parametrize(
    ("row", "error_type", "says"),
    [
        ({"tests": [{"input": "1"}]}, "bad_tests", r"`tests`: `stdin\[0\]` must have the key `output`"),
        ({"public_tests": [], "kind": "code"}, "bad_tests", "`public_tests`: must be a non-empty list"),
        ({"tests": ["assert f(1)"], "public_tests": ["assert g(1)"]}, "bad_tests", "of one function"),
        ({"tests": ["assert f(1)"], "entry_point": "f g"}, "bad_entry_point", "`entry_point` must be the name"),
        ({"tests": ["assert f(1)"], "starter_code": 1}, "bad_starter_code", "`starter_code` must be a string"),
    ],
)
def test_a_row_of_ones_own_that_is_broken_says_what_and_where(row: dict[str, Any], error_type: str, says: str) -> None:
    fine, error = read({"problem": "p", "tests": ["assert f(1)"]}, {"id": "b", "problem": "q", **row})
    assert isinstance(fine, ProblemRow)
    assert isinstance(error, RowError)
    assert (error.problem_id, error.error_type) == ("b", error_type)
    assert re.search(says, error.message), error.message


@pytest.mark.parametrize(
    ("docstring", "examples"),
    [
        (">>> f([1, 2], 0.5)\n    False", ["assert f([1, 2], 0.5) == False"]),
        ("f('a)') == \"b\"  f(2)==3", ["assert f(2) == 3"]),
        ("f(1) => true\n    f(2) ==> [1, (2,)].", ["assert f(1) == True", "assert f(2) == [1, (2,)]"]),
        ("f(1) ➞ 'x'\n    f(3) # returns 'y'", ["assert f(1) == 'x'", "assert f(3) == 'y'"]),
        ("f(1) -> 2 # since 1 + 1", ["assert f(1) == 2"]),
        ("Input: xs = [1], k = 2\n    Output: 3", ["assert f([1], 2) == 3"]),
        ("f(x) == 2\n    f(1) = 1 + 1\n    f(2) is 3\n    f(3) == y\n    f(4", []),
        ("f(1) == 1\n    f(1) == 1", ["assert f(1) == 1"]),
        (">>> f(1) == 2\n    >>> g(f(1))\n    2", ["assert f(1) == 2"]),
    ],
)
def test_examples_are_taken_from_a_docstring_where_they_read_in_one_way(docstring: str, examples: list[str]) -> None:
    prompt = f'def g():\n    """f(9) == 9"""\n\n\ndef f(a, b=0):\n    """Text.\n    {docstring}\n    """\n'
    assert docstring_examples(prompt, "f") == examples
    assert docstring_examples(prompt, "h") == []


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which the sets' places on the hub are local folders, with a cache of its own."""
    config = pytest.importorskip("datasets.config", reason="needs the extra `datasets`")
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **files: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_bytes(as_lines(rows))


def ids(spec: str) -> list[str]:
    with open_problems(spec) as source:
        rows = list(source)
    assert all(isinstance(row, ProblemRow) for row in rows), rows
    return [row.problem.id for row in rows if isinstance(row, ProblemRow)]


def test_humaneval_comes_from_the_hub_or_from_a_file(hub: Path) -> None:
    write(hub / "openai/openai_humaneval", test=HUMANEVAL)
    write(hub / "mine", copy=HUMANEVAL[1:])
    assert ids("humaneval") == ["HumanEval/0", "HumanEval/1"]
    assert ids("humaneval?path=mine/copy.jsonl") == ids("mine/copy.jsonl") == ["HumanEval/1"]


def test_mbpp_takes_splits_and_how_many_tests_are_shown(hub: Path) -> None:
    folder = hub / "google-research-datasets/mbpp"
    write(folder, test=MBPP[:1], train=MBPP[1:])
    configs = "".join(f"  - split: {name}\n    path: {name}.jsonl\n" for name in ("test", "train"))
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: sanitized\n  data_files:\n{configs}---\n")
    assert ids("mbpp") == ["mbpp/2"]
    assert ids("mbpp?split=test+train") == ["mbpp/2", "mbpp/3"]
    for shown in range(3):
        [row] = [row for row in open_problems(f"mbpp?shown={shown}") if isinstance(row, ProblemRow)]
        assert row.problem.prompt.count("assert") == shown
        assert row.problem.entry_point == "two"


def test_livecodebench_takes_a_release_and_a_window_of_days(hub: Path) -> None:
    later = {**LIVECODEBENCH[0], "question_id": "abc9_a", "contest_date": "2025-01-15T00:00:00"}
    write(hub / "livecodebench/code_generation_lite", test=LIVECODEBENCH, test2=[later])
    assert ids("livecodebench?release=v1") == ["abc1_a", "2727"]
    assert ids("livecodebench?release=release_v2") == ["abc1_a", "2727", "abc9_a"]
    assert ids("livecodebench?release=v2&from=2024-08&to=2025-01-15") == ["2727", "abc9_a"]
    assert ids("livecodebench?release=v2&to=2024-08-01") == ["abc1_a", "2727"]
    assert open_problems("livecodebench?release=v2&from=2025").num_rows == 1
    write(hub / "mine", copy=[*LIVECODEBENCH, later])
    assert ids("livecodebench?path=mine/copy.jsonl&from=2025&to=2025") == ["abc9_a"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("humaneval?pth=x", "did you mean `path`"),
        ("mbpp?shown=many", "`shown` must be a number of tests from 0 to 9 in mbpp.*got 'many'"),
        ("mbpp?shown=1&shown=2", "got two values"),
        ("livecodebench?release=v9", "`release` must be one of v1 to v6"),
        ("livecodebench?from=2024-8", "`from` must be a day, month or year"),
        ("livecodebench?release=v5&path=x", "`release` must be left out where `path` is given"),
        ("humaneval?path=", "`path` must be the path of a JSON lines file"),
        ("humaneval?path=/no/such/file", "There is no such file"),
        ("humanevil", "Did you mean `humaneval`"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_loaded(spec: str, says: str) -> None:
    with pytest.raises(ProblemsError, match=says):
        open_problems(spec)


COPIES = {"humaneval": ("humaneval", 164), "mbpp": ("mbpp_sanitized", 427), "livecodebench": ("livecodebench_v5", 880)}


@pytest.mark.parametrize("name", COPIES)
def test_every_row_of_a_public_copy_is_a_code_problem_with_its_own_id(shared_data: Path, name: str) -> None:
    stem, size = COPIES[name]
    path = shared_data / f"{stem}.jsonl"
    originals = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(originals) == size
    assert ids(f"{name}?path={path}") == ids(str(path)) == [original["id"] for original in originals]
    rows = [row for row in open_problems(str(path)) if isinstance(row, ProblemRow)]
    assert sum(row.reference.tests is None for row in rows) == (7 if name == "livecodebench" else 0)
    assert sum(row.problem.public_tests is not None for row in rows) == {164: 145, 427: 427, 880: 869}[size]


def test_the_examples_of_humaneval_hold_for_its_own_solutions_as_far_as_its_prompts_are_right(
    shared_data: Path,
) -> None:
    wrong: list[str] = []
    for row in open_problems(str(shared_data / "humaneval.jsonl")):
        assert isinstance(row, ProblemRow)
        names: dict[str, object] = {}
        exec(str(row.reference.answer), names)
        tests = row.problem.public_tests
        for example in tests["asserts"] if isinstance(tests, dict) and isinstance(tests["asserts"], list) else []:
            try:
                exec(str(example), names)
            except AssertionError:
                wrong.append(row.problem.id)
    assert wrong == [f"HumanEval/{number}" for number in (47, 116, 116, 130, 130, 148)]  # these prompts are wrong
