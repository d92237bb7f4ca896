"""What ESamp should cost a step on a card, by arithmetic alone: bytes, operations and launches, over what a card does.

    python benchmarks/esamp_cost.py [H200|H100] [--context 1024]        # a Markdown table of predicted ratios

Every assumption is marked A; all else follows. `esamp_gpu.py` prints these predictions beside what it measures. A
distiller has P = 6·d·w parameters. In a step of G groups of c candidates, trained every m-th:

    plain     max(2·parameters/BW, 2·parameters·rows/bf16) + (cache + 4 passes over float32 logits)/BW + LAYER a layer,
              and never below the host's own work
    predict   G·c·2P operations, G·P·2 bytes (a bfloat16 copy of the weights), PREDICT launches
    train     G·c·4P operations, G·P·(4/3 + 18/m) bytes: the backward products run for all slots in every step (2 bytes
              of two thirds), Adam where it is due (float32 value, two bfloat16 moments, each read and written, and the
              copy), TRAIN launches beside the engine

Training runs on a stream of its own. `after`: none of it is hidden. `beside`: its bytes fit into the gaps between the
engine's kernels, as far as those reach.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

WIDTH = 384
PREDICT_LAUNCHES = 15  # counted: `esamp_gpu.py --parts launches`; the engine waits for them
LAUNCH = 3e-6  # A: a small kernel within a graph
LAYER = 12e-6  # A: a layer's launches and tails beyond its bytes
HOST, HOST_OF_ROW = 0.9e-3, 3e-6  # A: vLLM's own scheduling, preparing and handing out, a step
OURS = 0.04e-3  # A: what we add to that: 4 launches, 2 replays, 4 events


class Card(NamedTuple):
    """What its maker prints (dense), times what is reached (A)."""

    bandwidth: float  # bytes/s
    bf16: float  # operations/s


CARDS = {"H200": Card(4.8e12 * 0.8, 989e12 * 0.6), "H100": Card(3.35e12 * 0.8, 989e12 * 0.6)}


class Model(NamedTuple):
    """Sizes as of Qwen2.5; `parameters` without the table of input embeddings."""

    d: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    mlp: int
    vocabulary: int
    parameters: float


MODELS = {
    "0.5B": Model(896, 24, 14, 2, 64, 4864, 151936, 0.494e9),
    "1.5B": Model(1536, 28, 12, 2, 128, 8960, 151936, 1.54e9),
    "7B": Model(3584, 28, 28, 4, 128, 18944, 152064, 7.07e9),
    "32B": Model(5120, 64, 40, 8, 128, 27648, 152064, 32.0e9),
}
SHAPES = ((1, 16), (8, 16), (64, 16), (128, 8))


class Cost(NamedTuple):
    """Seconds of a step without ESamp, and its speed with ESamp as a share of that."""

    plain: float
    after: float
    beside: float


def predicted(card: Card, model: Model, shape: tuple[int, int], train_every: int, context: int = 1024) -> Cost:
    """Return what a step should cost; `shape` is groups and candidates."""
    groups, candidates = shape
    rows, parameters = groups * candidates, 6 * model.d * WIDTH
    cache = rows * context * 2 * model.layers * model.kv_heads * model.head_size * 2
    sampling = rows * model.vocabulary * 4 * 4  # A: four passes

    def device(more_bytes: float = 0.0, more_seconds: float = 0.0) -> float:
        weights = max(
            (2 * model.parameters + more_bytes) / card.bandwidth, 2 * model.parameters * rows / card.bf16 + more_seconds
        )
        return weights + (cache + sampling) / card.bandwidth + model.layers * LAYER

    host = HOST + HOST_OF_ROW * rows
    plain = max(device(), host)
    cells = groups * max(candidates, 16)  # a tensor core's tile costs the same with fewer
    operations = cells * (2 + 4 / train_every) * parameters / card.bf16
    predict = groups * parameters * 2
    train = groups * parameters * (4 / 3 + 18 / train_every)
    hidden = max(0.0, train - model.layers * LAYER * card.bandwidth)
    after, beside = (
        max(device(predict + bytes_, operations) + PREDICT_LAUNCHES * LAUNCH, host + OURS) for bytes_ in (train, hidden)
    )
    return Cost(plain, plain / after, plain / beside)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", nargs="?", choices=sorted(CARDS), default="H200")
    parser.add_argument("--context", type=int, default=1024)
    arguments = parser.parse_args()
    print(f"{arguments.card}, context {arguments.context}. Predicted, not measured.\n")
    print("| model | shape | plain ms | every step: after–beside | every 4th: after–beside |\n|---|---|---|---|---|")
    for name, model in MODELS.items():
        for groups, candidates in SHAPES:
            every, fourth = (
                predicted(CARDS[arguments.card], model, (groups, candidates), m, arguments.context) for m in (1, 4)
            )
            cells = [f"{cost.after:.3f}–{cost.beside:.3f}" for cost in (every, fourth)]
            print(f"| {name} | {groups} × {candidates} | {every.plain * 1e3:.2f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
