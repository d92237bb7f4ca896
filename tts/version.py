"""The version, in one place (read by the build, `tts --version` and every run folder), and how it got here."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from urllib.parse import unquote, urlsplit

__version__ = "0.1.0"


def install_extra(extra: str) -> str:
    """Return what a user types to add an extra of this package to this environment, by the way it was installed.

    A clone is installed from itself; a wheel, a folder or a repository from where it came, if that is still there;
    anything else by its name from the package index.
    """
    clone = Path(__file__).resolve().parents[1]
    if (clone / "pyproject.toml").is_file():
        near = _near(clone)
        place = f"./{near}" if near.parts and not near.is_absolute() else str(near)  # pip takes bare names for packages
        return pip_install("-e", f"{place}[{extra}]")
    origin = _origin()
    return pip_install(f"tts-toolkit[{extra}]" + (f" @ {origin}" if origin else ""))


def pip_install(*arguments: str) -> str:
    """Return what a user types to install something into the environment of this interpreter, quoted for a shell."""
    python = shlex.quote(str(_near(Path(sys.executable or "python"))))
    # `find_spec` would make setuptools believe that pip is at work, and then neither it nor vLLM could be imported.
    tool = f"{python} -m pip install" if PathFinder.find_spec("pip") else f"uv pip install --python {python}"
    return " ".join([tool, *map(shlex.quote, arguments)])


def _near(path: Path) -> Path:
    """Return the path as seen from the current folder, where it lies below it."""
    try:
        return path.relative_to(Path.cwd())
    except (OSError, ValueError):
        return path


def _origin() -> str:
    """Return the URL that the package was installed from; "" where it was the index, or is gone."""
    from importlib import metadata

    try:
        noted = json.loads(metadata.distribution("tts-toolkit").read_text("direct_url.json") or "{}")
    except metadata.PackageNotFoundError:
        return ""
    url = str(noted.get("url", ""))
    if source := noted.get("vcs_info"):
        return f"{source['vcs']}+{url}@{source['commit_id']}"
    parts = urlsplit(url)
    return "" if parts.scheme == "file" and not Path(unquote(parts.path)).exists() else url
