"""The heads of OverRIDE (Shi et al., ICLR 2026): each learns what one sample writes, beyond what the model expects.

    H_r(h) = B_r A_r h          rank-16, B = 0 at first, A drawn from N(0, 0.02²); h is what the model's head gets
    loss                        the mean over the rows of −log softmax(z + H_r(h))[the token that sample r drew]

z are the model's own logits. One step of Adam for every head that has a row in a decoding step. Differs from the
source: float32 whatever the model's type; the mean is over the rows of one set of heads (in the source over all that is
decoded; Adam makes little of the difference).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from tts.plugins.override.settings import OverrideSettings

INITIAL_DEVIATION = 0.02
TEMPLATE_SEED = 0
BETAS = (0.9, 0.999)
EPSILON = 1e-8


class HeadSet:
    """One set of heads; all sets are alike when they are new. The gradient is written out: no autograd is needed."""

    def __init__(self, settings: OverrideSettings, hidden_size: int, vocabulary: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(TEMPLATE_SEED)
        num_heads, rank = settings.num_heads, settings.rank
        template = torch.randn(num_heads, rank, hidden_size, generator=generator) * INITIAL_DEVIATION
        self._learning_rate = settings.learning_rate
        with torch.inference_mode(False):  # so that they can be changed in that mode and out of it
            self._template = template.to(device)
            self._down = self._template.clone()  # A [num_heads, rank, d]
            self._up = torch.zeros(num_heads, vocabulary, rank, device=device)  # B
            self._moments = [torch.zeros_like(part) for part in (self._down, self._down, self._up, self._up)]
            self._num_updates = torch.zeros(num_heads, device=device)

    @property
    def memory_bytes(self) -> int:
        """Memory of weights and moments."""
        tensors = (self._template, self._down, self._up, *self._moments)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def reset(self) -> None:
        """Make all heads new."""
        self._down.copy_(self._template)
        for tensor in (self._up, *self._moments, self._num_updates):
            tensor.zero_()

    def add(self, heads: Sequence[int], h: torch.Tensor) -> torch.Tensor:
        """Return H(h) `[K, vocabulary]` of rows h `[K, d]`, float32, each by its head; 0 where that is below 0."""
        added = h.new_zeros(len(h), self._up.shape[1])
        for head, rows in by_head(heads, h.device):
            added[rows] = h[rows] @ self._down[head].T @ self._up[head].T
        return added

    def learn(self, heads: Sequence[int], h: torch.Tensor, logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Take one step of Adam with each head that has a row; return the loss, a scalar, before it.

        `h` `[K, d]` and `logits` `[K, vocabulary]` are float32, `tokens` `[K]` what was drawn; rows whose head is below
        0 are not looked at.
        """
        logprobs = (logits + self.add(heads, h)).log_softmax(-1)
        num_rows = max(1, sum(head >= 0 for head in heads))
        loss = h.new_zeros(())
        for head, rows in by_head(heads, h.device):
            # d loss / d H = (softmax(z + H) − e_token) / number of rows
            delta = logprobs[rows].exp() / num_rows
            delta[torch.arange(len(rows), device=h.device), tokens[rows]] -= 1 / num_rows
            loss -= logprobs[rows].gather(1, tokens[rows].unsqueeze(1)).sum() / num_rows
            down, up = self._down[head], self._up[head]
            gradients = [(delta @ up).T @ h[rows], delta.T @ (h[rows] @ down.T)]
            means, squares = ([self._moments[i][head], self._moments[i + 2][head]] for i in (0, 1))
            self._num_updates[head] += 1
            torch._fused_adam_(
                [down, up],
                gradients,
                means,
                squares,
                [],
                [self._num_updates[head]] * 2,
                lr=self._learning_rate,
                beta1=BETAS[0],
                beta2=BETAS[1],
                weight_decay=0.0,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )
        return loss


def by_head(heads: Sequence[int], device: torch.device) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield each head that has rows, with these rows' places."""
    for head in sorted({head for head in heads if head >= 0}):
        yield head, torch.tensor([place for place, other in enumerate(heads) if other == head], device=device)
