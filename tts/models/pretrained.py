"""What every engine that runs a Hugging Face model needs: the model's place, its tokenizer, readable errors."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tts.errors import EngineError, MissingExtraError, ModelNotHereError
from tts.models.hub import hub_for
from tts.models.locate import locate

REQUIRED = ("torch", "transformers", "accelerate")


def require_packages(*, gguf: bool) -> None:
    """Raise MissingExtraError unless everything that loading needs is installed; imports nothing."""
    for package in (*REQUIRED, "gguf") if gguf else REQUIRED:
        if find_spec(package) is None:
            raise MissingExtraError(package, "hf", "the transformers engine")


def share_cores() -> None:
    """Let torch's idle threads sleep instead of spin; it must be said before torch is imported.

    Spinning gains about a tenth on an idle machine, but a step takes several times as long as soon as anything else
    runs on the same cores, such as the verifier's workers.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def resolve(model: str) -> str:
    """Return the folder or hub id to load for the recipe's `model`; a GGUF file is converted first."""
    from tts.models.gguf_conversion import converted

    where = locate(model)
    if isinstance(where, Path) and where.suffix == ".gguf":
        require_packages(gguf=True)
        with quiet():
            return str(converted(where))
    require_packages(gguf=False)
    return str(where)


def load_tokenizer(source: str) -> Any:
    """Return the tokenizer of a folder or hub id."""
    from transformers import AutoTokenizer

    with quiet(), readable_errors(source, "tokenizer"):
        return AutoTokenizer.from_pretrained(source)


def hidden_size(model: str) -> int | None:
    """Return the width of the model's hidden states; None where its configuration is not on this machine."""
    from transformers import AutoConfig

    try:
        with quiet():
            config = AutoConfig.from_pretrained(resolve(model), local_files_only=True)
    except (OSError, ValueError):
        return None
    return int(config.get_text_config(decoder=True).hidden_size)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and notices off stderr for a while; errors still raise."""
    from transformers.utils import logging

    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def readable_errors(source: str, part: str) -> Iterator[None]:
    """Turn what the libraries raise into one EngineError that says what to do, within seconds where there is no hub."""
    with hub_for(source) as unreachable:
        try:
            yield
        except EngineError:
            raise
        except Exception as error:  # the loaders raise anything, down to SafetensorError(Exception)
            told = f"{unreachable}, and it is not in its cache" if unreachable else " ".join(str(error).split())
            kind = ModelNotHereError if unreachable else EngineError
            raise kind(
                f"cannot load the {part} of {source!r}: {told} — check the name; without a network, `model` must be a "
                "folder, a .gguf file, `package://NAME/FILE.gguf`, or a model that is in the hub's cache already"
            ) from error


def cpu_multiplies_bfloat16() -> bool:
    """Tell whether this CPU has instructions for bfloat16."""
    import torch

    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
