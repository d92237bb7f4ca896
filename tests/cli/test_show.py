"""`tts show` and `tts runs`: what is in a run, and which runs there are."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import TTS, Result, environment, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.cli.show import harmless

Command = Callable[..., Result]


@pytest.fixture
def run(tts: Command, recipe: Path) -> str:
    """The folder of a run over two problems and a bad row; the majority says 42 of both."""
    tts("solve", "-r", recipe, "--run", "runs/first", stdin=rows([("a", "42"), ("b", "41")]) + "{bad\n")
    return "runs/first"


def on_terminal(command: list[str], folder: Path, columns: int = 100, **extra: str) -> str:
    """Return what a command writes to a terminal."""
    master, slave = pty.openpty()
    env = environment(COLUMNS=str(columns), TERM="xterm", **extra)
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=env)
    os.close(slave)
    written = b""
    while True:
        try:
            block = os.read(master, 65536)
        except OSError:
            break
        if not block:
            break
        written += block
    os.close(master)
    assert process.wait(60) == 0, written
    return written.decode().replace("\r\n", "\n")


def test_a_problem_is_shown_with_its_prompt_and_its_candidates_by_answer(tts: Command, run: str) -> None:
    result = tts("show", run, "b")
    assert (result.code, result.err) == (0, "")
    asked, _, rest = result.out.partition("\nright answer: 41\n")
    assert asked.startswith("problem b (math)\n\n[user]\nWhat is b?\n\nReason step by step.")
    assert rest.startswith("handed in: candidate 0, 42; weights 2, 1\nverdict: failed (wrong_answer)\n")
    blocks = [line for line in rest.splitlines() if line.startswith(("==", "--"))]
    assert [line.split(" · ")[0] for line in blocks] == [
        "== 2 of 4: 42",
        "-- candidate 0: failed (wrong_answer)",
        "-- candidate 2: failed (wrong_answer)",
        "== 1 of 4: 41",
        "-- candidate 1: passed",
        "== 1 of 4: no answer",
        "-- candidate 3: failed (no_answer)",
    ]
    assert "\n   It is \\boxed{41}.\n" in rest


def test_without_an_id_every_row_has_its_line(tts: Command, run: str) -> None:
    lines = tts("show", run).out.splitlines()
    assert lines[0].split() == ["problem", "answer", "votes", "question"]
    assert {line[:3] for line in lines[1:]} == {"! l", "✓ a", "✗ b"}


def test_an_unknown_id_or_run_is_refused(tts: Command, run: str) -> None:
    for arguments in ((run, "c"), ("nowhere",), (run, "")):
        result = tts("show", *arguments)
        assert (result.code, result.out) == (2, "")


def test_scores_and_thinking_are_shown_and_candidates_of_other_tools_too(tts: Command, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(rows([("a", "42")]))
    candidates = [
        {
            "problem_id": "a",
            "text": "\\boxed{42}",
            "mean_logprob": -0.5,
            "cumulative_logprob": -2.0,
            "reasoning": "six\nsevens",
        },
        {"problem_id": "a", "text": "\\boxed{7}", "mean_logprob": -0.25, "cumulative_logprob": -1.0},
    ]
    (tmp_path / "theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in candidates))
    told = tts("show", "theirs.jsonl", "a", "--problems", "p.jsonl").out
    assert "   [thinking]\n   six\n   sevens\n   [answer]\n   \\boxed{42}\n" in told
    assert "mean logprob -0.500" in told


def test_on_a_terminal_it_is_paged_and_what_steers_terminals_is_written_out(
    tts: Command, recipe: Path, tmp_path: Path
) -> None:
    problem = {"id": "a\u001b[31m", "problem": "Red\u001b[2J?\u202e", "answer": "42"}
    tts("solve", "-r", recipe, "--run", "r", stdin=json.dumps(problem) + "\n")
    (tmp_path / "pager.sh").write_text("#!/bin/sh\necho paged; cat\n")
    (tmp_path / "pager.sh").chmod(0o755)
    for arguments in (["r"], ["r", "a\u001b[31m"]):
        shown = on_terminal([*TTS, "show", *arguments], tmp_path, PAGER="./pager.sh")
        assert shown.startswith("paged\n")
        assert "a\\x1b[31m" in shown
        assert "Red\\x1b[2J?\\u202e" in shown
        assert "\x1b" not in shown
    assert "Red" in on_terminal([*TTS, "show", "r"], tmp_path, PAGER="no-such-pager")


SEARCH = """
task: math
engine:
  name: replay
  script:
    - {text: "first \\u001b[31m\\u202e of all, what is asked\\n\\n", stop: "\\n\\n"}
    - {text: "then what is known about it, at some length, so that no line holds it\\n\\n", stop: "\\n\\n"}
    - "so \\\\boxed{42}"
    - {text: "", finish_reason: error, error: overloaded}
sampler: {name: prm_beam, num_candidates: 4, beam_width: 2, max_steps: 4, reward: {name: replay, rewards: [0.2, 0.9]}}
selector: majority_vote
"""


def test_a_search_is_shown_as_a_tree_that_fits_the_terminal(tts: Command, tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text(SEARCH)
    tts("solve", "-r", "search.yaml", "--run", "r", stdin=rows([("a", "42")]))
    assert tts("show", "r", "a").out.partition("\n== search ")[2].splitlines() == [
        "over, 4 candidates of at most 4, 14 calls, 2 in no candidate, 2 failed",
        "   engine: 8 calls, 48 tokens written, 180 read",
        "   sampler.reward: 6 calls, 0 tokens written, 187 read",
        "   ● lives on in candidates →, ○ in no candidate, △ given up, × failed; «» put in by the sampler",
        "├ × 0/0 · overloaded",
        "├ ● 1/0 · 7 tokens · reward 0.2 · → 3 · first \\x1b[31m\\u202e of all, what is asked",
        "│ ├ × 4/0 · overloaded",
        "│ └ ○ 6/0 · 15 tokens · reward 0.9 · then what is known about it, at some length, so that no line holds it",
        "├ ● 2/0 · 15 tokens · reward 0.2 · → 0 · "
        "then what is known about it, at some length, so that no line holds it",
        "│ ├ ○ 5/0 · 7 tokens · reward 0.2 · first \\x1b[31m\\u202e of all, what is asked",
        "│ └ ● 7/0 · 2 tokens · reward 0.9 · → 0 · so \\boxed{42}",
        "└ ● 3/0 · 2 tokens · reward 0.2 · → 1 · so \\boxed{42}",
    ]
    for columns in (60, 80, 140):
        shown = on_terminal([*TTS, "show", "r", "a"], tmp_path, columns, PAGER="cat").partition("\n== search ")[2]
        lines = shown.splitlines()[4:]
        assert len(lines) == 8
        assert max(map(len, lines)) <= columns
        assert any(line.endswith("…") for line in lines) == (columns < 140)
        assert "\x1b" not in shown


@settings(max_examples=200, derandomize=True)
@given(st.text())
def test_harmless_text_has_no_control_characters_and_plain_text_is_as_it_was(text: str) -> None:
    kept = harmless(text)
    assert not any(unicodedata.category(letter) == "Cc" and letter not in "\n\t" for letter in kept)
    assert not set(kept) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
    if text.isascii() and text.isprintable():
        assert kept == text


def test_runs_are_listed_with_state_score_and_cost(tts: Command, recipe: Path, run: str, tmp_path: Path) -> None:
    slow = tmp_path / "slow.yaml"
    slow.write_text(recipe.read_text().replace("script:", "batch_size: 4\n  delay_seconds: 0.5\n  script:"))
    many = rows((letter, "42") for letter in "abcdefgh")
    assert tts("solve", "-r", slow, "--run", "runs/second", "--time-limit", "1.2s", stdin=many).code == 3
    result = tts("runs")
    assert (result.code, result.err) == (0, "")
    first, second = result.records
    assert (first["run"], first["state"], first["problems"], first["candidates"]) == (run, "finished", 3, 8)
    assert (first["accuracy"]["lower"], first["pass_at_1"]["lower"], first["tokens"]) == (0.5, 0.375, 20)
    assert (second["run"], second["state"], second["accuracy"]) == ("runs/second", "interrupted", None)
    assert 0 < second["candidates"] < 32
    table = on_terminal([*TTS, "runs"], tmp_path, NO_COLOR="1").replace("\xa0", " ")
    assert "runs/first" in table
    assert "50.0 %" in table
    assert "interrupted" in table
    narrow = on_terminal([*TTS, "runs"], tmp_path, columns=40, NO_COLOR="1").split()
    assert {"runs/first", "runs/second", "interrupted", "candidates", "37.5"} <= set(narrow)


def test_a_damaged_run_is_told_and_the_others_are_listed(tts: Command, run: str, tmp_path: Path) -> None:
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text('{"format": 1}')
    (tmp_path / "runs" / "notes").mkdir()
    result = tts("runs")
    assert result.code == 1
    assert [record["run"] for record in result.records] == [run]
    assert "broken/run.json" in result.err
    none = tts("runs", "nowhere")
    assert (none.code, none.out) == (2, "")


def test_the_recipes_of_a_benchmark_are_listed_one_by_one(tts: Command, recipe: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(recipe.read_text())
    (tmp_path / "p.jsonl").write_text(rows([("a", "42"), ("b", "41")]))
    arguments = ("bench", "p.jsonl", "-r", recipe, "-r", other, "--seed", 0, "--seed", 1, "--run", "runs/bench")
    assert tts(*arguments, "--embeddings", "none").code == 0
    assert [record["run"] for record in tts("runs").records] == ["runs/bench/scripted", "runs/bench/other"]
    assert [line for line in tts("show", "runs/bench", "a").out.splitlines() if line.startswith("#")] == [
        "# runs/bench/scripted",
        "# runs/bench/other",
    ]


def test_where_the_plain_vote_chose_it_is_said_and_why(tts: Command, tmp_path: Path) -> None:
    judge = "{name: replay, script: [no idea]}"
    (tmp_path / "r.yaml").write_text(
        'task: math\nengine: {name: replay, script: ["\\\\boxed{1}", "\\\\boxed{2}"]}\n'
        "sampler: {name: temperature, num_candidates: 2}\n"
        f"selector: {{name: best_of_n, scorer: {{name: judge, judge: {judge}, num_samples: 1}}}}\n"
    )
    assert tts("solve", "-r", "r.yaml", "--run", "run", stdin=rows([("q", "1")])).code == 0
    shown = tts("show", "run", "q").out
    assert "by the plain vote, since the scorer could tell nothing of 2 of 2 candidates with an answer: " in shown
