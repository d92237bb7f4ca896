"""Turns a GGUF file into a folder that transformers loads, once, in the user's cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from tts.errors import EngineError
from tts.models.locate import conversion_cache

FORMAT = "1"
"""Part of the folder's name; changed when the conversion changes, so that old folders are not taken for new ones."""

END_IDS = tuple(f"tokenizer.ggml.{end}_token_id" for end in ("eos", "eot", "eom"))
logger = logging.getLogger(__name__)


def converted(gguf: Path) -> Path:
    """Return the folder with `gguf` as bfloat16 safetensors and its tokenizer, converting it if it is not there yet.

    The folder's name holds the hash of the file's content. It appears whole or not at all, also when the process is
    killed, and of several processes that want it at once one converts while the others wait.
    """
    with gguf.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(FORMAT.encode(), digest_size=8))
    folder = conversion_cache() / f"{gguf.stem}-{digest.hexdigest()}"
    if folder.is_dir():
        return folder
    lock, partial = (folder.with_name(f"{folder.name}.{ending}") for ending in ("lock", "partial"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the system drops the lock with the process, however that ends
            if not folder.is_dir():
                logger.info("converting %s once into %s", gguf.name, folder)
                shutil.rmtree(partial, ignore_errors=True)  # left by a conversion that was killed
                _convert(gguf, partial)
                partial.rename(folder)
        lock.unlink(missing_ok=True)
    except OSError as error:
        raise EngineError(
            f"cannot convert {gguf} into {folder}: {error}. Set XDG_CACHE_HOME to move the cache"
        ) from error
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    """Write the model and its tokenizer into `folder`. Raises OSError, or EngineError where it cannot be read."""
    try:
        model, tokenizer = _loaded(gguf)
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
        (folder / "source.json").write_text(json.dumps({"gguf": str(gguf), "num_bytes": gguf.stat().st_size}) + "\n")
    except OSError:
        raise
    except Exception as error:  # the readers of GGUF raise anything, bare Exception included
        raise EngineError(f"transformers cannot read the model {gguf}: {error}") from error


def _loaded(gguf: Path) -> tuple[Any, Any]:
    """Return the model and the tokenizer, with the chat template and the end tokens that the file names."""
    import torch
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    with contextlib.redirect_stderr(io.StringIO()):  # the reader's progress bar has no switch
        model = AutoModelForCausalLM.from_pretrained(
            **source, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
        )
        tokenizer = AutoTokenizer.from_pretrained(**source)
    fields = GGUFReader(str(gguf)).fields
    if not tokenizer.chat_template and "tokenizer.chat_template" in fields:
        tokenizer.chat_template = fields["tokenizer.chat_template"].contents()
    configured = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])}
    ends |= {fields[name].contents() for name in END_IDS if name in fields}
    model.generation_config.eos_token_id = sorted(int(id_) for id_ in ends if id_ is not None)
    return model, tokenizer
