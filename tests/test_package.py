import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tts

HEAVY = ("torch", "transformers", "vllm", "sympy", "math_verify", "numpy", "rich", "pydantic", "yaml", "datasets")


def imported_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after running `code`."""
    command = f"{code}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not imported_by("import tts") & set(HEAVY)


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['tts', '--help']\nfrom tts.cli import main\ntry: main()\nexcept SystemExit: pass"
    modules = imported_by(code)
    assert "typer" in modules
    assert not modules & set(HEAVY)


def test_reading_a_recipe_imports_no_engine_library() -> None:
    code = "import tts\ntts.load_recipe('quickstart')"
    assert not imported_by(code) & {"torch", "transformers", "vllm", "sympy", "math_verify", "datasets", "ray"}


def test_types_protocols_and_the_rest_of_the_interface_are_names_of_the_package() -> None:
    assert {"Candidate", "JSON", "Kind", "Engine", "Component", "Slot", "TTSError", "open_run", "load_recipe"} <= set(
        dir(tts)
    )
    for name in dir(tts):
        assert getattr(tts, name) is not None or name.startswith("__")
    assert tts.Candidate is tts.types.Candidate
    assert not {"Mapping", "dataclass", "Any", "import_module", "shown"} & set(dir(tts))
    assert (
        "Recipe"
        in subprocess.run(
            [sys.executable, "-c", "from tts import *; print(Recipe, Candidate)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'solv'"):
        tts.solv  # noqa: B018 - the access is the test


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_is_built_brings_the_recipes(kind: str, tmp_path: Path) -> None:
    built, site = tmp_path / "built", tmp_path / "site"
    root = Path(__file__).parents[1]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", built], cwd=root, check=True)
    (file,) = built.iterdir()
    offline = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([*pip, "install", *offline, str(file)], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "tts", "recipes", "check", "quickstart.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = subprocess.run(
        [sys.executable, "-c", "import tts; print(*tts.shipped_recipes().values(), sep='\\n')"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [Path(path) for path in found.stdout.splitlines()] == sorted((site / "tts" / "recipes").rglob("*.yaml"))
    assert len(found.stdout.splitlines()) == len(list((root / "recipes").rglob("*.yaml")))
    assert told_command(tmp_path, site) == f"{sys.executable} -m pip install 'tts-toolkit[hf] @ {file.as_uri()}'"
    file.unlink()
    assert told_command(tmp_path, site) == f"{sys.executable} -m pip install 'tts-toolkit[hf]'"


def told_command(folder: Path, path: Path) -> str:
    """Return what a missing extra says is to be typed in `folder`, where the package is imported from `path`."""
    code = "from tts.errors import MissingExtraError\nprint(MissingExtraError('torch', 'hf', 'This'))"
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().partition("Install it with: ")[2]


def test_in_a_clone_the_command_for_an_extra_installs_the_clone_and_works_as_told(tmp_path: Path) -> None:
    clone = tmp_path / "a clone"
    root = Path(__file__).parents[1]
    shutil.copytree(root / "tts", clone / "tts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "recipes", clone / "recipes")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, clone / name)
    assert told_command(clone, clone) == f"{sys.executable} -m pip install -e '.[hf]'"
    told = told_command(tmp_path, clone)
    assert told == f"{sys.executable} -m pip install -e './a clone[hf]'"
    offline = "--dry-run --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index"
    plain = told.replace(" -e ", " ")  # an editable build takes a package that only an isolated one brings
    subprocess.run(f"{plain} {offline}", shell=True, cwd=tmp_path, check=True)


def test_to_say_how_something_is_installed_leaves_setuptools_importable() -> None:
    # In an environment with setuptools this broke every later import of it, and so of vLLM.
    pytest.importorskip("setuptools", reason="the fault was between the two")
    told = "from tts.version import pip_install; print(pip_install('x')); import setuptools; print('there')"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("there\n"), done.stderr
