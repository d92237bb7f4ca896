"""`tts solve` as a process, on the replay engine: what goes in comes out, and where."""

import json
import os
import pty
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import TTS, Result, environment, rows

Command = Callable[..., Result]
TWO = rows([("6*7", "42"), ("5*8+1", "41")])


def test_every_row_comes_out_once_and_bad_ones_say_why(tts: Command, recipe: Path) -> None:
    text = '{"id":"a","problem":"What is 6*7?","answer":"42"}\n{bad\n{"id":"a","problem":"dup"}\n'
    result = tts("solve", "--recipe", recipe, stdin=text)
    assert result.code == 1
    answers = [record for record in result.records if "answer" in record]
    errors = {record["line"]: record for record in result.records if "line" in record}
    assert [(record["id"], record["answer"], record["error"]) for record in answers] == [("a", "42", None)]
    assert errors[2]["error"]["type"] == "not_json"
    assert (errors[3]["id"], errors[3]["error"]["type"]) == ("a", "duplicate_id")
    assert "line 2" in result.err
    assert "line 3" in result.err


def test_the_majority_is_handed_in_with_verdict_counts_and_usage(tts: Command, recipe: Path) -> None:
    result = tts("solve", "--recipe", recipe, stdin=TWO)
    assert result.code == 0
    by_id = {record["id"]: record for record in result.records}
    right, wrong = by_id["6*7"], by_id["5*8+1"]
    assert (right["answer"], right["verdict"]["status"]) == ("42", "passed")
    assert (wrong["answer"], wrong["verdict"]["status"], wrong["verdict"]["reason"]) == ("42", "failed", "wrong_answer")
    assert right["selection"]["weights"] == [2.0, 1.0]
    assert right["selection"]["num_abstained"] == 1
    assert right["counts"]["num_passed"] == 2
    assert wrong["counts"] == {
        "num_candidates": 4,
        "num_truncated": 0,
        "num_no_answer": 1,
        "num_errors": 0,
        "num_distinct_answers": 2,
        "num_passed": 1,
        "num_undecided": 0,
    }
    assert right["usage"]["completion_tokens"] > 0


def test_the_summary_compares_one_candidate_with_the_vote(tts: Command, recipe: Path, tmp_path: Path) -> None:
    result = tts("solve", "--recipe", recipe, "--run", "r", stdin=TWO)
    # pass@1: (2/4 + 1/4) / 2; the vote says 42 twice, which is right once.
    assert "37.5 %" in result.err
    assert "50.0 %" in result.err
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["pass_at_1"]["lower"] == 0.375
    assert (summary["accuracy"]["lower"], summary["accuracy"]["num_problems"]) == (0.5, 2)


def test_unknown_keys_are_handed_back(tts: Command, recipe: Path) -> None:
    text = '{"id":"a","problem":"p","level":3,"tags":["x",{"y":null}]}\n{"id":"b","problem":"q"}\n'
    by_id = {record["id"]: record for record in tts("solve", "-r", recipe, stdin=text).records}
    assert by_id["a"]["metadata"] == {"level": 3, "tags": ["x", {"y": None}]}
    assert by_id["b"]["metadata"] == {}


def test_problems_without_a_reference_are_undecided_and_not_graded(tts: Command, recipe: Path) -> None:
    result = tts("solve", "-r", recipe, stdin='{"problem":"p"}\n{"problem":"q","answer":"42"}\n')
    assert result.code == 0
    first = next(record for record in result.records if record["id"] == "line-1")
    assert (first["verdict"]["status"], first["verdict"]["reason"]) == ("undecided", "no_reference")
    assert first["counts"]["num_passed"] is None
    assert "not graded: 1" in result.err


def test_keep_order_follows_the_input(tts: Command, tmp_path: Path, recipe: Path) -> None:
    delayed = recipe.read_text().replace("script:", "failures: []\n  batch_size: 3\n  delay_seconds: 0.01\n  script:")
    recipe.write_text(delayed)
    names = [f"q{number}" for number in range(12)]
    text = "{bad\n" + rows((name, "42") for name in names)
    result = tts("solve", "-r", recipe, "--keep-order", stdin=text)
    assert [record["id"] for record in result.records] == [None, *names]
    assert (tmp_path / "runs").is_dir()


def test_limit_takes_the_first_problems(tts: Command, recipe: Path) -> None:
    text = rows((f"q{number}", "42") for number in range(9))
    result = tts("solve", "-r", recipe, "--limit", 3, "--keep-order", stdin=text)
    assert [record["id"] for record in result.records] == ["q0", "q1", "q2"]


def test_a_failed_candidate_is_an_error_record_with_its_reason(tts: Command, recipe: Path) -> None:
    failures = 'failures: [{problem_id: "6*7", index: 1, error: the server fell over}]\n  script:'
    recipe.write_text(recipe.read_text().replace("script:", failures))
    result = tts("solve", "-r", recipe, stdin=TWO)
    assert result.code == 1
    by_id = {record["id"]: record for record in result.records}
    assert by_id["5*8+1"]["error"] is None
    assert by_id["6*7"]["answer"] == "42"
    assert by_id["6*7"]["error"]["type"] == "candidates_missing"
    assert "3 of 4 candidates were drawn; candidate 1: the server fell over" in by_id["6*7"]["error"]["message"]


def test_an_all_abstain_problem_gets_no_answer(tts: Command, recipe: Path) -> None:
    lines = recipe.read_text().splitlines()
    lines[3] = '  script: ["no idea", "none either"]'
    recipe.write_text("\n".join(lines))
    result = tts("solve", "-r", recipe, stdin=TWO)
    assert result.code == 1
    assert [(record["answer"], record["verdict"]["reason"]) for record in result.records] == [(None, "no_answer")] * 2


def test_truncated_candidates_are_counted_apart_and_wrong_within_their_limit(tts: Command, recipe: Path) -> None:
    lines = recipe.read_text().splitlines()
    lines[3] = (
        '  script: [{text: "\\\\boxed{42}"}, {text: "\\\\boxed{42}", finish_reason: length},'
        ' {text: "\\\\boxed{42}", finish_reason: length}, {text: "\\\\boxed{7}"}]'
    )
    recipe.write_text("\n".join(lines))
    result = tts("solve", "-r", recipe, stdin=rows([("a", "42"), ("b", "42")]))
    for record in result.records:
        assert record["counts"]["num_truncated"] == 2
        assert record["counts"]["num_passed"] == 1
        assert record["counts"]["num_undecided"] == 2
        assert record["selection"]["num_abstained"] == 2
    assert "25.0 %" in result.err
    assert "a tie decided 2 of 2 problems" in result.err
    assert "raise sampler.max_tokens" in result.err


def test_a_problem_is_answered_before_the_next_arrives(recipe: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*TTS, "solve", "-r", recipe],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env=environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for name in ("a", "b", "c"):
            process.stdin.write(rows([(name, "42")]).encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == name
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_a_closed_pipe_ends_quietly(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "many.jsonl").write_text(rows((f"q{number}", "42") for number in range(3000)))
    process = subprocess.Popen(
        [*TTS, "solve", "many.jsonl", "-r", recipe],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 0
    assert errors == ""


def test_piped_rows_go_before_the_recipes_own_problems(tts: Command, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text(TWO)
    recipe.write_text(recipe.read_text() + "problems: ./own.jsonl\n")
    assert {record["id"] for record in tts("solve", "-r", recipe, stdin=rows([("x", "1")])).records} == {"x"}
    assert {record["id"] for record in tts("solve", "-r", recipe).records} == {"6*7", "5*8+1"}
    assert tts("solve", "-r", recipe, stdin="").code == 2


def test_no_problems_at_all_is_an_error_that_says_what_to_do(tts: Command, recipe: Path) -> None:
    result = tts("solve", "-r", recipe, "nowhere.jsonl")
    assert result.code == 2
    assert "nowhere.jsonl" in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        ("samplr: {name: temperature}", ["samplr", "sampler"]),
        ('sampler: {name: temperature, num_candidates: "8"}', ["sampler.num_candidates", '"8"']),
        ("sampler: {name: temperature, temperature: -1}", ["sampler.temperature", "-1"]),
        ("selector: {name: best_of_n, scorer: likelihood}", ["logprobs", "lacks"]),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_line_before_anything_starts(
    tts: Command, recipe: Path, tmp_path: Path, mistake: str, expected: list[str]
) -> None:
    kept = [line for line in recipe.read_text().splitlines() if not line.startswith(mistake.split(":", maxsplit=1)[0])]
    recipe.write_text("\n".join([*kept, mistake]) + "\n")
    result = tts("solve", "-r", recipe, stdin=TWO)
    assert result.code == 2
    assert f"scripted.yaml:{len(kept) + 1}:" in result.err
    for word in expected:
        assert word in result.err
    assert result.out == ""
    assert not (tmp_path / "runs").exists()


def test_dry_run_shows_the_plan_and_draws_nothing(tts: Command, recipe: Path, tmp_path: Path) -> None:
    result = tts("solve", "-r", recipe, "--dry-run", "--set", "sampler.num_candidates=3", stdin=TWO)
    assert result.code == 0
    assert "num_candidates: 3" in result.out
    assert "2 problems × 3 candidates = 6 candidates" in result.out
    assert "What is 6*7?" in result.out
    assert "deterministic" in result.out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("width", [60, 120])
def test_a_terminal_gets_a_table_that_fits(recipe: Path, tmp_path: Path, width: int) -> None:
    shown = _in_terminal([*TTS, "solve", "-r", str(recipe), "two.jsonl"], tmp_path, width, NO_COLOR="1")
    assert "\n  problem        answer            votes  question\n" in shown
    assert shown.count("votes") == 1
    assert re.search(r"✓ 6\*7 +42 +2/4  What is 6\*7", shown)
    assert re.search(r"✗ 5\*8\+1 +42 +2/4  right: 41  What", shown)
    assert "37.5 %" in shown
    assert all(len(line) <= width for line in shown.splitlines() if "What is" in line)


def test_a_log_gets_a_line_of_progress_now_and_then(tts: Command, recipe: Path) -> None:
    slow = "batch_size: 4\n  delay_seconds: 0.6\n  script:"
    recipe.write_text(recipe.read_text().replace("script:", slow))
    result = tts("solve", "-r", recipe, stdin=rows((f"q{number}", "42") for number in range(10)))
    line = next(line for line in result.err.splitlines() if "candidates ·" in line)  # the first is due after 5 s of 6
    wanted = r"tts: \d\d:\d\d:\d\d \d+/40 candidates · \d/10 problems · \d+ tok/s · acc\. 100\.0\s% · about \d+ s left"
    assert re.fullmatch(wanted, line)
    assert len(result.records) == 10


def test_a_short_run_leaves_no_progress_in_a_log(tts: Command, recipe: Path) -> None:
    assert "candidates ·" not in tts("solve", "-r", recipe, stdin=TWO).err


def _in_terminal(command: list[str], folder: Path, width: int, **extra: str) -> str:
    """Run a command with stdout and stderr on a pseudo-terminal; return what it wrote there."""
    (folder / "two.jsonl").write_text(TWO)
    master, slave = pty.openpty()
    chunks: list[bytes] = []

    def drain() -> None:
        while True:
            try:
                block = os.read(master, 65536)
            except OSError:
                return
            if not block:
                return
            chunks.append(block)

    reader = threading.Thread(target=drain)
    env = environment(COLUMNS=str(width), TERM="xterm", **extra)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, cwd=folder, env=env)
    os.close(slave)
    reader.start()
    assert process.wait(60) == 0
    reader.join(10)
    os.close(master)
    text = b"".join(chunks).decode().replace("\r\n", "\n")
    assert "\x1b[3" not in text  # no colours
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
