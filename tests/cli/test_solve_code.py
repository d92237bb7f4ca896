"""`tts solve` on code problems, as a process, on the replay engine: programs in, verdicts out."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import SECONDS, Result

Command = Callable[..., Result]
NO_SANDBOX = Path(__file__).with_name("no_sandbox_parts.py")

ROWS = "".join(
    json.dumps(row) + "\n"
    for row in (
        {
            "id": "twice",
            "problem": "Write twice(n).",
            "public_tests": ["assert twice(2) == 4", "assert twice(3) == 6"],
            "tests": ["assert twice(-3) == -6", "assert twice('ab') == 'abab'"],
        },
        {
            "id": "echo",
            "problem": "Print the input.",
            "public_tests": [{"input": "a b", "output": "a b"}],
            "tests": [{"input": "x  y\n", "output": "x  y"}],
        },
        {"id": "broken", "problem": "p", "tests": [{"input": "a"}]},
    )
)
SCRIPT = {
    "twice": [
        "```python\ndef twice(n):\n    return n ** 2\n```",
        "Add it:\n```python\ndef twice(n):\n    return n + n\n```",
        "def twice(n):\n    return n << 1",
        "```\ntwice = lambda n: 2 * n\n```",
    ],
    "echo": ["```python\nprint('a b')\n```", "```python\nprint('a b')\n```", "```py\nprint(input())\n```", "No idea."],
}


def solve(tts: Command, folder: Path, selector: str) -> Result:
    recipe = folder / "code.yaml"
    recipe.write_text(
        "task: code\n"
        f"engine: {{name: replay, script: {json.dumps(SCRIPT)}}}\n"
        "sampler: {name: temperature, num_candidates: 4}\n"
        f"selector: {selector}\n"
    )
    return tts("solve", "--recipe", recipe, "--run", "r", stdin=ROWS)


@pytest.mark.parametrize("selector", ["majority_vote", "{name: best_of_n, scorer: public_tests}"])
def test_programs_are_chosen_by_the_visible_examples_and_judged_by_the_hidden_tests(
    tts: Command, tmp_path: Path, selector: str
) -> None:
    result = solve(tts, tmp_path, selector)
    assert result.code == 1  # one row is broken
    by_id = {record["id"]: record for record in result.records}
    assert by_id["broken"]["error"]["type"] == "bad_tests"
    assert by_id["twice"]["verdict"]["status"] == "passed"
    assert by_id["twice"]["counts"]["num_passed"] == 2
    assert by_id["twice"]["counts"]["num_distinct_answers"] == 2
    assert by_id["echo"]["verdict"]["status"] == "failed"  # what most wrote, and what the example cannot tell
    assert by_id["echo"]["counts"]["num_no_answer"] == 1
    verdicts = [json.loads(line) for line in (tmp_path / "r" / "verdicts.jsonl").read_text().splitlines()]
    [twice] = [record["verdicts"] for record in verdicts if record["problem_id"] == "twice"]
    assert [(verdict["status"], verdict["reason"]) for verdict in twice] == [
        ("failed", "wrong_answer"),
        ("passed", ""),
        ("failed", "runtime_error"),
        ("passed", ""),
    ]


def test_the_sandbox_is_noted_in_the_run(tts: Command, tmp_path: Path) -> None:
    solve(tts, tmp_path, "first")
    sandbox = json.loads((tmp_path / "r" / "run.json").read_text())["sandbox"]
    assert sandbox["profile"] in ("full", "landlock+seccomp")
    assert sandbox["layers"]["files"] is sandbox["layers"]["network"] is sandbox["layers"]["rlimits"] is True
    assert tts("solve", "--run", "r", "--set", "selector=majority_vote").code == 1  # the broken row is still broken
    assert json.loads((tmp_path / "r" / "run.json").read_text())["sandbox"] == sandbox


@pytest.mark.parametrize("task", ["code", "math"])
def test_nothing_is_drawn_where_no_sandbox_holds(tmp_path: Path, task: str) -> None:
    recipe = tmp_path / "code.yaml"
    recipe.write_text(f"task: {task}\nengine: {{name: replay, script: ['4']}}\nsampler: greedy\nselector: first\n")
    row = {"problem": "p", "kind": "code", "tests": [{"input": "", "output": "4"}]}
    done = subprocess.run(
        [sys.executable, NO_SANDBOX, "solve", "--recipe", recipe, "--run", tmp_path / "r"],
        input=json.dumps(row),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "no sandbox holds" in done.stderr
    assert (tmp_path / "r" / "candidates.jsonl").read_bytes() == b""


def test_grading_again_gives_the_same_file(tts: Command, tmp_path: Path) -> None:
    """Whatever a program's order of sets, its choice of numbers, the addresses in its errors, its time."""
    problem = {"id": "f", "problem": "p", "tests": ["assert f('abab') == 'a'", "assert f('xyz') in 'xyz'"]}
    programs = (
        "def f(s): return max(set(s), key=s.count)",
        "import random\ndef f(s): return random.choice(s)",
        "def f(s): raise ValueError(object())",
        "class A: pass\ndef f(s): return [object(), A()][hash(s) % 2]",
        "def f(s): return set(s)",
        "def f(s):\n    while True: pass",
        "import random\nrandom.shuffle(order := list('ab'))\ndef f(s): return order[0]",
        "def f(s): return f",
        "def f(s): return sorted(s, key=hash)[0]",
    )
    (tmp_path / "p.jsonl").write_text(json.dumps(problem))
    (tmp_path / "c.jsonl").write_text(
        "".join(json.dumps({"problem_id": "f", "text": f"```python\n{program}\n```"}) + "\n" for program in programs)
    )
    command = ("grade", "c.jsonl", "--problems", "p.jsonl", "--set", "task=code")
    command = (*command, "--set", "task.verifier={name: code, cpu_seconds: 0.3}")
    files = [tts(*command) for _ in range(3)]
    assert {file.code for file in files} == {0}, files[0].err
    assert len({file.out for file in files}) == 1
