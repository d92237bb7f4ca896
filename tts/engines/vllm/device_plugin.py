"""What runs inside vLLM's worker process beside its second runner, which schedules ahead of its device.

How it works. It does what `WorkerPlugin` does, in the same order, but nothing in a step waits for the device, or looks
at single rows on the host. When a request comes, all that is known of it is written into a table on the device
(`members`): its cell, its β, its end tokens, how its tokens are drawn. A step's rows are then looked up there, by the
tensors that the runner has on the device already, and who takes part is a mask. Measured are sums, by member. The host
counts only which kinds of work any live request wants, so that a step without them does none of it.

    begin     the step's rows                                          members
    mix       h^L → what the head gets; training starts                plugins/esamp/device_core
    measure   self-certainty, confidence, KL of the raw logits         device_certainty
    shape     top-nσ, the first token, filters on the reference, the end of rows below their floor

A request that has ended may have one row more, since the next step was scheduled before anybody knew: that row reads an
end token, so the device knows. (Not so behind a stop string, which is looked for in the text: one row is learnt from.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from tts.engines.confidence import measured
from tts.engines.filters import Filters
from tts.engines.vllm.admission import NOTHING, Admissions, Admitted
from tts.engines.vllm.device_certainty import DeviceCertainties
from tts.engines.vllm.members import ENDS, NUM_ENDS, Members, StepRows
from tts.engines.vllm.options import WorkerOptions
from tts.plugins.esamp.controls import SEEDS
from tts.plugins.esamp.device_core import MEMBER_FIGURES, DeviceCore
from tts.plugins.esamp.fusion import fuse, q_of
from tts.plugins.esamp.graphs import TwoHalves
from tts.plugins.esamp.grid import GridSize, Predicted
from tts.plugins.esamp.sharpness import measured_beside, with_entropy_of
from tts.types import ConfidenceFloor


class DevicePlugin:
    """One per worker. `project` turns hidden states `[num_rows, hidden_size]` into logits; `max_rows` is how many
    requests run at once, `max_tokens` the most tokens of one. `caps`: the model caps its logits, so that these are
    mixed and not the hidden states (see `capped`)."""

    def __init__(
        self,
        options: WorkerOptions,
        project: Callable[[torch.Tensor], torch.Tensor],
        *,
        hidden_size: int,
        max_rows: int,
        max_tokens: int,
        device: torch.device,
        dtype: torch.dtype,
        head: torch.Tensor | None,
        drafts: bool = False,
        caps: bool = False,
        vocabulary: int = 0,
    ) -> None:
        del vocabulary  # OverRIDE's, which the first runner alone hosts
        self._caps = caps
        self.settings = options.esamp
        self._project, self._self_certainty = project, options.self_certainty
        self._floor = measured(options.confidence_window)
        self._members = Members(max_rows, device)
        self._certainties = DeviceCertainties(self._members.num_members, max_tokens, device)
        self._core: DeviceCore | None = None
        if options.esamp is not None:
            self._core = DeviceCore(
                options.esamp,
                hidden_size,
                num_members=self._members.num_members,
                max_rows=max_rows,
                device=device,
                head=head,
            )
        self._on_reference = options.esamp is not None and options.esamp.filter == "reference"
        self._admissions = Admissions(on_reference=self._on_reference, drafts=drafts)
        self._wanted: Counter[str] = Counter()  # by how many live requests
        self._floors: Counter[ConfidenceFloor] = Counter()
        self._windows: dict[int, int | None] = {}  # by member: over which its confidence is measured
        with torch.inference_mode(False):  # so that they can be filled in that mode and out of it
            numbers = torch.zeros(3, max_rows, dtype=torch.long, device=device)
            self._index, self._position, self._token = numbers.unbind()
            self._draws = torch.zeros(max_rows, dtype=torch.bool, device=device)
            states = 0 if self._core is None else max_rows
            self._h_first, self._h_last = torch.zeros(2, states, hidden_size, dtype=dtype, device=device).unbind()
        self._halves = TwoHalves(self._predict, self._train, device)
        if self._core is not None:
            self._core.wait = self._halves.wait
        self._num_rows = 0
        self._rows: StepRows | None = None
        self._reference: torch.Tensor | None = None
        self._moved: torch.Tensor | None = None
        self._q_logits: torch.Tensor | None = None
        self._betas: torch.Tensor | None = None
        self._fallen: torch.Tensor | None = None
        self._num_steps = 0
        self._has_first_tokens = False

    # --- requests

    def admit(self, request_id: str, params: Any) -> Any:
        """Take a request in, or once more after it was preempted; return the sampling parameters for vLLM."""
        _, params = self._admissions.admit(request_id, params)
        return params

    def seat(self, request_id: str, index: int, num_prompt_tokens: int) -> None:
        """Say at which of the runner's indices an admitted request sits now."""
        request = self._admissions.requests[request_id]
        member, is_new = self._members.enter(request_id)
        if is_new:
            floor = request.decoding.floor or self._floor
            self._windows[member] = None if floor is None else floor.window
            self._certainties.enter(member, has_floor=floor is not None)
            known = self._shaping(request) | {"prompt": num_prompt_tokens}
            if floor is not None:
                self._floors[floor] += 1
                known |= {"floor_threshold": floor.threshold, "floor_window": floor.window, "floor_top_k": floor.top_k}
            if self._core is not None and self.settings is not None:
                group, size = request.group(request_id), request.values.esamp_group_size
                beta = self.settings.beta if request.values.esamp_beta is None else request.values.esamp_beta
                cell = self._core.join(request.name, member, group, size, beta=beta)
                if cell.group is None:
                    self._admissions.tell_unguided(group, self.settings.num_distillers)
                first = num_prompt_tokens - self.settings.guide_first_token
                seed = request.seed % SEEDS
                known |= {"slot": cell.slot, "cell": cell.cell, "beta": beta, "first": first, "seed": seed}
            self._members.table.write(member, known)
            self._wanted.update(wants(known))
        self._members.table.seat(index, member)

    def vacate(self, index: int) -> None:
        """Say that an index is nobody's: its request ended, or is preempted."""
        self._members.table.seat(index, None)

    def release(self, request_ids: Iterable[str]) -> None:
        """Let go of requests that ended; unknown ones are ignored."""
        for request_id in request_ids:
            request = self._admissions.requests.pop(request_id, None)
            if request is None or request_id not in self._members.live:
                continue
            self._wanted.subtract(wants(self._shaping(request)))
            floor = request.decoding.floor or self._floor
            if floor is not None:
                self._floors[floor] -= 1
            self._members.leave(request_id, request.name)
            if self._core is not None:
                self._core.leave(request.name)

    def forget(self) -> None:
        """Forget every request so far, and all that was learnt and measured of them: these were vLLM's own."""
        self._admissions.forget()
        self._members.forget()
        self._wanted.clear()
        self._floors.clear()
        self._num_steps = 0
        if self._core is not None:
            self._core.forget()

    def _shaping(self, request: Admitted) -> dict[str, float]:
        """Return how a request's logits are shaped, for the table: see `Admitted.kept`."""
        first = request.now(0)
        kept = [request.now(n) if self._on_reference else request.kept(n) for n in (0, 1)]
        relative = [request.relative_temperature(n) for n in (0, 1)]
        shaped = [self._on_reference or one != NOTHING or by != 1 for one, by in zip(kept, relative, strict=True)]
        known = dict(zip(ENDS, request.end_ids[:NUM_ENDS], strict=False)) | {
            "shaped": shaped[1],
            "first_shaped": shaped[0],
            "temperature": kept[1].temperature,
            "first_temperature": kept[0].temperature if first.first_token is None else first.first_token.temperature,
            "relative": relative[1],
            "first_relative": relative[0],
            "first_top_k": 0 if first.first_token is None else first.first_token.top_k,
            "top_n_sigma": kept[1].top_n_sigma,
            "min_p": kept[1].min_p,
            "top_k": kept[1].top_k,
            "top_p": kept[1].top_p,
            "end": request.end_id,
            "judged_at": request.judged_at,
        }
        return {name: float(value) for name, value in known.items()}

    # --- one step

    def begin(
        self,
        index: torch.Tensor,
        position: torch.Tensor,
        token: torch.Tensor,
        draws: torch.Tensor,
        *,
        has_first_tokens: bool,
    ) -> None:
        """Take the rows of a step (see `Members.rows`); the host knows whether any of them draws a first token."""
        self._members.table.flush()
        self._num_rows, self._has_first_tokens = len(index), has_first_tokens
        self._index[len(index) :].fill_(self._members.no_index)
        for kept, given in (
            (self._index, index),
            (self._position, position),
            (self._token, token),
            (self._draws, draws),
        ):
            kept[: len(index)].copy_(given)
        if self._core is None:
            self._rows = self._step_rows().first(self._num_rows)

    def skip(self) -> None:
        """Have nothing to do with a step, unless it begins."""
        self._rows, self._reference, self._moved, self._fallen, self._q_logits = None, None, None, None, None

    @property
    def takes_part(self) -> bool:
        """Whether anything is to be done in a step."""
        return bool(self._members.live) and (self._core is not None or self._measures or bool(self._wanted.total()))

    @property
    def guides(self) -> bool:
        """Whether the hidden states of a step are wanted."""
        return self._core is not None and bool(self._members.live)

    def mix(self, h_first: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
        """Return what the head shall get for the step's rows instead of `h_last`, all `[num_rows, d]`."""
        assert self._core is not None
        assert self.settings is not None
        self._num_steps += 1
        kl_every = self.settings.kl_every
        always = self._on_reference or self.settings.keep_entropy
        if always or (kl_every and self._num_steps % kl_every == 0):
            self._reference = self._project(h_last)
        self._h_first[: self._num_rows].copy_(h_first)
        self._h_last[: self._num_rows].copy_(h_last)
        rows, mixed, _ = self._halves.run(self._core.size)
        self._rows = rows.first(self._num_rows)
        mixed = mixed[: self._num_rows]
        if self.settings.keep_entropy:
            self._moved = (mixed != h_last).any(-1, keepdim=True)
        if self._caps:
            self._betas = self._rows.of_core.guidance.unsqueeze(1)
            self._q_logits = self._project(q_of(h_last, mixed, self._betas).to(h_last.dtype))
            return h_last
        return mixed

    def capture(self) -> None:
        """Let the device do a step's work without being told each part of it, where it can."""
        if self._core is not None:
            self._index.fill_(self._members.no_index)
            self._halves.capture(self._core.sizes)

    def _step_rows(self) -> StepRows:
        return self._members.rows(self._index, self._position, self._token, self._draws)

    def _predict(self, size: GridSize) -> tuple[StepRows, torch.Tensor, Predicted]:
        assert self._core is not None
        rows = self._step_rows()
        return rows, *self._core.predict(size, rows.of_core, self._h_first, self._h_last)

    def _train(self, result: tuple[StepRows, torch.Tensor, Predicted]) -> None:
        assert self._core is not None
        self._core.train(result[2])

    @property
    def _measures(self) -> bool:
        return self._self_certainty or bool(self._floors.total())

    def measure(self, logits: torch.Tensor) -> None:
        """Look at the raw logits of all rows `[num_rows, vocabulary]`, before anything shapes them.

        In place, guided rows are mixed first where the model caps its logits, and with `keep_entropy` become as sharp
        as the model's own.
        """
        rows = self._rows
        if self._q_logits is not None and self._betas is not None:
            logits.copy_(fuse(logits, self._q_logits.to(logits.dtype), self._betas.to(logits.dtype)))
        if rows is None or not (self._measures or self._reference is not None):
            return
        given, logits = logits, logits.float()
        if self._reference is not None and self._core is not None:
            temperature = rows.known("judged_at").float().unsqueeze(1)
            if self._moved is not None:
                logits = with_entropy_of(self._reference, logits, temperature, self._moved)
                given.copy_(logits)
            self._core.record(rows.of_core, measured_beside(logits, self._reference, temperature))
        if self._self_certainty:
            self._certainties.add_self_certainty(rows, logits)
        floors = [floor for floor, count in self._floors.items() if count]
        if floors:
            top_ks, longest = sorted({floor.top_k for floor in floors}), max(floor.window for floor in floors)
            fallen = self._certainties.fallen(rows, logits, top_ks, longest)
            self._fallen = fallen if any(floor.threshold > 0 for floor in floors) else None

    @property
    def shapes(self) -> bool:
        """Whether anything is to be done to this step's logits."""
        wanted = self._wanted["shaped"] or (self._has_first_tokens and self._wanted["first_shaped"])
        return self._rows is not None and (self._fallen is not None or bool(wanted))

    def shape(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits after what vLLM has no parameter for (see `WorkerPlugin.shape`), other rows bit for bit.

        They are `[num_rows, vocabulary]`, float32, before the temperature.
        """
        if not self.shapes:
            return logits
        assert self._rows is not None
        known, is_first = self._rows.known, self._rows.number == 0

        def now(name: str) -> torch.Tensor:
            return torch.where(is_first, known(f"first_{name}"), known(name)).float().unsqueeze(1)

        judged = self._reference.float() if self._on_reference and self._reference is not None else logits
        shaped = logits.masked_fill(self._filters(known, is_first, now("temperature")).weights(judged) == 0, -torch.inf)
        shaped = torch.where(now("shaped") > 0, shaped / now("relative"), logits)
        if self._fallen is not None:
            is_end = torch.arange(logits.shape[-1], device=logits.device) == known("end").unsqueeze(1)
            shaped = torch.where(self._fallen.unsqueeze(1), torch.where(is_end, 0.0, -torch.inf), shaped)
        return shaped

    def _filters(
        self, known: Callable[[str], torch.Tensor], is_first: torch.Tensor, temperature: torch.Tensor
    ) -> Filters:
        """Return the rows' filters. `top_k`, where it is not the reference's, is for a greedy draw behind the first."""

        def column(name: str) -> torch.Tensor | None:
            return known(name).float().unsqueeze(1) if self._wanted[name] else None

        top_k = known("top_k").long()
        top_k = (top_k if self._on_reference else torch.where(is_first, 0, top_k)).unsqueeze(1)
        first_top_k = torch.where(is_first, known("first_top_k").long(), 0).unsqueeze(1)
        return Filters(
            random=(),
            greedy=temperature == 0,
            temperature=torch.where(temperature == 0, 1.0, temperature),
            first_top_k=first_top_k if self._has_first_tokens and self._wanted["first_top_k"] else None,
            top_n_sigma=column("top_n_sigma"),
            min_p=column("min_p"),
            top_k=top_k if self._wanted["top_k"] else None,
            top_p=column("top_p"),
            largest_top_k=self._largest_top_k(),
            sorts_all=True,
        )

    def _largest_top_k(self) -> int:
        decodings = [request.decoding for request in self._admissions.requests.values()]
        starts = [one.first_token.top_k for one in decodings if one.first_token is not None]
        return max([*starts, *(one.top_k for one in decodings), 1], default=1)

    # --- figures

    def request_figures(self, num_tokens: Mapping[str, int]) -> dict[str, dict[str, float]]:
        """Return what was measured of requests as plain numbers, by the names they gave. Waits for the device.

        `num_tokens` says how many tokens each of them has. One that ended is forgotten then.
        """
        live = {self._admissions.requests[one].name: member for one, member in self._members.live.items()}
        members = self._members.ended | live
        names = [name for name in num_tokens if name in members]
        if not names:
            return {name: {} for name in num_tokens}
        lines = self._lines([members[name] for name in names], max(num_tokens.values())).tolist()
        figures: dict[str, dict[str, float]] = {name: {} for name in num_tokens}
        for name, line in zip(names, lines, strict=True):
            if self._core is not None:
                figures[name] |= DeviceCore.request_statistics(line[: len(MEMBER_FIGURES)])
            window = self._windows.get(members[name])
            figures[name] |= DeviceCertainties.figures(line[len(MEMBER_FIGURES) :], num_tokens[name], window)
            self._members.free(name)
        return figures

    def _lines(self, members: list[int], num_tokens: int) -> torch.Tensor:
        """Return what was measured of these members, on the device, one line each."""
        lines = self._members.table.sent(torch.tensor(members))
        measured_of = self._certainties.lines(lines, num_tokens)
        if self._core is None:
            return torch.cat([measured_of.new_zeros(len(members), len(MEMBER_FIGURES)), measured_of], dim=1)
        return torch.cat([self._core.member_figures().index_select(0, lines), measured_of], dim=1)

    def report(self) -> dict[str, Any] | None:
        """Return the plugin's figures and warnings as plain data; None where none runs. Waits for the device."""
        if self._core is None or self.settings is None:
            return None
        statistics = self._core.statistics()
        warnings = statistics.warnings(self.settings) + self._admissions.warnings()
        return {"name": "esamp", "figures": dict(statistics.to_dict()), "warnings": warnings}


def wants(known: Mapping[str, float]) -> list[str]:
    """Return the names of what a request wants done to its logits, given its line of the table."""
    neutral = {"top_p": 1.0}
    names = ("shaped", "first_shaped", "first_top_k", "top_n_sigma", "min_p", "top_k", "top_p")
    return [name for name in names if known[name] != neutral.get(name, 0.0)]
