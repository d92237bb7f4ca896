"""How different an arm's texts are, and how surprising: means over problems, with a model where one is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tts.errors import EngineError, UsageError
from tts.metrics.diversity import Embedder, Kernel, diversity, packaged_embedding_model, perplexities
from tts.metrics.ngrams import ngram_kernel
from tts.models.pretrained import load_tokenizer, resolve
from tts.report.data import Spread

MOST_TEXTS = 16
"""Texts of a problem that are compared: the first ones. The Vendi score grows with their number, so arms share it."""

AUTO, NGRAMS, NONE = "auto", "ngrams", "none"


@dataclass(frozen=True, slots=True)
class Measure:
    """What compares texts; `kernel` None: nothing does. `perplexity_model` None: no model scores them."""

    name: str
    kernel: Kernel | None
    perplexity_model: str | None = None


def check_measure(embeddings: str, perplexity_model: str | None) -> None:
    """Raise UsageError where a model that is asked for is not there: before any work. Loads no more than tokenizers."""
    if embeddings == NONE and perplexity_model is not None:
        raise UsageError("`--embeddings` must not be none where `--perplexity` is asked for: say ngrams")
    named = None if embeddings in (AUTO, NGRAMS, NONE) else embeddings
    for model in filter(None, (named, perplexity_model)):
        try:
            load_tokenizer(resolve(model))
        except EngineError as error:
            raise UsageError(str(error)) from error


def measure(embeddings: str, perplexity_model: str | None) -> Measure:
    """Return what `embeddings` asks for: `ngrams`, `none`, a model's id or folder, or `auto`.

    `auto` is the packaged embedding model where it is installed, else n-grams. Loads the embedding model.
    """
    if embeddings == NONE:
        return Measure(NONE, None)
    packaged = packaged_embedding_model()
    if embeddings == NGRAMS or (embeddings == AUTO and packaged is None):
        return Measure("word 2-grams", ngram_kernel, perplexity_model)
    name = "all-MiniLM-L6-v2" if embeddings == AUTO else embeddings
    return Measure(name, Embedder(None if embeddings == AUTO else embeddings).kernel, perplexity_model)


def spread(
    measure: Measure, texts: Mapping[str, Sequence[str]], prompts: Mapping[str, str], check: Callable[[], None]
) -> Spread | None:
    """Return the means over problems of what `measure` finds in their texts; None where it measures nothing.

    `check` is called before each problem; what it raises ends the work.
    """
    if measure.kernel is None or not texts:
        return None
    found = []
    for of_problem in texts.values():
        check()
        found.append(diversity(of_problem, measure.kernel))
    return Spread(
        kernel=measure.name,
        vendi={f"{q:g}": _mean([one.vendi[q] for one in found]) or 0.0 for q in found[0].vendi},
        mean_similarity=_mean([one.mean_similarity for one in found]),
        distinct_2=_mean([one.distinct_2 for one in found]),
        num_distinct_texts=_mean([float(one.num_distinct_texts) for one in found]) or 0.0,
        perplexity=_perplexity(measure.perplexity_model, texts, prompts),
        perplexity_model=measure.perplexity_model,
    )


def _mean(values: Sequence[float]) -> float | None:
    """Return the mean of those that are numbers; None where none is."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


def _perplexity(model: str | None, texts: Mapping[str, Sequence[str]], prompts: Mapping[str, str]) -> float | None:
    """Return exp of the mean over problems of their texts' mean ln perplexity, each text after its problem's words."""
    if model is None:
        return None
    owners = [name for name, of_problem in texts.items() for _ in of_problem]
    found = perplexities(
        model, [text for of_problem in texts.values() for text in of_problem], [prompts[name] for name in owners]
    )
    logs: dict[str, list[float]] = {}
    for name, value in zip(owners, found, strict=True):
        if value is not None:
            logs.setdefault(name, []).append(math.log(value))
    mean = _mean([math.fsum(of_problem) / len(of_problem) for of_problem in logs.values()])
    return None if mean is None else math.exp(mean)
