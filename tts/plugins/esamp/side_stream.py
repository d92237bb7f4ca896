"""For CUDA: predicting and training are one graph each, and training runs on a stream of its own, beside the engine.

How it works. Training is the larger part of the work, and nothing of the current step needs it. So while the engine
samples, detokenises and schedules on its stream, the distillers are trained on another:

    engine's stream   wait(training t−1) · load · predict t · mix · sample …          wait(training t) · load · …
    side stream                                    wait(predict t) · train t ─ event ─┘

Both kinds of work are captured when the schedule is built, since launching their many small kernels one by one would
take the host longer than the engine's step. What makes that right:

- Two waits suffice. Training waits for the stream that loaded its rows; and `wait`, called before anything touches
  cells or weights (a step, a slot's reset), makes the engine's stream wait for the last training. Both are orders to
  the device; the host goes on.
- A replay writes where the capture wrote. Both graphs share one memory pool, the mixed rows are gathered before the
  next replay, and the losses are cloned, since they are read many steps later.
- Warm-up runs come first, on empty cells: libraries allocate in their first run, which a capture must not see, and from
  cells whose masks are 0 nothing is learnt.
- Other threads of the engine may use the device meanwhile (`capture_error_mode="thread_local"`).

Times are taken by events around each phase and added up when the statistics are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import torch

from tts.plugins.esamp.all_slots import AllSlots
from tts.plugins.esamp.controls import Control
from tts.plugins.esamp.distiller import DistillerBank
from tts.plugins.esamp.running_mean import RunningMeans
from tts.plugins.esamp.step import Mixed
from tts.plugins.esamp.strength import Strengths

Phase: TypeAlias = Literal["predict", "train", "wait"]

NUM_WARM_UPS = 3
"""Runs before a capture, in which libraries set themselves up."""


class SideStream(AllSlots):
    """`AllSlots` with its two kinds of work captured when it is built.

    Events order the streams: training waits for its prediction, and whatever touches the distillers or the cells next
    waits for training. So the rows of a step are still there when they are trained on.
    """

    def __init__(
        self,
        bank: DistillerBank,
        means: RunningMeans,
        control: Control,
        max_rows: int,
        max_waiting: int,
        *,
        strengths: Strengths | None = None,
    ) -> None:
        super().__init__(bank, means, control, max_rows, max_waiting, strengths=strengths)
        self._side = torch.cuda.Stream(bank.device)
        self._training_done = torch.cuda.Event()
        self._spans: list[tuple[Phase, torch.cuda.Event, torch.cuda.Event]] = []
        self._capture()

    def wait(self) -> None:
        """Let the current stream wait for training; the host goes on."""
        with self._span("wait"):
            torch.cuda.current_stream(self._bank.device).wait_event(self._training_done)

    def synchronize(self) -> None:
        """Wait on the host for all that was started, and add up how long it took."""
        torch.cuda.synchronize(self._bank.device)
        for phase, start, end in self._spans:
            setattr(self.milliseconds, phase, getattr(self.milliseconds, phase) + start.elapsed_time(end))
        self._spans.clear()

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def _capture(self) -> None:
        """Capture both graphs in one memory pool; the prediction lives in it until the next one overwrites it."""
        # Run on the empty cells, from which nothing is learned.
        current = torch.cuda.current_stream(self._bank.device)
        self._side.wait_stream(current)
        with torch.cuda.stream(self._side):
            for _ in range(NUM_WARM_UPS):
                super()._predict()
                if self._control.objective is not None:
                    super()._train()
        current.wait_stream(self._side)
        self._predict_graph, self._train_graph = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._predict_graph, capture_error_mode="thread_local"):
            self._mixed = super()._predict()
        if self._control.objective is not None:
            pool = self._predict_graph.pool()
            with torch.cuda.graph(self._train_graph, pool=pool, capture_error_mode="thread_local"):
                super()._train()

    def _predict(self) -> Mixed:
        with self._span("predict"):
            self._predict_graph.replay()
        return self._mixed

    def _train(self) -> None:
        self._side.wait_stream(torch.cuda.current_stream(self._bank.device))
        with torch.cuda.stream(self._side), self._span("train"):
            self._train_graph.replay()
        self._training_done.record(self._side)

    @contextmanager
    def _span(self, phase: Phase) -> Iterator[None]:
        """Time what the current stream is told inside."""
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        yield
        end.record()
        self._spans.append((phase, start, end))
