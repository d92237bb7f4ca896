"""What comes in is never guessed: empty and silent pipes, other forms, no input at all."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest
from cli_parts import TTS, environment, rows
from command_parts import Said, tts

TWO = rows([("6*7", "42"), ("5*8+1", "41")])


def ids(said: Said) -> list[str]:
    return [json.loads(line)["id"] for line in said.out.splitlines()]


@pytest.mark.parametrize("recipe_name", ["own.yaml", "scripted.yaml"])
@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"", mtime=0), b"[]"])
def test_an_empty_input_is_no_other_problems(folder: Path, recipe_name: str, content: bytes) -> None:
    for more in ((), ("--run", "run"), ("--dry-run",)):
        said = tts(folder, "solve", "-r", recipe_name, *more, stdin=content)
        assert (said.code, said.out if "--dry-run" not in more else "") == (2, ""), said
        assert "holds no problems" in said.err
    said = tts(folder, "bench", "-r", recipe_name, stdin=content)
    assert (said.code, said.out) == (2, "")
    assert not (folder / "runs").exists() or not list((folder / "runs").iterdir())


def test_dev_null_is_no_input(folder: Path) -> None:
    said = tts(folder, "solve", "-r", "scripted.yaml")
    assert (said.code, said.out) == (2, "")
    assert not (folder / "runs").exists()
    assert len(tts(folder, "solve", "-r", "own.yaml").out.splitlines()) == 67


def test_a_pipe_is_waited_for_however_long_it_stays_silent(folder: Path) -> None:
    line = f"(sleep 6; cat p.jsonl) | {' '.join(TTS)} solve -r own.yaml --keep-order"
    done = subprocess.run(["bash", "-c", line], cwd=folder, env=environment(), capture_output=True, check=False)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["6*7", "5*8+1"]
    assert done.stderr.count(b"waiting for problems") == 1


def test_a_file_on_standard_input_goes_before_the_recipes_problems(folder: Path) -> None:
    assert ids(tts(folder, "solve", "-r", "own.yaml", "--keep-order", stdin=TWO.encode())) == ["6*7", "5*8+1"]


@pytest.mark.parametrize("name", ["p.csv", "p.JSONL.GZ", "p.json"])
def test_other_forms_are_read_by_their_content(folder: Path, name: str) -> None:
    two = [json.loads(line) for line in TWO.splitlines()]
    table = "id,problem,answer\n" + "".join(f"{row['id']},{row['problem']},{row['answer']}\n" for row in two)
    contents = {"p.csv": table.encode(), "p.JSONL.GZ": gzip.compress(TWO.encode()), "p.json": json.dumps(two).encode()}
    (folder / name).write_bytes(contents[name])
    assert ids(tts(folder, "solve", name, "-r", "scripted.yaml", "--keep-order")) == ["6*7", "5*8+1"]
    assert ids(tts(folder, "solve", "-r", "scripted.yaml", "--keep-order", stdin=contents[name])) == ["6*7", "5*8+1"]
    (folder / "c.gz").write_bytes(gzip.compress((folder / "run" / "candidates.jsonl").read_bytes()))
    assert sorted(ids(tts(folder, "grade", "c.gz", "--problems", name))) == ["5*8+1", "6*7"]


def test_another_format_is_one_line_and_no_folder(folder: Path) -> None:
    (folder / "big.csv").write_text("number,words\n" + "1,x\n" * 1000)
    for given in ("big.csv", "run", "run/problems.jsonl", "run/candidates.jsonl"):
        said = tts(folder, "solve", given, "-r", "scripted.yaml")
        assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1), said
    assert not (folder / "runs").exists()
