import subprocess
import sys

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
    assert not imported_by(code) & {"torch", "transformers", "vllm", "sympy", "math_verify", "datasets"}


def test_every_public_name_can_be_imported() -> None:
    for name in tts.__all__:
        assert getattr(tts, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'solv'"):
        tts.solv  # noqa: B018 - the access is the test
