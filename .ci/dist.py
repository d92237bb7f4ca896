"""Build wheel and source distribution into a folder, check both, and try the wheel by itself in a fresh environment.

python .ci/dist.py dist          needs hatchling, packaging (extra `dev`) and a package index
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from packaging.metadata import Metadata

ROOT = Path(__file__).parents[1]
SCRIPT = r'engine={name: replay, script: ["\\boxed{42}"]}'


def built(source: Path, target: str, folder: Path) -> Path:
    """Build one distribution from a folder with the sources."""
    known = set(folder.glob("*"))
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)
    [file] = set(folder.glob("*")) - known
    return file


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def check(wheel: Path, source: Path) -> None:
    """Raise where metadata or files are not what an index, a reader or pip wants."""
    files = contents(wheel)
    [head] = [name for name in files if name.endswith(".dist-info/METADATA")]
    metadata = Metadata.from_email(files[head], validate=True)
    assert metadata.description == (ROOT / "README.md").read_text(encoding="utf-8"), "the README is the description"
    assert metadata.description_content_type == "text/markdown"
    assert metadata.license_expression == "Apache-2.0"
    assert {"hf", "vllm", "openai", "serve", "datasets", "ray", "plot"} <= set(metadata.provides_extra or [])
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tts").rglob("*") if path.is_file()}
    wanted = {name for name in package if "__pycache__" not in name}
    wanted |= {f"tts/recipes/{path.relative_to(ROOT / 'recipes')}" for path in (ROOT / "recipes").rglob("*.yaml")}
    assert {name for name in files if ".dist-info/" not in name} == wanted, "the wheel has the package, and it alone"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in files)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        [unpacked] = Path(folder).iterdir()
        again = built(unpacked, "wheel", Path(folder))
        assert contents(again) == files, "the source distribution builds the same wheel"


def try_out(wheel: Path) -> None:
    """Install the wheel with no extras, and draw, judge and report with it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", "venv"], cwd=place, check=True)
        pip = [str(place / "venv/bin/python"), "-m", "pip", "--disable-pip-version-check"]
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, "install", "--quiet", *constraints, str(wheel)], cwd=place, check=True)
        subprocess.run([*pip, "check"], cwd=place, check=True)

        def tts(*arguments: str) -> str:
            command = [str(place / "venv/bin/tts"), *arguments]
            done = subprocess.run(command, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
            return done.stdout.decode()

        print(tts("--version").strip())
        assert "quickstart" in tts("recipes", "list")
        (place / "p.jsonl").write_text('{"problem": "6*7?", "answer": "42"}\n')
        solved = json.loads(tts("solve", "p.jsonl", "--set", SCRIPT, "--run", "run"))
        assert (solved["answer"], solved["verdict"]["status"]) == ("42", "passed")
        tts("bench", "--from", "run", "--k", "1,2", "--embeddings", "none", "--run", "bench")
        assert (place / "bench/report.html").is_file()


def main() -> None:
    """Build, check, try."""
    folder = Path(sys.argv[1]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    source, wheel = built(ROOT, "sdist", folder), built(ROOT, "wheel", folder)
    check(wheel, source)
    try_out(wheel)
    print(*(f"{file.name}  {file.stat().st_size:,} bytes" for file in (source, wheel)), sep="\n")


main()
