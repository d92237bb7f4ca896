"""Reward models behind a URL, by the route `/pooling` of vLLM's server."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import PrivateAttr

from tts.engines.openai.keys import RewardServerKeys
from tts.engines.openai.rating import Session
from tts.errors import EngineError
from tts.types import RewardRequest, Rewards, Spent


class OpenAIReward(RewardServerKeys):
    """Asks a reward model on vLLM's server, started as `vllm serve MODEL --runner pooling` (docs/servers.md).

    Texts are split into tokens by the server, so nothing of the model must be here. When the engine is opened, it is
    seen whether the route answers, with as many numbers as the format has, and whether these are the head's own.
    """

    _session: Session | None = PrivateAttr(default=None)
    _may: Callable[[str, str], bool] | None = PrivateAttr(default=None)

    def found(self) -> Mapping[str, str]:
        """Return what was seen of the route; empty while it is closed."""
        return {} if self._session is None else {"rewards": self._session.told}

    @property
    def opening(self) -> Spent:
        """What opening took; while it is closed, what it takes at most."""
        return Spent(1, 1_000 * len(self.base_urls), 0) if self._session is None else self._session.opening

    def ask_before_sending_again(self, may: Callable[[str, str], bool]) -> None:
        """Ask `may` before a call that may have cost something is sent anew."""
        self._may = may

    def open(self) -> None:
        """See whether the server rates. Raises EngineError where it does not, or otherwise than the format says."""
        self.check()
        self.close()
        session = Session(self, self._may)
        try:
            session.probe()
        except BaseException:
            session.end()
            raise
        self._session = session

    def close(self) -> None:
        """Cancel what is on its way and close the connections."""
        session, self._session = self._session, None
        if session is not None:
            session.end()

    @property
    def num_free(self) -> int:
        """How many more requests may be on their way."""
        return max(0, self.max_concurrency - self._opened.num_flying)

    def add(self, request: RewardRequest) -> None:
        """Take one request; one that cannot be served comes back from `step` with an `error`."""
        self._opened.add(request)

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request."""
        self._opened.cancel(problem_id, key)

    def step(self, patience_seconds: float = 0.1) -> list[Rewards]:
        """Return what came, and wait for the first at most that long. Raises EngineError where no request can go on."""
        return self._opened.step(patience_seconds)

    def forget(self, problem_id: str) -> None:
        """Let go of what was kept for a problem."""
        self._opened.forget(problem_id)

    @property
    def _opened(self) -> Session:
        if self._session is None:
            raise EngineError("the engine must be open; call `open()` first")
        return self._session
