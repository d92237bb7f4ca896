"""How different texts are, and how surprising: figures that may use a language model. Torch is imported when used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tts.metrics.subsets import Floats
from tts.metrics.vendi import mean_similarity, vendi_score
from tts.models.pretrained import load_tokenizer, resolve
from tts.similarity.embedding import Kernel, batches, load_model, padded
from tts.similarity.ngrams import distinct_n, ngram_kernel

VENDI_ORDERS = (0.0, 1.0, 2.0, math.inf)


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


def perplexities(
    model: str, texts: Sequence[str], contexts: Sequence[str], *, device: str = "cpu"
) -> list[float | None]:
    """Return each text's perplexity under a causal language model that has read its context: exp(mean -ln p(token)).

    Context and text are tokenized apart and joined; after an empty context comes the model's first token (BOS), else
    the text's first token is not scored. None for a text without a token to score. A text beyond the model's length
    is read in windows that overlap by half. Source: Jelinek et al. 1977, «Perplexity».
    """
    source = resolve(model)
    tokenizer, scorer = load_tokenizer(source), load_model("AutoModelForCausalLM", source, device)
    limit = scorer.config.get_text_config(decoder=True).max_position_embeddings
    windows = [
        (owner, *window)
        for owner, (text, context) in enumerate(zip(texts, contexts, strict=True))
        for window in _scored_windows(*_joined(tokenizer, context, text), limit)
    ]
    totals, counts = np.zeros(len(texts)), np.zeros(len(texts))
    for batch in batches([len(ids) for _, ids, _ in windows]):
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

    ids, mask = padded(windows, model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    chosen = logits.gather(2, ids[:, 1:, None])[..., 0] - logits.logsumexp(dim=2)
    scored = torch.arange(1, ids.shape[1], device=ids.device) >= torch.tensor(firsts, device=ids.device)[:, None]
    return np.asarray(-(chosen * (scored & mask[:, 1:].bool())).sum(dim=1).double().cpu().numpy())
