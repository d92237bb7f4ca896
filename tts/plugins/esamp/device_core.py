"""ESamp for an engine that runs ahead of its device: which rows take part is known to the device alone.

How it works. The host knows when requests come and go; it gives each a member's number, a slot and a cell (`join`),
which the engine keeps in a table on the device. Of a step it knows next to nothing: rows may be ghosts of requests that
have ended, or draw once more what was drawn before a request was preempted. So the step gets tensors (`DeviceRows`),
and

    here = live ∧ position ≥ first ∧ has a cell        guided if β ≠ 0          trained on and counted: here ∧ new

are masks. A row that is not `here` comes back bit for bit, and sits in a cell behind the last that is thrown away. All
figures are sums on the device, one line a member and one a slot, and are read when somebody asks for them. When a
group ends, its slot's line is added to the totals, in the order of the device's work, and set back.

`core` is the same for engines in step with their device, `grid` what happens in the cells.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple

import torch

from tts.plugins.esamp.controls import Distilled, control_of, norm, seeded_gaussian
from tts.plugins.esamp.fused import ROW_FIGURES, Rows, count_rows, fused_for
from tts.plugins.esamp.fusion import fuse
from tts.plugins.esamp.graphs import sizes_to_capture
from tts.plugins.esamp.grid import DistillerGrid, GridSize, Predicted
from tts.plugins.esamp.groups import Group, Groups
from tts.plugins.esamp.settings import ESampSettings
from tts.plugins.esamp.sharpness import Measured
from tts.plugins.esamp.stats import LONG_RUN, WINDOW, RequestTrace, Statistics

MEMBER_FIGURES = (*ROW_FIGURES, "kl", "entropy", "reference_entropy", "num_measured")
SLOT_FIGURES = ("steps", "first", "late", "late_of_mean", "not_finite")
TOTALS = ("steps", "rows_trained", "groups", "first", "last", "late", "late_of_mean", "not_finite")


class DeviceRows(NamedTuple):
    """The rows of a step, each `[num_rows]`, on the device."""

    member: torch.Tensor  # whose it is; the last member is nobody
    position: torch.Tensor  # where the token that it reads stands
    live: torch.Tensor  # bool: it draws a token, and its request has not ended
    new: torch.Tensor  # bool: no row of its request had this position before
    slot: torch.Tensor  # its cell's slot; `NO_SLOT` where the request got none
    cell: torch.Tensor
    beta: torch.Tensor  # float32
    first: torch.Tensor  # the first position that takes part
    seed: torch.Tensor

    @property
    def guidance(self) -> torch.Tensor:
        """Return how strongly each row is guided: its β, and 0 where it takes no part."""
        return torch.where(self.live & (self.position >= self.first) & (self.slot >= 0), self.beta, 0.0)


NO_SLOT = -1


class Seat(NamedTuple):
    """Where a request's rows go."""

    member: int
    group: Group | None
    cell: int

    @property
    def slot(self) -> int:
        """The slot, NO_SLOT where it has none."""
        return NO_SLOT if self.group is None else self.group.slot


class DeviceCore:
    """ESamp for one model on one device, whose host waits for nothing.

    `num_members` is how many requests it can tell apart, `max_rows` the most rows of a step. `half`: see `grid`.
    """

    def __init__(
        self,
        settings: ESampSettings,
        hidden_size: int,
        *,
        num_members: int,
        max_rows: int,
        device: torch.device,
        head: torch.Tensor | None = None,
        half: bool | None = None,
    ) -> None:
        self._settings, self._max_rows = settings, max_rows
        self._control, self._fused = control_of(settings, head), fused_for(device)
        half = device.type == "cuda" if half is None else half
        self.grid = DistillerGrid(settings, self._control, hidden_size, max_rows, half=half, device=device)
        with torch.inference_mode(False):  # so that they can be changed in that mode and out of it
            num_slots, numbers = self.grid.num_slots, {"dtype": torch.float64, "device": device}
            self._of_members = torch.zeros(num_members + 1, len(MEMBER_FIGURES), **numbers)
            self._of_slots = torch.zeros(num_slots, len(SLOT_FIGURES), **numbers)
            self._last_losses = torch.zeros(num_slots, WINDOW, **numbers)
            self._totals = torch.zeros(len(TOTALS), **numbers)
            self._of_departed = torch.zeros(len(MEMBER_FIGURES), **numbers)
            self._beta_of_departed = torch.zeros((), **numbers)
            self._window = torch.arange(WINDOW, device=device)
        self._groups = self._new_groups()
        self.wait: Callable[[], None] = lambda: None  # lets the device come to the end of what it was told to learn
        self._seats: dict[str, Seat] = {}
        self._betas: dict[int, float] = {}  # by member
        self._free_cells: dict[Group, list[int]] = {}
        self._most_cells: dict[Group, int] = {}

    # --- requests come and go

    def join(self, name: str, member: int, group: str, group_size: int | None = None, *, beta: float = 0.25) -> Seat:
        """Give a request a cell until it leaves; one without a slot where there is none. Joining twice changes nothing.

        Groups are as in `core`. `member` is whose figures its rows are counted to, `beta` its rows' (see `DeviceRows`).
        """
        if name not in self._seats:
            joined = self._groups.join(name, group, group_size)
            cell = 0
            if joined is not None:
                free = self._free_cells.setdefault(joined, [])
                if not free:
                    heapq.heappush(free, self._most_cells.get(joined, 0))
                    self._most_cells[joined] = self._most_cells.get(joined, 0) + 1
                cell = heapq.heappop(free)
            line = self._of_members[member]
            self._of_departed += line
            self._beta_of_departed += self._betas.get(member, 0.0) * line[MEMBER_FIGURES.index("num_guided")]
            line.zero_()
            self._betas[member] = beta
            self._seats[name] = Seat(member, joined, cell)
        return self._seats[name]

    def leave(self, name: str) -> None:
        """Let go of a request; unknown ones are ignored. Its figures can be read until its member is another's."""
        seat = self._seats.pop(name, None)
        if seat is not None and seat.group is not None:
            heapq.heappush(self._free_cells[seat.group], seat.cell)
            self._groups.leave(name, seat.group)

    def forget(self) -> None:
        """Forget all requests, groups and figures so far, as if new."""
        self.wait()
        self._seats.clear()
        self._betas.clear()
        self._free_cells.clear()
        self._most_cells.clear()
        self._groups = self._new_groups()
        figures = (self._of_members, self._of_slots, self._last_losses, self._of_departed, self._beta_of_departed)
        for tensor in (*figures, self._totals):
            tensor.zero_()

    @property
    def sizes(self) -> list[GridSize]:
        """The sizes that steps are likely to need."""
        return sizes_to_capture(self.grid.num_slots, self.grid.cells, self._max_rows)

    @property
    def size(self) -> GridSize:
        """The part of the grid that holds every request's cell: a power of two of slots, and one of its `cells`."""
        live = [group for group in self._groups if group.live]
        last = max((group.slot for group in live), default=0)
        slots = min(1 << last.bit_length(), self.grid.num_slots)
        most = max((self._most_cells[group] for group in live), default=1)
        return GridSize(slots, next(size for size in self.grid.cells if size >= most))

    # --- a step

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def predict(
        self, size: GridSize, rows: DeviceRows, h_first: torch.Tensor, h_last: torch.Tensor
    ) -> tuple[torch.Tensor, Predicted]:
        """Return what the head shall get instead of h^L `[num_rows, d]`, and what `train` needs.

        Rows that are not guided come back bit for bit. `size` must cover `self.size`.
        """
        normalise = self._settings.input_norm == "rms"
        ours = Rows(rows.member, rows.live, rows.new, rows.position, rows.first, rows.slot, rows.cell, rows.beta)
        taken = self._fused.take_rows(ours, h_first, h_last, slots=size.slots, cells=size.cells, normalise=normalise)
        predicted = self.grid.predict(taken.h_first, taken.h_last, taken.mask)
        if type(self._control) is Distilled:  # q is ĥ
            return self._fused.mix_rows(ours, h_last, predicted.h, taken.place, self._of_members), predicted
        reference, num_cells = h_last.float(), size.slots * size.cells
        prediction = predicted.h.flatten(0, 1).index_select(0, taken.place.clamp(max=num_cells - 1))
        noise = None
        if self._control.uses_noise:
            noise = seeded_gaussian(rows.seed, rows.position, reference.shape[1])
        q = self._control.q(reference, prediction, noise)
        mixed = fuse(reference, q, rows.beta.unsqueeze(1)).to(h_last.dtype)
        novelty = norm(reference - prediction) / norm(reference).clamp(min=1e-12)
        count_rows(ours, taken.place, num_cells, novelty, self._of_members)
        guided = (taken.place < num_cells) & (rows.beta != 0)
        return torch.where(guided.unsqueeze(1), mixed, h_last), predicted

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def train(self, predicted: Predicted) -> None:
        """Learn from the rows of a prediction, before the next one."""
        learnt = self.grid.train(predicted)
        had_rows = predicted.mask.sum(1) > 0
        self._count_losses(len(had_rows), learnt.losses, had_rows)
        self._totals[0] += had_rows.any()
        self._totals[1] += learnt.num_rows.sum()

    def record(self, rows: DeviceRows, measured: Measured) -> None:
        """Take what was found of the latest step's rows, `[num_rows]`, where both logits were projected."""
        guided = rows.new & (rows.guidance > 0)
        found = torch.stack(measured, dim=1).double()
        guided = guided & found.isfinite().all(1)
        counted = torch.cat([torch.where(guided.unsqueeze(1), found, 0.0), guided.double().unsqueeze(1)], dim=1)
        self._of_members[:, len(ROW_FIGURES) :].index_add_(0, rows.member, counted)

    # --- figures

    def member_figures(self) -> torch.Tensor:
        """Return the figures of all members `[num_members, …]`, on the device: see `request_statistics`."""
        return self._of_members

    @staticmethod
    def request_statistics(figures: list[float]) -> dict[str, float]:
        """Return a request's means (see `RequestTrace.summary`), given its line of `member_figures`."""
        of = dict(zip(MEMBER_FIGURES, figures, strict=True))
        trace = RequestTrace(num_guided=int(of["num_guided"]))
        trace.novelty.total, trace.novelty.count = of["novelty"], int(of["num_new"])
        trace.kl.total, trace.kl.count = of["kl"], int(of["num_measured"])
        return trace.summary()

    def statistics(self) -> Statistics:
        """Return the totals since the start. Waits for the device."""
        self.wait()
        totals = self._totals.clone()
        for group in self._groups:
            totals += self._ended(group.slot)
        of = dict(zip(TOTALS, totals.tolist(), strict=True))
        of_all = (self._of_departed + self._of_members[:-1].sum(0)).tolist()
        rows = dict(zip(MEMBER_FIGURES, of_all, strict=True))
        betas = torch.tensor(list(self._betas.values()), dtype=torch.float64)
        guided = self._of_members[list(self._betas), MEMBER_FIGURES.index("num_guided")].cpu()
        beta = self._beta_of_departed.item() + (betas * guided).sum().item()
        num_groups, num_guided, num_measured = of["groups"], rows["num_guided"], rows["num_measured"]

        def per(total: float, count: float) -> float | None:
            return total / count if count else None

        return Statistics(
            steps=int(of["steps"]),
            rows_guided=int(num_guided),
            rows_trained=int(of["rows_trained"]),
            rows_without_slot=int(rows["num_without_slot"]),
            groups=self._num_groups,
            steps_not_finite=int(of["not_finite"]),
            first_loss=per(of["first"], num_groups),
            last_loss=per(of["last"], num_groups),
            loss_over_mean=per(of["late"], of["late_of_mean"]),
            mean_kl=per(rows["kl"], num_measured),
            mean_novelty=per(rows["novelty"], rows["num_new"]),
            predict_ms=None,
            train_ms=None,
            wait_ms=None,
            memory_bytes=self.grid.memory_bytes,
            train_every=self._settings.steps_per_training(self.grid.device.type),
            mean_beta=per(beta, num_guided),
            mean_entropy=per(rows["entropy"], num_measured),
            mean_reference_entropy=per(rows["reference_entropy"], num_measured),
        )

    def _count_losses(self, part: int, losses: torch.Tensor, had_rows: torch.Tensor) -> None:
        """Add a step's two losses `[S', 2]` to the lines of the slots that had a row (see `LossTrace`)."""
        loss, of_mean = losses.double().unbind(1)
        finite = loss.isfinite()
        counted, line = had_rows & finite, self._of_slots[:part]
        steps = line[:, 0].long()
        at = (self._window == (steps % WINDOW).unsqueeze(1)) & counted.unsqueeze(1)
        last = self._last_losses[:part]
        last.copy_(torch.where(at, loss.unsqueeze(1), last))
        early, late = counted & (steps < WINDOW), counted & (steps >= LONG_RUN)
        line += torch.stack(
            [
                counted.double(),
                torch.where(early, loss, 0.0),
                torch.where(late, loss, 0.0),
                torch.where(late, of_mean, 0.0),
                (had_rows & ~finite).double(),
            ],
            dim=1,
        )

    def _ended(self, slot: int) -> torch.Tensor:
        """Return what the slot's group adds to the totals (see `LossTotals`)."""
        steps, first, late, late_of_mean, not_finite = self._of_slots[slot].unbind()
        some, nothing = (steps > 0).double(), torch.zeros_like(steps)
        window = steps.clamp(min=1, max=WINDOW)
        means = [first / window, self._last_losses[slot].sum() / window]
        return torch.stack([nothing, nothing, some, *means, late, late_of_mean, not_finite])

    def _new_groups(self) -> Groups:
        self._num_groups = 0
        shared = self._settings.scope == "shared"
        return Groups(self.grid.num_slots, self._max_rows, started=self._started, ended=self._over, shared=shared)

    def _started(self, group: Group) -> None:
        self._num_groups += 1
        self.wait()
        self.grid.reset(group.slot)

    def _over(self, group: Group) -> None:
        self.wait()
        self._totals += self._ended(group.slot)
        self._of_slots[group.slot].zero_()
        self._last_losses[group.slot].zero_()
        self._free_cells.pop(group, None)
        self._most_cells.pop(group, None)
