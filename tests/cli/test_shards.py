"""Shards of one input, drawn by processes of their own and merged, are the run that one process would have written."""

import csv
import gzip
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import SECONDS, TTS, Result, environment, rows, start
from command_parts import Said
from command_parts import tts as here
from test_resume import wait_for_candidates

Command = Callable[..., Result]
N = 3
BAD = b'{"id": "q4", "problem": "again?", "answer": "1"}\n{"id": "no problem"}\nnot json\n\xff\xfe\n'


def problems(num: int) -> bytes:
    """So many problems, with rows between them that are none: a doubled id, no problem, not JSON, not UTF-8."""
    lines = rows((f"q{number}", "42" if number % 3 else "41") for number in range(num)).encode().splitlines(True)
    return b"".join(lines[:7]) + BAD + b"".join(lines[7:])


def lines(run: Path, name: str) -> list[bytes]:
    return sorted((run / name).read_bytes().splitlines())


def assert_same(merged: Path, whole: Path) -> None:
    for name in ("problems.jsonl", "summary.json"):
        assert (merged / name).read_bytes() == (whole / name).read_bytes()
    names = {path.name for path in whole.iterdir()}
    assert {path.name for path in merged.iterdir()} == names
    for name in names - {"problems.jsonl", "summary.json", "sessions.jsonl", "lock", "run.json"}:
        assert lines(merged, name) == lines(whole, name), name
    jobs = [json.loads((run / "run.json").read_text()) for run in (merged, whole)]
    assert jobs[0] == jobs[1]
    assert len((merged / "sessions.jsonl").read_bytes().splitlines()) >= N


def test_processes_of_which_one_is_killed_and_goes_on_make_the_run_of_one(
    recipe: Path, tmp_path: Path, tts: Command
) -> None:
    text = recipe.read_text()
    recipe.write_text(text.replace("name: replay", "name: replay\n  delay_seconds: 0.05\n  batch_size: 8"))
    (tmp_path / "p.jsonl").write_bytes(problems(40))
    job = ("solve", "p.jsonl", "-r", "scripted.yaml")
    processes = {
        run: start(*job, *more, "--run", run, cwd=tmp_path)
        for run, more in {"whole": (), **{f"s{i}": ("--shard", f"{i}/{N}") for i in range(N)}}.items()
    }
    wait_for_candidates(tmp_path / "s1", 9)
    processes["s1"].kill()
    codes = {run: (process.communicate(timeout=SECONDS), process.returncode)[1] for run, process in processes.items()}
    assert codes == {"whole": 1, "s0": 1, "s1": -9, "s2": 1}

    # what is unfinished is merged, too, and goes on as a whole
    shards = [f"s{i}" for i in (2, 0, 1)]
    early = tts("merge", "early", *shards)
    assert early.code == 0
    assert "not finished yet; go on with: tts solve --run early" in early.err
    assert not (tmp_path / "early" / "summary.json").exists()
    assert tts("solve", "--run", "early").code == 1
    assert_same(tmp_path / "early", tmp_path / "whole")

    # or it is finished first
    assert tts("solve", "--run", "s1").code == 1
    merged = tts("merge", "merged", *shards)
    assert (merged.code, merged.out) == (0, "")
    assert "pass@1" in merged.err
    assert_same(tmp_path / "merged", tmp_path / "whole")
    before = (tmp_path / "merged" / "candidates.jsonl").read_bytes()
    assert tts("solve", "--run", "merged").code == 1
    assert (tmp_path / "merged" / "candidates.jsonl").read_bytes() == before


SEARCH = """
task: math
engine:
  name: replay
  script: ["so \\\\boxed{41}", "so \\\\boxed{42}", {text: "step\\n\\n", stop: "\\n\\n"}]
sampler: {name: prm_beam, num_candidates: 8, reward: {name: replay, rewards: [0.1, 0.3, 0.9, 0.5]}}
selector: {name: best_of_n, scorer: step_rewards}
"""


def csv_of(content: bytes) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["id", "problem", "answer"])
    writer.writeheader()
    for line in content.splitlines():
        try:
            writer.writerow(json.loads(line))
        except ValueError:
            text.write(",,\n")
    return text.getvalue().encode()


@pytest.mark.parametrize("shape", ["stdin", "gzip", "csv", "shuffled", "few"])
@pytest.mark.parametrize("kind", ["one shot", "search"])
def test_whatever_the_input_and_the_sampler(recipe: Path, tmp_path: Path, shape: str, kind: str) -> None:
    if kind == "search":
        recipe.write_text(SEARCH)
    content = problems(20)
    named: tuple[str, ...] = ("p.jsonl",)
    if shape == "gzip":
        (tmp_path / "p.jsonl").write_bytes(gzip.compress(content))
    elif shape == "csv":
        named = ("p.csv",)
        (tmp_path / "p.csv").write_bytes(csv_of(content))
    elif shape == "stdin":
        named = ()
    else:
        (tmp_path / "p.jsonl").write_bytes(content)
    more = {"shuffled": ("--shuffle", "--limit", "11"), "few": ("--id", "q4", "--id", "q2")}.get(shape, ())

    def solve(*arguments: str) -> None:
        stdin = content if shape == "stdin" else None
        said = here(tmp_path, "solve", *named, "-r", recipe, *more, *arguments, stdin=stdin)
        assert said.code in (0, 1), said

    solve("--run", "whole")
    for i in range(N):
        solve("--shard", f"{i}/{N}", "--run", f"s{i}")
    said = here(tmp_path, "merge", "merged", *(f"s{i}" for i in range(N)))
    assert said.code == 0, said
    assert_same(tmp_path / "merged", tmp_path / "whole")


@pytest.fixture
def shards(recipe: Path) -> Path:
    """The recipe's folder, with `p.jsonl` and its shards s0, s1, s2."""
    folder = recipe.parent
    (folder / "p.jsonl").write_bytes(problems(8))
    for i in range(N):
        assert solved(folder, f"s{i}", f"{i}/{N}").code == 1
    return folder


def solved(folder: Path, run: str, shard: str | None, *more: str, file: str = "p.jsonl") -> Said:
    which = () if shard is None else ("--shard", shard)
    return here(folder, "solve", file, "-r", "scripted.yaml", *which, "--run", run, *more)


def refused(folder: Path, *shards: str) -> str:
    said = here(folder, "merge", "merged", *shards)
    assert (said.code, said.out) == (2, ""), said
    assert not (folder / "merged").exists()
    return said.err


def test_what_is_not_the_shards_of_one_job_is_refused_and_named(shards: Path) -> None:
    assert "all 3 shards must be named; there is none numbered 0, 2" in refused(shards, "s1")
    assert "shard 1 of 3 is there twice: s1 and s1." in refused(shards, "s0", "s1", "s1")
    assert "nowhere must be a shard" in refused(shards, "s0", "s1", "nowhere")
    solved(shards, "whole", None)
    assert "not drawn with --shard" in refused(shards, "s0", "s1", "whole")
    solved(shards, "of4", "2/4")
    assert "s0 is one of 3 shards, of4 one of 4" in refused(shards, "s0", "s1", "of4")
    for key in ("sampler.temperature=0.5", "selector=first", "seed=1"):
        run = key.partition("=")[0]
        solved(shards, run, "2/3", "--set", key)
        assert f"{run} is a shard of another recipe than s0" in (told := refused(shards, "s0", "s1", run))
        assert run in told.splitlines()[1]
    solved(shards, "batch", "2/3", "--set", "engine.batch_size=3")  # a circumstance, which changes no candidate
    assert here(shards, "merge", "fine", "s0", "s1", "batch").code == 0


def test_shards_of_other_inputs_are_refused_though_the_file_has_the_same_name(shards: Path) -> None:
    (shards / "p.jsonl").write_bytes(problems(14))
    solved(shards, "longer", "2/3")
    assert "cannot be of one input (s0: 4, s1: 4, longer: 6)" in refused(shards, "s0", "s1", "longer")
    lines_ = problems(8).splitlines(True)
    (shards / "p.jsonl").write_bytes(b"".join(lines_[1:] + lines_[:1]))
    solved(shards, "turned", "2/3")
    assert "both hold problem" in refused(shards, "s0", "s1", "turned")
    solved(shards, "limited", "2/3", "--limit", "8")
    assert "`limit` is 8 there, null here" in refused(shards, "s0", "s1", "limited")


def test_a_shard_that_has_not_read_its_input_to_the_end_is_refused(shards: Path) -> None:
    file = shards / "s1" / "problems.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(True)[:-1]))
    assert "s1 has not read its input to the end" in refused(shards, "s0", "s1", "s2")


def test_what_is_in_the_way_stays_as_it_is(shards: Path) -> None:
    said = here(shards, "merge", "s0", "s0", "s1", "s2")
    assert said.code == 2
    assert "s0 must be new, or an empty folder" in said.err
    assert json.loads((shards / "s0" / "run.json").read_text())["shard"] == [0, 3]


def test_a_run_keeps_its_shard_and_no_other_is_taken_in_its_folder(shards: Path) -> None:
    before = (shards / "s1" / "problems.jsonl").read_bytes()
    for other in ("0/3", "1/4"):
        said = solved(shards, "s1", other)
        assert said.code == 2
        assert "`--shard` must be left out" in said.err
    assert solved(shards, "s1", "1/3").code == 1
    assert solved(shards, "s1", None).code == 1  # it is still shard 1
    assert (shards / "s1" / "problems.jsonl").read_bytes() == before
    solved(shards, "whole", None)
    assert "`--shard` must be left out" in solved(shards, "whole", "0/3").err


@pytest.mark.parametrize("text", ["3/3", "4/3", "0/0", "-1/3", "1", "1/2/3", "a/b", "", "0/", "٣/4", "1/3 "])
def test_a_shard_that_is_none_is_refused(folder: Path, text: str) -> None:
    said = solved(folder, "new", text)
    assert said.code == 2
    assert "`--shard` must be I/N" in said.err
    assert not (folder / "new").exists()


def test_the_plan_of_a_shard_is_its_share(folder: Path) -> None:
    said = here(folder, "solve", "-r", "own.yaml", "--shard", "66/67", "--dry-run")
    assert "1 problem × 4 candidates = 4 candidates" in said.out


def test_the_script_of_the_docs_as_it_stands(recipe: Path, tmp_path: Path) -> None:
    page = Path(__file__).parents[2].joinpath("docs", "clusters.md").read_text()
    script, merging = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    assert re.search(r"^#SBATCH --array=0-\d+$", script, re.MULTILINE)
    command = tmp_path / "bin" / "tts"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tts "$@"\n')
    command.chmod(0o755)
    (tmp_path / "problems.jsonl").write_bytes(problems(8))
    recipe.rename(tmp_path / "recipe.yaml")
    tasks = [
        subprocess.Popen(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment(
                PATH=f"{command.parent}:/usr/bin:/bin", SLURM_ARRAY_TASK_ID=str(i), SLURM_ARRAY_TASK_COUNT=str(N)
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for i in range(N)
    ]
    assert [task.wait(SECONDS) for task in tasks] == [1, 1, 1]
    done = subprocess.run(
        ["bash", "-c", merging], cwd=tmp_path, env=environment(PATH=f"{command.parent}:/usr/bin:/bin"), check=False
    )
    assert done.returncode == 0
    here(tmp_path, "solve", "problems.jsonl", "-r", "recipe.yaml", "--run", "whole")
    assert lines(tmp_path / "runs" / "whole", "verdicts.jsonl") == lines(tmp_path / "whole", "verdicts.jsonl")
    assert TTS[0] == sys.executable
