"""Rewards that take questions to another engine: what was asked for one of them, and what came so far."""

from __future__ import annotations

from collections.abc import Mapping

from tts.errors import CallError
from tts.protocols import AskingRewardEngine, Sized
from tts.types import Completion, Request, RewardRequest, Rewards

Name = tuple[str, str]
"""A call by its problem and key."""


def sizes(engines: Mapping[str, object]) -> dict[str, int]:
    """Return how many parameters of each engine one token passes through, where that is known, by its place.

    Of one that asks another it is that one's; what asks nobody in particular asks the first, which draws candidates.
    """
    policy, found = next(iter(engines.values())), dict[str, int]()
    for place, engine in engines.items():
        worker = engine.engine or policy if isinstance(engine, AskingRewardEngine) else engine
        if isinstance(worker, Sized) and worker.num_parameters is not None:
            found[place] = worker.num_parameters
    return found


class Asked:
    """One reward call on its way, in questions to the engine at `place`. `awaited` are those without a reply yet."""

    def __init__(self, asker: AskingRewardEngine, call: RewardRequest, place: str) -> None:
        self.call, self.place = call, place
        self.awaited: dict[Name, Request] = {(one.problem_id, one.key): one for one in asker.questions(call)}
        self.has_replies = False
        self._asker = asker
        self._replies: dict[Name, Completion | None] = dict.fromkeys(self.awaited)

    def hear(self, name: Name, reply: Completion) -> None:
        """Take the reply to a question."""
        del self.awaited[name]
        self._replies[name] = reply
        self.has_replies = True

    @property
    def rewards(self) -> Rewards:
        """What all replies together say, and what they took; an error where one failed or is missing."""
        replies = [reply for reply in self._replies.values() if reply is not None]
        error = next((reply.error for reply in replies if reply.error is not None), None)
        if error is None and len(replies) < len(self._replies):
            error = "it was given up"
        written = [reply.num_tokens for reply in replies]
        values: tuple[float, ...] = ()
        if error is None:
            try:
                values = self._asker.values(self.call, replies)
            except CallError as failed:
                error = str(failed)
        return Rewards(
            problem_id=self.call.problem_id,
            key=self.call.key,
            values=values,
            num_prompt_tokens=sum(reply.num_prompt_tokens for reply in replies),
            num_cached_tokens=sum(reply.num_cached_tokens for reply in replies),
            error=error,
            num_tokens=None if None in written else sum(one or 0 for one in written),
        )
