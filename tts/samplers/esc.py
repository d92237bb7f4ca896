"""Early-stopping self-consistency: draw windows until one is unanimous (Li et al. 2024, arXiv 2401.10480)."""

from __future__ import annotations

from typing import ClassVar

from tts.protocols import Calls
from tts.samplers.one_by_one import OneByOne
from tts.samplers.stopping import unanimous
from tts.types import Problem, Written


class ESC(OneByOne):
    """Draws windows of candidates until all of one window agree, at most `num_candidates`.

    A missing answer is no value: a window of failures stops nothing.
    """

    label: ClassVar[str] = "esc"

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Draw until a window is unanimous."""
        del problem
        seen: list[Written] = []
        async for drawn in self.drawn(calls):
            seen.append(drawn)
            if len(seen) % self.window == 0 and unanimous(await calls.classes(seen), self.window):
                break
