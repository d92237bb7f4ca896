"""What an engine calls, whichever it is: requests join and leave, and every decoding step hands its rows over.

How it works. The core is bookkeeping on the host; all arithmetic is in the bank of distillers, which a schedule drives.

    ESampCore.step(rows, h¹, h^L)
      plan      which rows take part, grouped by distiller: one `SlotRows` each        core, groups
      run       predict ĥ from h¹, mix h^L + β·(h^L − ĥ), start training                schedule, step, distiller
                  ExactRows    exactly the rows there are: CPUs                         schedule
                  AllSlots     all slots at fixed shapes and addresses                  all_slots
                  SideStream   the same as CUDA graphs, training beside the engine      side_stream
      note      who gets which number, once the device has it                           telemetry, stats

A request `join`s under a group's key (a problem, say). The group holds one slot of the bank for as long as it lives;
its requests share the distiller there. A row takes part if its request joined and the token that it draws is not the
first (`guide_first_token` aside): then it is trained on, and guided too where its β is above 0. Every `train_every`-th
step of a group is one in which its distiller is trained, on all its rows since the last time.

What holds:

- The training of step t ends before the prediction of step t + 1, whatever runs beside the engine. So a run repeats
  exactly, and a distiller never sees a row before it has guided it.
- Training cannot change the rows of its own step, so it starts within `step` and may end after it.
- Rows that take no part, and those at β = 0, come back bit for bit. At β = 0 everything else goes on: it is the control
  with which an engine shows that hosting ESamp changes no token.
- A group depends on its own rows alone: not on its slot's number (all start from one template), nor, on a CPU, on its
  neighbours. A slot is made new when the next group gets it.
- No number is read from the device within `step`: the host would wait for it. Tensors of figures are kept with their
  owners and read when statistics are asked for, or when MAX_UNREAD of them wait. A group's or request's record
  therefore outlives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from tts.plugins.esamp.all_slots import AllSlots
from tts.plugins.esamp.controls import NoiseKey, control_of
from tts.plugins.esamp.distiller import DistillerBank
from tts.plugins.esamp.groups import Group, Groups
from tts.plugins.esamp.running_mean import RunningMeans
from tts.plugins.esamp.schedule import ExactRows, Schedule, StepResult
from tts.plugins.esamp.settings import ESampSettings
from tts.plugins.esamp.sharpness import Measured
from tts.plugins.esamp.side_stream import SideStream
from tts.plugins.esamp.stats import Milliseconds, RequestTrace, Statistics
from tts.plugins.esamp.step import SlotRows
from tts.plugins.esamp.strength import Strengths, is_due, variance_of_difference
from tts.plugins.esamp.telemetry import Telemetry

MAX_UNREAD = 128
"""How many tensors of statistics may wait until the host reads them, which makes it wait for the device."""

MAX_DEPARTED = 4096
"""How many requests that left, and that nobody asked about, are remembered."""


class StepRow(NamedTuple):
    """One row of a step. `position` is where the token that it reads stands; the prompt's first token stands at 0."""

    request_id: str
    position: int
    num_prompt_tokens: int


@dataclass(slots=True)
class Member:
    """A request that takes part. `group` is None where there was no slot: its rows stay as they are."""

    group: Group | None
    beta: float
    seed: int
    trace: RequestTrace = field(default_factory=RequestTrace)


class Seat(NamedTuple):
    """A row that takes part in a step: its place among all rows, and whose it is."""

    place: int
    position: int
    member: Member


class ESampCore:
    """ESamp for one model on one device.

    A request that never joined is left alone. `max_rows` is the most rows that a group may have in one step; `head` is
    the weight `[vocabulary, hidden_size]` of the model's head, which only `control: vocabulary` needs. `all_slots` says
    whether every step works on all slots, in fixed places, instead of exactly the rows there are; None: on CUDA.
    """

    def __init__(
        self,
        settings: ESampSettings,
        hidden_size: int,
        max_rows: int,
        *,
        device: torch.device | str = "cpu",
        head: torch.Tensor | None = None,
        all_slots: bool | None = None,
    ) -> None:
        device = torch.device(device)
        all_slots = device.type == "cuda" if all_slots is None else all_slots
        control, num_slots = control_of(settings, head), settings.num_distillers
        self._settings, self._learns = settings, control.objective is not None
        self._train_every = settings.steps_per_training(device.type)
        self._bank = DistillerBank(
            num_slots,
            hidden_size,
            settings.width,
            learning_rate=settings.learning_rate,
            input_norm=settings.input_norm == "rms",
            from_mean=settings.start == "mean",
            train_every=self._train_every,
            batched=all_slots,
            device=device,
        )
        means = RunningMeans(num_slots, hidden_size, batched=all_slots, device=device)
        target = settings.target_kl
        self._strengths = None if target is None else Strengths(num_slots, target, device)
        self._schedule: Schedule = ExactRows(self._bank, means, control, self._strengths)
        if all_slots:
            layout = SideStream if device.type == "cuda" else AllSlots
            waiting = max_rows * self._train_every
            self._schedule = layout(self._bank, means, control, max_rows, waiting, strengths=self._strengths)
        self._telemetry = Telemetry()
        self._groups = Groups(
            num_slots,
            max_rows,
            started=self._started,
            ended=lambda group: self._telemetry.end(group.losses),
            shared=settings.scope == "shared",
        )
        self._members: dict[str, Member] = {}
        self._departed: dict[str, RequestTrace] = {}
        self._seats: list[Seat] = []

    def has_room(self, group: str) -> bool:
        """Tell whether one more request of `group` would get a distiller now."""
        return self._groups.has_room(group)

    def join(
        self, request_id: str, group: str, *, group_size: int | None = None, beta: float | None = None, seed: int = 0
    ) -> bool:
        """Let a request take part until it leaves; False where there is no slot for it: then its rows stay as they are.

        The group ends, and its slot is free for another, when the last of `group_size` requests has left; without a
        size, whenever nobody is left. So a key must not be used again. `beta` None is the settings'; `seed` is the
        request's own, for `control: noise`. Joining twice changes nothing.
        """
        if request_id not in self._members:
            joined = self._groups.join(request_id, group, group_size)
            self._members[request_id] = Member(joined, self._settings.beta if beta is None else beta, seed)
        return self._members[request_id].group is not None

    def leave(self, request_id: str) -> None:
        """Let go of a request that is finished or cancelled; unknown ones are ignored."""
        member = self._members.pop(request_id, None)
        if member is None:
            return
        if member.group is not None:
            self._groups.leave(request_id, member.group)
        self._departed[request_id] = member.trace
        if len(self._departed) > MAX_DEPARTED:
            del self._departed[next(iter(self._departed))]

    def forget(self) -> None:
        """Forget all requests, groups and figures so far, as if new."""
        for request_id in list(self._members):
            self.leave(request_id)
        self._groups.end_all()
        self._departed.clear()
        self._schedule.synchronize()
        self._telemetry, self._schedule.milliseconds = Telemetry(), Milliseconds()

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def step(self, rows: Sequence[StepRow], h_first: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
        """Return what the head shall get instead of h^L: `[num_rows, d]`, bit for bit h^L in rows that are not guided.

        `rows` describes the rows of h¹ and h^L, both `[num_rows, d]`, of any float type. The order is: the training of
        the step before ends, these rows are predicted and mixed, training on them starts. It cannot change them any
        more, so it starts here: on a CUDA device it runs beside what the engine does next.
        """
        # Which rows take part, by group.
        groups: dict[Group, list[Seat]] = {}
        first = -1 if self._settings.guide_first_token else 0
        for place, (request_id, position, num_prompt_tokens) in enumerate(rows):
            member = self._members.get(request_id)
            if member is None or position < num_prompt_tokens + first:
                continue
            if member.group is None:
                self._telemetry.rows_without_slot += 1
            else:
                groups.setdefault(member.group, []).append(Seat(place, position, member))
        self._seats = [seat for seats in groups.values() for seat in seats]
        if not groups:
            return h_last
        # What is done with each group's rows.
        plan = []
        for group, seats in groups.items():
            group.num_steps += 1
            group.num_untrained_steps += 1
            group.num_untrained_rows += len(seats)
            plan.append(
                SlotRows(
                    slot=group.slot,
                    rows=[seat.place for seat in seats],
                    betas=[seat.member.beta for seat in seats],
                    noise_keys=[NoiseKey(seat.member.seed, seat.position) for seat in seats],
                    trains=self._learns and group.num_untrained_steps == self._train_every,
                )
            )
        result = self._schedule.run(plan, h_first, h_last)
        self._take_note(list(groups), plan, result)
        return result.h

    def betas(self, num_rows: int) -> torch.Tensor:
        """Return the β of the latest step's rows `[num_rows, 1]`, on the host; 0 where one takes no part."""
        betas = torch.zeros(num_rows, 1)
        for seat in self._seats:
            betas[seat.place] = seat.member.beta
        return betas

    @property
    def measures_strength(self) -> bool:
        """Whether the reference's logits are wanted for the latest step's rows: `measure_strength` is due."""
        return self._strengths is not None and any(self._is_due(seat.member) for seat in self._seats)

    def measure_strength(self, new: torch.Tensor, reference: torch.Tensor) -> None:
        """Take the logits `[num_rows, vocabulary]` of the latest step's rows, as guided and as the model's own."""
        if self._strengths is None or not self.measures_strength:
            return
        guided: dict[int, list[int]] = {}
        for place, _, member in self._seats:
            if member.group is not None and member.beta > 0 and self._is_due(member):
                guided.setdefault(member.group.slot, []).append(place)
        variance = variance_of_difference(new, reference)
        for slot, places in guided.items():
            self._strengths.measure(slot, torch.stack([variance[place] for place in places]))

    def _is_due(self, member: Member) -> bool:
        return member.group is not None and is_due(member.group.num_steps, self._settings.kl_every)

    def record(self, measured: Measured) -> None:
        """Take what an engine that projected both found of the latest step's rows, `[num_rows]`."""
        guided = {place: member.trace for place, _, member in self._seats if member.beta > 0}
        telemetry, nobodys = self._telemetry, dict.fromkeys(guided, None)
        telemetry.expect(measured.kl, {place: trace.kl for place, trace in guided.items()}, telemetry.kl)
        telemetry.expect(measured.entropy, nobodys, telemetry.entropy)
        telemetry.expect(measured.reference_entropy, nobodys, telemetry.reference_entropy)

    def statistics(self) -> Statistics:
        """Return the totals since the start. Waits for the device."""
        self._read()
        live = [group.losses for group in self._groups]
        schedule = self._schedule
        return self._telemetry.statistics(live, schedule.milliseconds, schedule.memory_bytes, self._train_every)

    def request_statistics(self, request_id: str) -> dict[str, float]:
        """Return a request's means (see `RequestTrace.summary`), empty where it is unknown. Waits for the device.

        One that has left is forgotten then.
        """
        member = self._members.get(request_id)
        trace = self._departed.pop(request_id, None) if member is None else member.trace
        if trace is None:
            return {}
        self._read()
        return trace.summary()

    def _take_note(self, groups: Sequence[Group], plan: Sequence[SlotRows], result: StepResult) -> None:
        telemetry = self._telemetry
        telemetry.steps += 1
        guided = {seat.place: seat.member for seat in self._seats if seat.member.beta > 0}
        telemetry.rows_guided += len(guided)
        for member in guided.values():
            member.trace.num_guided += 1
            if self._strengths is None:
                telemetry.beta.add(member.beta)
        novelty_of = {seat.place: seat.member.trace.novelty for seat in self._seats}
        telemetry.expect(result.novelty, novelty_of, telemetry.novelty)
        if self._strengths is not None:
            telemetry.expect(result.beta, dict.fromkeys(guided, None), telemetry.beta)
        telemetry.expect(result.losses, {group.slot: group.losses for group in groups})
        for group, part in zip(groups, plan, strict=True):
            if part.trains:
                telemetry.rows_trained += group.num_untrained_rows
                group.num_untrained_steps = group.num_untrained_rows = 0
        if telemetry.num_unread >= MAX_UNREAD:
            self._read()

    def _read(self) -> None:
        self._schedule.synchronize()
        self._telemetry.read()

    def _started(self, group: Group) -> None:
        self._schedule.reset(group.slot)
        self._telemetry.groups += 1
