"""Runs the two halves of a step for the part of the grid that it needs: on CUDA as graphs, training beside the engine.

How it works. Nothing of the current step needs what is learnt from it. So while the engine samples and schedules on its
stream, the distillers are trained on another:

    engine's stream   wait(trained t−1) · predict t · head · sampler …          wait(trained t) · predict t+1 …
    side stream                              wait(predict t) · train t ─ event ─┘

For each of a few sizes both halves are captured, since launching their many small kernels one by one would take the
host longer than the engine's step. A step replays the smallest captured size that covers it. What makes that right:

- `wait` comes before anything that touches weights or cells: a prediction, a slot's reset, reading what was learnt.
- What a graph returns lies where its capture put it. All graphs share one memory pool and never run at once, and what
  they return is kept, so that no other graph is given its memory.
- Runs before a capture are on rows that are nobody's, from which nothing is learnt: libraries allocate in their first
  run, which a capture must not see. Other threads may use the device meanwhile (`capture_error_mode`).

Elsewhere, and until `capture`, both halves simply run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

import torch

from tts.plugins.esamp.grid import GridSize

NUM_WARM_UPS = 2
Result = TypeVar("Result")


class TwoHalves(Generic[Result]):
    """`predict` does the first half for a size, in fixed memory, and `train` the second on what it returned."""

    def __init__(
        self, predict: Callable[[GridSize], Result], train: Callable[[Result], None], device: torch.device
    ) -> None:
        self._predict, self._train, self._device = predict, train, device
        self._graphs: dict[GridSize, tuple[Callable[[], None], Callable[[], None], Result]] = {}
        self._on_cuda = device.type == "cuda"
        if self._on_cuda:
            self._side, self._trained = torch.cuda.Stream(device, priority=0), torch.cuda.Event()

    def wait(self) -> None:
        """Let what the device is told from now on come after the training started so far; the host goes on."""
        if self._on_cuda:
            torch.cuda.current_stream(self._device).wait_event(self._trained)

    def size_of(self, size: GridSize) -> GridSize:
        """Return the size that is worked on where this one is needed."""
        return covering(size, self._graphs)

    def run(self, size: GridSize) -> Result:
        """Do the first half and start the second."""
        self.wait()
        graphs = self._graphs.get(self.size_of(size))
        if graphs is None:
            result = self._predict(size)
            second: Callable[[], None] = partial(self._train, result)
        else:
            first, second, result = graphs
            first()
        if not self._on_cuda:
            second()
            return result
        self._side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._side):
            second()
        self._trained.record(self._side)
        return result

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def capture(self, sizes: Iterable[GridSize]) -> None:
        """Capture both halves for these sizes, the largest first; nothing on another device than CUDA."""
        if not self._on_cuda:
            return
        pool = None
        for size in sorted(sizes, key=lambda one: -one.slots * one.cells):
            self._side.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._side):
                for _ in range(NUM_WARM_UPS):
                    self._train(self._predict(size))
            torch.cuda.current_stream(self._device).wait_stream(self._side)
            first, second = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
            with torch.cuda.graph(first, pool=pool, capture_error_mode="thread_local"):
                result = self._predict(size)
            pool = first.pool()
            with torch.cuda.graph(second, pool=pool, capture_error_mode="thread_local"):
                self._train(result)
            self._graphs[size] = first.replay, second.replay, result


def covering(size: GridSize, captured: Iterable[GridSize]) -> GridSize:
    """Return the smallest of these sizes that covers one; that one where none does."""
    larger = [one for one in captured if one.slots >= size.slots and one.cells >= size.cells]
    return min(larger, key=lambda one: one.slots * one.cells, default=size)


def sizes_to_capture(num_slots: int, cells: Iterable[int], max_rows: int) -> list[GridSize]:
    """Return the sizes worth a graph: those with no more than twice the cells that a step has rows, and the largest."""
    powers = [1 << bit for bit in range(num_slots.bit_length()) if 1 << bit < num_slots]
    pairs = [GridSize(slots, each) for slots in (*powers, num_slots) for each in cells]
    largest = max(pairs, key=lambda one: one.slots * one.cells)
    return [one for one in pairs if one.slots * one.cells <= 2 * max_rows or one == largest]
