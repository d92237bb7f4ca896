"""A slow twin of a whole engine that hosts ESamp: plain forward passes over every prefix, and autograd's distiller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from tts.plugins.esamp.reference import ReferenceDistiller
from tts.plugins.esamp.settings import ESampSettings


@dataclass
class Trace:
    """Which token of which row each step generated, and the candidates that came out."""

    rows: Sequence[Any]
    steps: list[list[tuple[Any, int]]] = field(default_factory=list)
    candidates: dict[tuple[str, str], Any] = field(default_factory=dict)


def traced(engine: Any, requests: Sequence[Any]) -> Trace:
    """Serve `requests` with the transformers engine; the rows keep their tokens and log-probabilities."""
    for request in requests:
        engine.add(request)
    trace = Trace(list(engine._running.decoder._waiting))
    while len(trace.candidates) < len(requests):
        before = [len(row.token_ids) for row in trace.rows]
        finished = engine.step()
        trace.steps.append([(row, n) for row, n in zip(trace.rows, before, strict=True) if len(row.token_ids) > n])
        trace.candidates |= {(c.problem_id, c.key): c for c in finished}
    return trace


@dataclass
class Guided:
    """What the twin says of one guided token: its log-probability, its prediction, novelty and KL."""

    row: Any
    place: int
    logprobs: torch.Tensor
    reference: torch.Tensor
    prediction: torch.Tensor
    novelty: float

    @property
    def logprob(self) -> float:
        return self.logprobs[self.row.token_ids[self.place]].item()

    @property
    def kl(self) -> float:
        return (self.logprobs.exp() * (self.logprobs - self.reference)).sum().item()


class EngineTwin:
    """Recomputes a trace. `model` is a plain model of transformers; `vocabulary` as the engine has it."""

    def __init__(self, model: Any, settings: ESampSettings, vocabulary: int) -> None:
        self.model, self.settings, self.vocabulary = model, settings, vocabulary
        self.distillers: dict[str, ReferenceDistiller] = {}

    @property
    def losses(self) -> dict[str, list[float]]:
        return {group: distiller.losses for group, distiller in self.distillers.items()}

    @property
    def num_trained(self) -> int:
        return sum(distiller.num_trained for distiller in self.distillers.values())

    def replay(self, trace: Trace) -> list[Guided]:
        hidden = {id(row): self.hidden(row) for row in trace.rows}
        found = []
        for step in trace.steps:
            for group in dict.fromkeys(row.request.guidance.group for row, _ in step):
                mine = [(row, n) for row, n in step if row.request.guidance.group == group and n > 0]
                if mine:
                    found += self.group_step(group, mine, hidden)
        return found

    def hidden(self, row: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """h¹ and h^L `[num_tokens, d]` from which each token of `row` was drawn, by one pass over all of it."""
        ids = torch.tensor([[*row.prompt_ids, *row.token_ids]])
        with torch.inference_mode():
            states = self.model(ids, output_hidden_states=True).hidden_states
        at = slice(len(row.prompt_ids) - 1, -1)
        return states[self.settings.layer][0, at].clone(), states[-1][0, at].clone()

    def group_step(self, group: str, mine: list[tuple[Any, int]], hidden: dict[int, Any]) -> list[Guided]:
        distiller = self.distillers.setdefault(group, self.new_distiller())
        h_first, h_last = (torch.stack([hidden[id(row)][part][n] for row, n in mine]) for part in (0, 1))
        predictions = distiller.predict(h_first).detach()
        errors = h_last - predictions
        beta = torch.tensor([[row.request.guidance.beta] for row, _ in mine])
        mixed = distiller.step(h_first, h_last, beta)
        with torch.inference_mode():
            reference, logits = self.logits(h_last), self.logits(mixed)
            if self.cap is not None:  # mixing before such a head is not mixing after it
                logits = (1 + beta) * reference - beta * self.logits(predictions)
        novelties = errors.norm(dim=-1) / h_last.norm(dim=-1)
        columns = zip(mine, logits.log_softmax(-1), reference.log_softmax(-1), predictions, novelties, strict=True)
        return [Guided(row, n, new, old, q, novelty.item()) for (row, n), new, old, q, novelty in columns]

    @property
    def cap(self) -> float | None:
        return getattr(self.model.config, "final_logit_softcapping", None)

    def logits(self, h_last: torch.Tensor) -> torch.Tensor:
        raw: torch.Tensor = self.model.get_output_embeddings()(h_last.float())[:, : self.vocabulary]
        return raw if self.cap is None else self.cap * (raw / self.cap).tanh()

    def new_distiller(self) -> ReferenceDistiller:
        settings = self.settings
        return ReferenceDistiller(
            self.model.config.hidden_size,
            settings.width,
            learning_rate=settings.learning_rate,
            input_norm=settings.input_norm == "rms",
            from_mean=settings.start == "mean",
            train_every=settings.steps_per_training("cpu"),
        )
