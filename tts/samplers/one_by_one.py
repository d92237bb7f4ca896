"""Candidates that are looked at one after the other and drawn some ahead: what adaptive samplers share."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from pydantic import Field

from tts.errors import CallError
from tts.protocols import Calls, Pending
from tts.samplers.searching import SearchKeys
from tts.types import Completion, Decoding, Written


class OneByOne(SearchKeys):
    """Draws whole candidates, `window` at a time ahead of the decision; what is not needed then is cancelled."""

    num_candidates: int = Field(default=40, ge=1)
    """The most candidates that are drawn for each problem."""

    window: int = Field(default=8, ge=1)
    """How many candidates are drawn ahead of the decision."""

    async def drawn(self, calls: Calls) -> AsyncIterator[Written]:
        """Hand in and yield one candidate after the other; () for one that did not end by itself."""
        async for completion in self.completions(calls, self.decoding(), range(self.num_candidates), self.window):
            yield answer_of(completion)

    async def completions(
        self, calls: Calls, decoding: Decoding, indices: range, window: int
    ) -> AsyncIterator[Completion | None]:
        """Hand in and yield the candidates of these indices, one after the other; None for one that failed."""
        ahead: deque[Pending[Completion]] = deque()
        for index in indices:
            while len(ahead) < window and index + len(ahead) < indices.stop:
                ahead.append(calls.generate(decoding))
            try:
                completion = await ahead.popleft()
            except CallError as error:
                calls.emit(index, (), "error", error=str(error))
                yield None
                continue
            calls.emit(index, (completion.piece,), completion.finish_reason)
            yield completion


def answer_of(completion: Completion | None) -> Written:
    """Return what a completion says to the vote: nothing where it failed or did not end by itself."""
    return (completion.piece,) if completion is not None and completion.finish_reason == "stop" else ()
