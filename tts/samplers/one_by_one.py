"""Candidates that are looked at one after the other and drawn some ahead: what adaptive samplers share."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from pydantic import Field

from tts.errors import CallError
from tts.protocols import Calls, Pending
from tts.samplers.searching import SearchKeys
from tts.types import Completion, Written


class OneByOne(SearchKeys):
    """Draws whole candidates, `window` at a time ahead of the decision; what is not needed then is cancelled."""

    num_candidates: int = Field(default=40, ge=1)
    """The most candidates that are drawn for each problem."""

    window: int = Field(default=8, ge=1)
    """How many candidates are drawn ahead of the decision."""

    async def drawn(self, calls: Calls) -> AsyncIterator[Written]:
        """Hand in and yield one candidate after the other; () for one that did not end by itself."""
        ahead: deque[Pending[Completion]] = deque()
        for index in range(self.num_candidates):
            while len(ahead) < self.window and index + len(ahead) < self.num_candidates:
                ahead.append(calls.generate(self.decoding()))
            try:
                completion = await ahead.popleft()
            except CallError as error:
                calls.emit(index, (), "error", error=str(error))
                yield ()
                continue
            calls.emit(index, (completion.piece,), completion.finish_reason)
            yield (completion.piece,) if completion.finish_reason == "stop" else ()
