"""The choices of beam search: which beams go on, which finished texts are kept, and when nothing better can come.

How it works. A step of B beams:

1. `expansions` are the likeliest continuations of all beams together, by the sum of the log-probabilities so far. Of
   E end tokens B·(1 + E) are looked at, so that B are left that go on.
2. Who holds the tokens says of each in that order whether it ended. Those that did not, the first B of them, are the
   next beams. One that did counts if it is among the first B of all: `Finished` keeps the B best by their sum divided
   by length^a.
3. It is over when B are finished and the best beam, as long as it is now, would not be among them. (With a > 0 a longer
   one could yet overtake: this is the rule of transformers, which its users know, and what keeps the search short.)

Diverse beam search (Vijayakumar et al. 2016, arXiv 1610.02424) does this group after group in every step: a later group
sees each token's log-probability less λ times as often as earlier groups' beams have just taken it (Hamming diversity).
The penalty acts in choosing alone; sums and scores are log-probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import torch

TextT = TypeVar("TextT")


class Expansion(NamedTuple):
    """One token behind one beam: the beam's place, the token, its log-probability, and the sum with it."""

    beam: int
    token: int
    logprob: float
    total: float


def expansions(
    logprobs: torch.Tensor, totals: list[float], number: int, penalty: torch.Tensor | None = None
) -> list[Expansion]:
    """Return the best `number` continuations of all beams together, the best first, or as many as there are.

    `logprobs` is `[num_beams, vocabulary]`, float32, without NaN; `totals` are the sums so far. `penalty` is what each
    token loses in this choice. Of equal ones those of earlier beams, and of lower ids, come first.
    """
    sums = logprobs + torch.tensor(totals, device=logprobs.device).unsqueeze(1)
    ranked = (sums if penalty is None else sums - penalty).flatten()
    last = ranked.topk(min(number, len(ranked))).values[-1]
    among = (ranked >= last).nonzero()[:, 0]  # those that tie with the last one, too: `topk` picks any of them
    best = among[ranked[among].sort(descending=True, stable=True).indices[:number]]
    told = zip(best.tolist(), logprobs.flatten()[best].tolist(), strict=True)
    vocabulary = logprobs.shape[1]
    return [
        Expansion(index // vocabulary, index % vocabulary, logprob, totals[index // vocabulary] + logprob)
        for index, logprob in told
    ]


@dataclass(slots=True)
class Finished(Generic[TextT]):
    """The best `width` finished texts so far, by score, the best first; of equal ones the earlier."""

    width: int
    length_penalty: float
    texts: list[tuple[float, TextT]] = field(default_factory=list)

    def score(self, total: float, length: int) -> float:
        """Return a text's score, given the sum of its tokens' log-probabilities and their number."""
        return total / float(length**self.length_penalty)

    def add(self, text: TextT, total: float, length: int) -> None:
        """Take one more text."""
        self.texts.append((self.score(total, length), text))
        self.texts = sorted(self.texts, key=lambda one: -one[0])[: self.width]

    def is_final(self, best_total: float, length: int) -> bool:
        """Tell whether it is full, and the best beam that goes on would not be taken as it is now."""
        return len(self.texts) == self.width and self.score(best_total, length) <= self.texts[-1][0]
