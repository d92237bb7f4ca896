"""How different an arm's texts are, and how surprising: means over problems, with a model where one is asked for."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from tts.errors import EngineError, UsageError
from tts.metrics.diversity import diversity, perplexities
from tts.models.pretrained import load_tokenizer, resolve
from tts.report.data import Spread
from tts.similarity.embedding import Embedder, Kernel, packaged_embedding_model
from tts.similarity.ngrams import ngram_kernel

MOST_TEXTS = 16
"""Texts of a problem that are compared: the first ones. The Vendi score grows with their number, so arms share it."""

PROBLEMS_AT_ONCE = 256
"""How many problems' texts are kept for the model that scores them."""

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


class SpreadSum:
    """What `measure` finds in the texts of each problem, added up: only figures are kept, no texts.

    Those that a model is to score wait until there are some hundreds of them, since it is loaded for each such batch.
    """

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._found: dict[str, array[float]] = {}
        self._waiting: list[tuple[Sequence[str], str]] = []

    def add(self, texts: Sequence[str], prompt: str) -> None:
        """Compare the texts of one problem."""
        if self._measure.kernel is None:
            return
        one = diversity(texts, self._measure.kernel)
        figures = {f"vendi {q:g}": value for q, value in one.vendi.items()} | {
            "mean_similarity": one.mean_similarity,
            "distinct_2": one.distinct_2,
            "num_distinct_texts": float(one.num_distinct_texts),
        }
        for name, value in figures.items():
            self._found.setdefault(name, array("d")).append(value)
        if self._measure.perplexity_model is not None:
            self._waiting.append((tuple(texts), prompt))
            if len(self._waiting) >= PROBLEMS_AT_ONCE:
                self._score()

    def _score(self) -> None:
        """Note each waiting problem's mean ln perplexity, each text after the problem's words."""
        owners = [place for place, (texts, _) in enumerate(self._waiting) for _ in texts]
        texts = [text for texts, _ in self._waiting for text in texts]
        prompts = [self._waiting[place][1] for place in owners]
        logs: dict[int, list[float]] = {}
        for place, value in zip(
            owners, perplexities(self._measure.perplexity_model or "", texts, prompts), strict=True
        ):
            if value is not None:
                logs.setdefault(place, []).append(math.log(value))
        means = (math.fsum(of_problem) / len(of_problem) for of_problem in logs.values())
        self._found.setdefault("perplexity", array("d")).extend(means)
        self._waiting.clear()

    def spread(self) -> Spread | None:
        """Return the means over the problems so far; None where nothing is measured."""
        if self._waiting:
            self._score()
        if not self._found:
            return None
        means = {name: _mean(values) for name, values in self._found.items()}
        log_perplexity = means.pop("perplexity", None)
        return Spread(
            kernel=self._measure.name,
            vendi={name.removeprefix("vendi "): mean or 0.0 for name, mean in means.items() if "vendi" in name},
            mean_similarity=means["mean_similarity"],
            distinct_2=means["distinct_2"],
            num_distinct_texts=means["num_distinct_texts"] or 0.0,
            perplexity=None if log_perplexity is None else math.exp(log_perplexity),
            perplexity_model=self._measure.perplexity_model,
        )


def _mean(values: Sequence[float] | array[float]) -> float | None:
    """Return the mean of those that are numbers; None where none is."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None
