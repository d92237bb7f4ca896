"""What is written keeps what it is: pipes, devices, links, read-only files; and paths that the system refuses."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from cli_parts import TTS, environment
from command_parts import tts

LONG = "a" * 300


def test_a_pipe_or_a_device_is_written_into(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append((folder / "pipe").read_bytes()))
    reader.start()
    assert tts(folder, "report", "run", "--out", "pipe", "--embeddings", "none").code == 0
    reader.join(20)
    assert found[0].startswith(b"<!DOCTYPE html>")
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)
    before = os.stat("/dev/null")
    assert tts(folder, "report", "run", "--out", "/dev/null", "--embeddings", "none").code == 0
    assert os.stat("/dev/null").st_rdev == before.st_rdev
    full = tts(folder, "report", "run", "--out", "/dev/full", "--embeddings", "none")
    assert (full.code, full.err) == (3, "tts: error: cannot write /dev/full: No space left on device\n")
    line = f"{' '.join(TTS)} report run --out /dev/stdout --embeddings none >> log"
    (folder / "log").write_text("before\n")
    subprocess.run(["bash", "-c", line], cwd=folder, env=environment(), capture_output=True, check=True)
    assert (folder / "log").read_text().startswith("before\n<!DOCTYPE html>")


def test_links_stay_and_read_only_files_are_refused(folder: Path) -> None:
    (folder / "link.html").symlink_to("real.html")
    assert tts(folder, "report", "run", "--out", "link.html", "--embeddings", "none").code == 0
    assert (folder / "link.html").is_symlink()
    (folder / "real.html").write_text("mine")
    (folder / "real.html").chmod(0o640)
    assert tts(folder, "report", "run", "--out", "link.html", "--embeddings", "none").code == 0
    assert stat.S_IMODE((folder / "real.html").stat().st_mode) == 0o640
    (folder / "real.html").write_text("mine")
    (folder / "real.html").chmod(0o444)
    for name in ("link.html", "real.html"):
        said = tts(folder, "report", "run", "--out", name, "--embeddings", "none")
        assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert (folder / "real.html").read_text() == "mine"
    (folder / "run" / "summary.json").chmod(0o444)
    assert tts(folder, "solve", "--run", "run").code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("solve", "p.jsonl", "-r", "scripted.yaml", "--run", LONG),
        ("solve", LONG, "-r", "scripted.yaml"),
        ("solve", "p.jsonl", "-r", LONG),
        ("solve", "p.jsonl", "-r", "scripted.yaml", "--run", "blocked"),
        ("solve", "p.jsonl", "-r", "scripted.yaml", "--run", "p.jsonl"),
        ("solve", "p.jsonl", "-r", "scripted.yaml", "--run", "p.jsonl/x"),
        ("bench", "p.jsonl", "-r", "scripted.yaml", "--run", LONG),
        ("bench", "p.jsonl", "-r", "scripted.yaml", "--run", "p.jsonl"),
        ("report", LONG),
        ("report", "blocked"),
        ("report", "run", "--out", "."),
        ("report", "run", "--out", LONG),
        ("report", "run", "--csv", LONG),
        ("report", "run", "--figures", "p.jsonl"),
        ("grade", "run/candidates.jsonl", "--problems", LONG),
        ("select", "p.jsonl/x"),
        ("recipes", "show", LONG),
        ("recipes", "check", "blocked"),
    ],
)
def test_a_path_that_the_system_refuses_is_one_message(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "blocked" / "run.json").mkdir(parents=True)
    said = tts(folder, *arguments)
    assert (said.crash, said.code, said.out) == ("", 2, ""), said
    assert len(said.err.splitlines()) == 1


def test_a_page_that_the_disk_has_no_room_for_leaves_nothing(folder: Path) -> None:
    few = f"ulimit -f 4; exec {' '.join(TTS)} report run --embeddings none --out page.html"
    said = subprocess.run(
        ["bash", "-c", few], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (3, "tts: error: cannot write page.html: File too large\n")
    assert not list(folder.glob("page.html*"))


def test_a_recipe_with_a_long_name_has_a_run_folder_with_a_shorter_one(folder: Path) -> None:
    (folder / f"{'ä' * 120}.yaml").write_text((folder / "scripted.yaml").read_text())
    assert tts(folder, "solve", "p.jsonl", "-r", f"{'ä' * 120}.yaml").code == 0
    assert len(list((folder / "runs").iterdir())) == 1
