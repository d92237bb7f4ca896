"""Reward models in this process, by the transformers library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field, PrivateAttr

from tts.engines.memory import advice
from tts.engines.reward.formats import Read, Reading, reader
from tts.engines.reward.keys import RewardModelKeys
from tts.errors import EngineError
from tts.models.locate import locate
from tts.models.parameters import active_parameters
from tts.models.pretrained import require_packages, resolve, share_cores
from tts.types import RewardRequest, Rewards

if TYPE_CHECKING:
    from tts.engines.reward.heads import RewardNet


class _Session(NamedTuple):
    read: Read
    net: RewardNet
    num_parameters: int | None


class TransformersReward(RewardModelKeys):
    """Runs outcome and process reward models, on a CPU or a GPU. Nothing is cached between requests."""

    circumstances: ClassVar[frozenset[str]] = frozenset({"batch_size", "device"})

    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto (a GPU if there is one), cpu, mps, cuda or cuda:N."""

    _session: _Session | None = PrivateAttr(default=None)
    _waiting: dict[tuple[str, str], RewardRequest] = PrivateAttr(default_factory=dict)
    _ended: list[Rewards] = PrivateAttr(default_factory=list)

    def check(self) -> None:
        """Raise MissingExtraError or EngineError where a package or the model's file is not there."""
        require_packages(gguf=str(locate(self.model)).endswith(".gguf"))

    def open(self) -> None:
        """Load model and tokenizer. Raises EngineError where the model does not suit its format."""
        require_packages(gguf=False)
        share_cores()
        from tts.engines.reward.heads import load
        from tts.engines.transformers.loading import load_configuration

        source = resolve(self.model)
        prompts = self._prompts_of(self.chat_template_kwargs, source)
        padding = load_configuration(source).get_text_config(decoder=True).pad_token_id
        read = reader(self, prompts, padding)  # before the weights: what the tokenizer lacks is found in a moment
        net = load(self, source, prompts, self.device)
        self._session = _Session(read, net, active_parameters(net.body))

    def close(self) -> None:
        """Free the model."""
        self._session = self._prompts = None
        self._waiting.clear()
        self._ended.clear()

    @property
    def num_parameters(self) -> int | None:
        """How many parameters one token passes through, the few of the head left out; None while it is closed."""
        return None if self._session is None else self._session.num_parameters

    @property
    def num_free(self) -> int:
        """How many more requests fill the batch."""
        return max(0, self.batch_size - len(self._waiting))

    def add(self, request: RewardRequest) -> None:
        """Take one request; one that cannot be read comes back from `step` with an `error`."""
        self._waiting[request.problem_id, request.key] = request

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request that was not read yet."""
        if self._waiting.pop((problem_id, key), None) is not None:
            self._ended.append(Rewards(problem_id, key, (), 0, error="it was cancelled"))

    def step(self, patience_seconds: float = 0.1) -> list[Rewards]:
        """Read the texts of `batch_size` requests; return their rewards. Nothing is waited for."""
        del patience_seconds
        if self._session is None:
            raise EngineError("the engine must be open; call `open()` first")
        ended, self._ended = self._ended, []
        taken = [self._waiting.pop(name) for name in list(self._waiting)[: self.batch_size]]
        asked: list[tuple[RewardRequest, list[Reading]]] = []
        for request in taken:
            try:
                asked.append((request, self._readings(self._session, request)))
            except EngineError as error:
                ended.append(Rewards(request.problem_id, request.key, (), 0, error=str(error)))
        values = iter(self._values(self._session.net, [reading for _, readings in asked for reading in readings]))
        for request, readings in asked:
            found = tuple(value for _ in readings for value in next(values))
            told = None if all(map(math.isfinite, found)) else "the model's head gave no numbers; try `dtype: float32`"
            num_read = sum(len(reading.token_ids) for reading in readings)
            ended.append(Rewards(request.problem_id, request.key, () if told else found, num_read, error=told))
        return ended

    def _readings(self, session: _Session, request: RewardRequest) -> list[Reading]:
        steps = self.read(request.steps)
        readings = session.read(request.messages, steps) if steps else []
        longest = max((len(reading.token_ids) for reading in readings), default=0)
        if longest > session.net.context:
            raise EngineError(f"the text must have at most {session.net.context} tokens, got {longest}")
        return readings

    def _values(self, net: RewardNet, readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        """Return the values of each reading, read in batches of about one length."""
        found: dict[int, tuple[float, ...]] = {}
        by_length = sorted(range(len(readings)), key=lambda number: len(readings[number].token_ids))
        for begin in range(0, len(by_length), self.batch_size):
            batch = by_length[begin : begin + self.batch_size]
            try:
                found |= zip(batch, net.values([readings[number] for number in batch]), strict=True)
            except RuntimeError as error:  # torch's class for everything, out of memory included
                raise EngineError(f"the model cannot go on: {error}{advice(error)}") from error
        return [found[number] for number in range(len(readings))]
