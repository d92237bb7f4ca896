"""Which requests there are, for a runner that runs ahead of its device, and which rows of a step are whose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from tts.plugins.esamp.device_core import NO_SLOT, DeviceRows
from tts.plugins.esamp.member_table import MemberTable

NUM_ENDS = 16
"""How many tokens that end a request the device knows. Rows behind others are learnt from as if they were read."""

NEVER = 2.0**52
ENDS = [f"end_{number}" for number in range(NUM_ENDS)]
WHOLE = {"prompt": 0.0, "slot": NO_SLOT, "cell": 0, "first": NEVER, "seed": 0, **dict.fromkeys(ENDS, -1)}
NEUTRAL: Mapping[str, float] = {
    **WHOLE,  # numbers that are compared and used as places
    "beta": 0,
    "shaped": 0,
    "first_shaped": 0,
    "temperature": 1,
    "first_temperature": 1,
    "relative": 1,
    "first_relative": 1,
    "first_top_k": 0,
    "top_n_sigma": 0,
    "min_p": 0,
    "top_k": 0,
    "top_p": 1,
    "end": -1,
    "judged_at": 1,
    "floor_threshold": 0,
    "floor_window": 0,
    "floor_top_k": 0,
}
"""What is known of a request, and what is so of nobody."""
COLUMN = {name: number for number, name in enumerate(NEUTRAL)}


class StepRows(NamedTuple):
    """The rows of a step on the device: what ESamp needs of them, how many tokens each request had before, and all that
    is known of it, each `[num_rows, …]`."""

    of_core: DeviceRows
    number: torch.Tensor
    lines: torch.Tensor

    def known(self, name: str) -> torch.Tensor:
        """Return one of the columns of NEUTRAL, float64."""
        return self.lines[:, COLUMN[name]]

    def first(self, num_rows: int) -> StepRows:
        """Return the first so many rows."""
        core = DeviceRows(*(one[:num_rows] for one in self.of_core))
        return StepRows(core, self.number[:num_rows], self.lines[:num_rows])


class Members:
    """Numbers requests so that what is known and measured of them outlives their index in vLLM's runner.

    A request keeps its member while it is preempted, and after it ended until `free` or until another needs it.
    `no_index` is an index behind the runner's, at which nobody sits.
    """

    def __init__(self, num_indices: int, device: torch.device) -> None:
        self.num_members = 4 * num_indices
        self.no_index = num_indices
        self.table = MemberTable(NEUTRAL, num_members=self.num_members, num_indices=num_indices + 1, device=device)
        self.live: dict[str, int] = {}  # by vLLM's id
        self.ended: dict[str, int] = {}  # by the name under which figures are asked for
        self._free = list(range(self.num_members))
        with torch.inference_mode(False):  # so that they can be changed in that mode and out of it
            self._seen = torch.full((self.num_members + 1,), -1, device=device)

    def enter(self, request_id: str) -> tuple[int, bool]:
        """Return a request's member, and whether it is new."""
        if request_id in self.live:
            return self.live[request_id], False
        if not self._free:
            self._free.append(self.ended.pop(next(iter(self.ended))))
        member = self.live[request_id] = self._free.pop()
        self._seen[member] = -1
        return member, True

    def leave(self, request_id: str, name: str) -> None:
        """Let a request end; what was measured of it can be asked for under `name`."""
        self.free(name)
        self.ended[name] = self.live.pop(request_id)

    def free(self, name: str) -> None:
        """Let another request have the member of one that ended; unknown ones are ignored."""
        if name in self.ended:
            self._free.append(self.ended.pop(name))

    def forget(self) -> None:
        """Forget all requests, as if new."""
        self._free += [*self.live.values(), *self.ended.values()]
        self.live.clear()
        self.ended.clear()
        self.table.forget()

    def rows(self, index: torch.Tensor, position: torch.Tensor, token: torch.Tensor, draws: torch.Tensor) -> StepRows:
        """Return the rows of a step, each argument `[num_rows]`: the runner's index of their requests, the position and
        the id of the token that each reads, and whether it draws one now.

        A row whose request has ended reads one of its end tokens; one that was there before drew what was thrown away
        when its request was preempted.
        """
        member = self.table.member_of.index_select(0, index)
        lines = self.table.lines.index_select(0, member)
        whole = lines[:, : len(WHOLE)].long()
        prompt, slot, cell, first, seed = whole[:, :5].unbind(1)
        ended = (whole[:, 5:] == token.unsqueeze(1)).any(1) & (position >= prompt)
        live = draws & ~ended
        seen = self._seen.index_select(0, member)
        new = live & (position > seen)
        self._seen.index_copy_(0, member, torch.where(new, position, seen))
        beta = lines[:, COLUMN["beta"]].float()
        rows = DeviceRows(member, position, live, new, slot, cell, beta, first, seed)
        return StepRows(rows, position - prompt + 1, lines)
