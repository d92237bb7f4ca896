"""Turns a GGUF file into a folder that transformers loads, once, in the user's cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tts.errors import EngineError
from tts.models.locate import conversion_cache

FORMAT = "1"
"""Part of the folder's name; changed when the conversion changes, so that old folders are not taken for new ones."""

END_KEYS = ("eos", "eot", "eom")
logger = logging.getLogger(__name__)


def converted(gguf: Path) -> Path:
    """Return the folder with `gguf` as bfloat16 safetensors and its tokenizer, converting it if it is not there yet.

    The folder's name holds the hash of the file's content. It appears whole or not at all, also when the process is
    killed, and of several processes that want it at once one converts while the others wait.
    """
    folder = conversion_cache() / f"{gguf.stem}-{_content_hash(gguf)}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                _convert(gguf, folder)
    except OSError as error:
        raise EngineError(
            f"cannot convert {gguf} into {folder}: {error}. Set XDG_CACHE_HOME to move the cache"
        ) from error
    return folder


def _content_hash(gguf: Path) -> str:
    with gguf.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(FORMAT.encode(), digest_size=8))
    return digest.hexdigest()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`. The system drops the lock with the process, however that ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    path.unlink(missing_ok=True)


def _convert(gguf: Path, folder: Path) -> None:
    logger.info("converting %s once into %s", gguf.name, folder)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a conversion that was killed
    try:
        _write(gguf, partial)
    except OSError:
        raise
    except Exception as error:  # the readers of GGUF raise anything, bare Exception included
        raise EngineError(f"transformers cannot read the model {gguf}: {error}") from error
    partial.rename(folder)


def _write(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    with contextlib.redirect_stderr(io.StringIO()):  # the reader's progress bar has no switch
        model = AutoModelForCausalLM.from_pretrained(
            **source, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
        )
        tokenizer = AutoTokenizer.from_pretrained(**source)
    metadata = _metadata(gguf)
    tokenizer.chat_template = tokenizer.chat_template or metadata.get("tokenizer.chat_template")
    model.generation_config.eos_token_id = _end_ids(model, tokenizer, metadata)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    (folder / "source.json").write_text(json.dumps({"gguf": str(gguf), "num_bytes": gguf.stat().st_size}) + "\n")


def _metadata(gguf: Path) -> dict[str, Any]:
    """Return the chat template and the end tokens that the file names."""
    from gguf import GGUFReader

    wanted = {"tokenizer.chat_template", *(f"tokenizer.ggml.{key}_token_id" for key in END_KEYS)}
    fields = GGUFReader(str(gguf)).fields
    return {name: fields[name].contents() for name in wanted if name in fields}


def _end_ids(model: Any, tokenizer: Any, metadata: dict[str, Any]) -> list[int]:
    named = {metadata.get(f"tokenizer.ggml.{key}_token_id") for key in END_KEYS}
    configured = model.generation_config.eos_token_id
    named |= set(configured) if isinstance(configured, list) else {configured}
    return sorted({int(id_) for id_ in named | {tokenizer.eos_token_id} if id_ is not None})
