"""What runs inside vLLM's worker process: it guides, shapes and measures. It knows requests and rows, and no runner.

How it works. `Worker` (`worker.py`) puts a mix-in in front of the class of vLLM's model runner, which puts another in
front of its sampler's. The mix-in of either runner makes one `WorkerPlugin` when the model is loaded, before vLLM
measures how much memory is left, and then translates: which requests come and go, which rows of a step draw a token,
where their hidden states and logits are. All decisions are made here. The order:

1. `release` for requests that ended. vLLM says so one step late, so one that ended may have had one more row.
2. `admit` for each new request, before vLLM sees its parameters: what the request asks of us is read from `extra_args`,
   a copy of the parameters without the filters that are applied here goes on to vLLM, and the request joins its group
   in the ESamp core. Requests that vLLM preempted and brings back pass here once more, which changes nothing.
3. `begin` with the rows of a step that draw a token; rows in the middle of a prompt are none, and vLLM's warm-up and
   profiling runs never come here.
4. `mix` (if `guides`) turns these rows' h^L into what the head shall get; the runner writes that over h^L in place, so
   that vLLM's one projection yields the guided logits. Where the reference's logits are wanted (for filters on the
   reference, and for the KL on every `kl_every`-th step) h^L is projected once more here. With OverRIDE (`overrides`)
   nothing is mixed: `see` keeps h^L, `override` lowers the logits before anything looks at them, and `learn` gets the
   tokens that vLLM drew.
5. `measure` sees the raw logits of all rows: self-certainty, confidence, and KL(mixed ‖ reference).
6. `shape` applies what vLLM has no parameter for, before it divides by the temperature: top-nσ, a first token of its
   own, filters on the reference; and of a row whose confidence fell below its floor it leaves the end token alone, so
   that the scheduler ends it like any other. Then vLLM draws.

What holds:

- Rows are named by vLLM's request id; the core and the figures by the name that the request gave (`tts_id`), since the
  engine that asks for figures knows no other.
- A row that nobody guides or shapes goes through bit for bit.
- Nothing here raises because of a request: an exception would end the engine and every request in it. Wrong values are
  refused at admission (`validation`); one that gets past it is counted, reported, and runs unguided.
- No step reads a figure from the device, which would make the host wait: they are read when they are asked for, and
  otherwise once in many steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from tts.engines.confidence import measured
from tts.engines.filters import Filters
from tts.engines.vllm.admission import NOTHING, Admissions, Admitted
from tts.engines.vllm.certainty import Certainties
from tts.engines.vllm.options import WorkerOptions
from tts.plugins.esamp.core import ESampCore, StepRow
from tts.plugins.esamp.sharpness import measured_beside, with_entropy_of
from tts.plugins.override.core import OverrideCore


class Step(NamedTuple):
    """The rows of a decoding step that draw a token: their places among the logits, and what they are."""

    places: list[int]
    rows: list[StepRow]


class WorkerPlugin:
    """One per worker. The runner's mix-in tells it of requests, hands over the rows of each step, and its logits.

    `project` is the model's: it turns hidden states `[num_rows, hidden_size]` into logits. `drafts`: several tokens of
    a request are drawn in one step.
    """

    def __init__(
        self,
        options: WorkerOptions,
        project: Callable[[torch.Tensor], torch.Tensor],
        *,
        hidden_size: int,
        max_rows: int,
        device: torch.device,
        head: torch.Tensor | None,
        drafts: bool = False,
        vocabulary: int = 0,
    ) -> None:
        self.settings = options.esamp
        self._project, self._core = project, None
        if options.esamp is not None:
            self._core = ESampCore(options.esamp, hidden_size, max_rows, device=device, head=head)
        self._override: OverrideCore | None = None
        if options.override is not None:
            self._override = OverrideCore(options.override, hidden_size, vocabulary, max_rows, device)
        self._states: torch.Tensor | None = None
        self._on_reference = options.esamp is not None and options.esamp.filter == "reference"
        self._self_certainty = options.self_certainty
        self._certainties = Certainties(self_certainty=options.self_certainty)
        self._floor = measured(options.confidence_window)
        self._admissions = Admissions(on_reference=self._on_reference, drafts=drafts)
        self._requests = self._admissions.requests
        self._step = Step([], [])
        self._reference: torch.Tensor | None = None
        self._moved: torch.Tensor | None = None
        self._fallen: torch.Tensor | None = None
        self._num_steps = 0

    # --- requests

    def admit(self, request_id: str, params: Any) -> Any:
        """Take a request in; return the sampling parameters for vLLM, without the filters that are applied here.

        Doing so again for a request that was preempted changes nothing.
        """
        is_new = request_id not in self._requests
        request, params = self._admissions.admit(request_id, params)
        if self._core is not None:
            group, values = request.group(request_id), request.values
            size, beta = values.esamp_group_size, values.esamp_beta
            has_distiller = self._core.join(request.name, group, group_size=size, beta=beta, seed=request.seed)
            if not has_distiller and is_new and self.settings is not None:
                self._admissions.tell_unguided(group, self.settings.num_distillers)
        values = request.values
        if self._override is not None and values.esamp_group is not None:
            size = values.esamp_group_size
            self._override.join(request.name, values.esamp_group, group_size=size, beta=values.esamp_beta)
        return params

    def release(self, request_ids: Iterable[str]) -> None:
        """Let go of requests that ended; unknown ones are ignored."""
        for request_id in request_ids:
            admitted = self._requests.pop(request_id, None)
            if admitted is not None:
                self._certainties.release(admitted.name)
                if self._core is not None:
                    self._core.leave(admitted.name)
                if self._override is not None:
                    self._override.leave(admitted.name)

    def forget(self) -> None:
        """Forget every request so far, and all that was learnt and measured of them: these were vLLM's own."""
        self.release(list(self._requests))
        self._certainties = Certainties(self_certainty=self._self_certainty)
        self._num_steps = 0
        self._admissions.forget()
        if self._core is not None:
            self._core.forget()
        if self._override is not None:
            self._override.forget()

    # --- one step

    def begin(self, step: Step) -> None:
        """Take the rows of a step."""
        self._step, self._reference, self._fallen, self._states = step, None, None, None

    @property
    def guides(self) -> bool:
        """Whether the hidden states of this step are wanted."""
        return self._core is not None and bool(self._step.rows)

    def mix(self, h_first: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
        """Return what the head shall get for the step's rows instead of `h_last`, all `[num_rows, d]`."""
        assert self._core is not None
        assert self.settings is not None
        self._num_steps += 1
        kl_every = self.settings.kl_every
        named = [row._replace(request_id=self._requests[row.request_id].name) for row in self._step.rows]
        mixed = self._core.step(named, h_first, h_last)
        always = self._on_reference or self.settings.keep_entropy or self._core.measures_strength
        if always or (kl_every and self._num_steps % kl_every == 0):
            self._reference = self._project(h_last)
        if self.settings.keep_entropy:
            self._moved = (mixed != h_last).any(-1, keepdim=True)
        return mixed

    @property
    def overrides(self) -> bool:
        """Whether OverRIDE wants the hidden states of this step."""
        return self._override is not None and bool(self._step.rows)

    def see(self, h_last: torch.Tensor) -> None:
        """Take what the head gets for the step's rows, `[num_rows, d]`."""
        self._states = h_last

    def override(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits of all rows `[num_places, vocabulary]` lowered by what OverRIDE's heads add."""
        if self._override is None or self._states is None:
            return logits
        places = self._places(logits.device)
        names = [request.name for request, _ in self._rows()]
        return logits.index_copy(0, places, self._override.fuse(names, self._states, logits[places]))

    def learn(self, tokens: torch.Tensor) -> None:
        """Let OverRIDE's heads learn from what was drawn, `[num_places, 1]`."""
        if self._override is not None and self._states is not None:
            self._override.learn(tokens[self._places(tokens.device), 0])

    def measure(self, logits: torch.Tensor) -> None:
        """Look at the raw logits of all rows `[num_places, vocabulary]`, before anything shapes them.

        With `keep_entropy` guided rows first become as sharp as the model's own, in place.
        """
        floors = [request.decoding.floor or self._floor for request, _ in self._rows()]
        has_floors = any(floor is not None for floor in floors)
        if not floors or not (self._self_certainty or has_floors or self._reference is not None):
            return
        rows = logits[self._places(logits.device)].float()
        if self._reference is not None and self._core is not None:
            judged_at = [request.judged_at for request, _ in self._rows()]
            temperature = torch.tensor(judged_at, device=logits.device).unsqueeze(1)
            self._core.measure_strength(rows, self._reference)
            if self._moved is not None:
                rows = with_entropy_of(self._reference, rows, temperature, self._moved)
                logits[self._places(logits.device)] = rows.to(logits.dtype)
            self._core.record(measured_beside(rows, self._reference, temperature))
        names = [request.name for request, _ in self._rows()]
        if has_floors:
            numbers = [number for _, number in self._rows()]
            self._fallen = self._certainties.add(names, rows, floors, numbers)
        elif self._self_certainty:
            self._certainties.add(names, rows)

    @property
    def shapes(self) -> bool:
        """Whether anything is to be done to this step's logits."""
        return self._fallen is not None or any(self._wants(request, n) for request, n in self._rows())

    def _wants(self, request: Admitted, num_generated: int) -> bool:
        kept, relative = request.kept(num_generated), request.relative_temperature(num_generated)
        return self._on_reference or kept != NOTHING or relative != 1

    def shape(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits after what vLLM has no parameter for: top-nσ, another first token, filters on the reference,
        and the end of rows that fell below their floor.

        They are `[num_places, vocabulary]`, float32, before the temperature, and are changed in place.
        """
        if not self.shapes:
            return logits
        places = self._places(logits.device)
        shaped = logits[places]
        judged = self._reference.float() if self._on_reference and self._reference is not None else shaped
        kept = [request.now(n) if self._on_reference else request.kept(n) for request, n in self._rows()]
        shaped = shaped.masked_fill(Filters.of(kept, logits.device).weights(judged) == 0, -torch.inf)
        temperatures = [request.relative_temperature(n) for request, n in self._rows()]
        shaped = shaped / torch.tensor(temperatures, device=logits.device).unsqueeze(1)
        wanted = torch.tensor([self._wants(request, n) for request, n in self._rows()], device=logits.device)
        shaped = torch.where(wanted.unsqueeze(1), shaped, logits[places])
        if self._fallen is not None:
            ends = torch.tensor([request.end_id for request, _ in self._rows()], device=logits.device).unsqueeze(1)
            is_end = torch.arange(logits.shape[-1], device=logits.device) == ends
            shaped = torch.where(self._fallen.unsqueeze(1), torch.where(is_end, 0.0, -torch.inf), shaped)
        logits[places] = shaped
        return logits

    def _rows(self) -> Iterator[tuple[Admitted, int]]:
        """Yield the request of each row, and how many tokens it had before."""
        rows = self._step.rows
        return ((self._requests[row.request_id], row.position - row.num_prompt_tokens + 1) for row in rows)

    def _places(self, device: torch.device) -> torch.Tensor:
        return torch.tensor(self._step.places, device=device, dtype=torch.long)

    # --- figures

    def request_figures(self, num_tokens: Mapping[str, int]) -> dict[str, dict[str, float]]:
        """Return what was measured of requests as plain numbers, by the names they gave. Waits for the device.

        `num_tokens` says how many tokens each of them has.
        """
        return {
            name: ({} if self._core is None else self._core.request_statistics(name))
            | self._certainties.take(name, number)
            for name, number in num_tokens.items()
        }

    def report(self) -> dict[str, Any] | None:
        """Return the plugin's name, figures and warnings as plain data; None where none runs."""
        if self._override is not None:
            return {
                "name": "override",
                "figures": self._override.statistics(),
                "warnings": self._override.warnings() + self._admissions.warnings(),
            }
        if self._core is None or self.settings is None:
            return None
        statistics = self._core.statistics()
        warnings = statistics.warnings(self.settings) + self._admissions.warnings()
        return {"name": "esamp", "figures": dict(statistics.to_dict()), "warnings": warnings}
