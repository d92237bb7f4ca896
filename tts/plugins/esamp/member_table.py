"""What a device knows of each request, in columns that the host writes when a request comes, and only then."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from tts.plugins.esamp.grid import sent


class MemberTable:
    """One line of numbers per member, float64, and who sits where.

    An engine's runner knows a request by an index that is another's as soon as the request has ended, or is preempted.
    So a request is a member here, for as long as anybody may ask about it, and `member_of` `[num_indices]` says whose
    rows those of an index are. The last member is nobody: its line is `neutral`. What is written goes to the device
    with `flush`, in two copies from pinned memory; a step to which nobody comes sends nothing.
    """

    def __init__(
        self, neutral: Mapping[str, float], *, num_members: int, num_indices: int, device: torch.device
    ) -> None:
        self._columns = {name: number for number, name in enumerate(neutral)}
        self._neutral, self._device = list(neutral.values()), device
        self.nobody = num_members
        with torch.inference_mode(False):  # so that they can be written in that mode and out of it
            line = torch.tensor(self._neutral, dtype=torch.float64, device=device)
            self.lines = line.expand(num_members + 1, -1).clone()
            self.member_of = torch.full((num_indices,), num_members, device=device)
        self._written: dict[int, list[float]] = {}
        self._moved: dict[int, int] = {}

    def write(self, member: int, values: Mapping[str, float]) -> None:
        """Set a member's line, all that is not in `values` to the neutral."""
        line = list(self._neutral)
        for name, value in values.items():
            line[self._columns[name]] = float(value)
        self._written[member] = line

    def seat(self, index: int, member: int | None) -> None:
        """Say whose rows those of an index are from now on; None: nobody's."""
        self._moved[index] = self.nobody if member is None else member

    def flush(self) -> None:
        """Send what was written, without waiting."""
        if self._written:
            members = self.sent(torch.tensor(list(self._written)))
            self.lines.index_copy_(
                0, members, self.sent(torch.tensor(list(self._written.values()), dtype=torch.float64))
            )
            self._written.clear()
        if self._moved:
            indices, members = self.sent(torch.tensor([list(self._moved), list(self._moved.values())])).unbind()
            self.member_of.index_copy_(0, indices, members)
            self._moved.clear()

    def forget(self) -> None:
        """Make every line the neutral one, and every index nobody's."""
        self._written.clear()
        self._moved.clear()
        self.lines.copy_(self.lines[-1].clone())
        self.member_of.fill_(self.nobody)

    def sent(self, tensor: torch.Tensor) -> torch.Tensor:
        """Send a tensor to the device, without waiting."""
        return sent(tensor, self._device)
