"""A generating engine as a reward engine: what all share that ask it about an answer.

How it works. Such an engine computes nothing: a `RewardRequest` becomes questions (`questions`), ordinary requests of
one token to the engine that is asked, and their replies become the rewards (`values`). The driver (`pipeline/driver`)
puts the questions into the queue of that engine, which it opens and steps as any other. So one engine may draw the
candidates and rate them, too: its batch holds both kinds of request, it is loaded once, and nobody steps it twice.
What is on record is the reward alone, charged to the place of the engine that asks; a crash loses questions on their
way, and no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator

from tts.components.slot import Slot
from tts.engines.reward.thinking import ReadsThinking
from tts.errors import CallError
from tts.protocols import Engine
from tts.tasks.prompt import filled
from tts.types import Completion, Decoding, Message, Piece, Request, RewardRequest


class Asking(ReadsThinking):
    """Asks how good an answer is, and reads the probabilities of what the model would say."""

    label: ClassVar[str]
    """What stands as the sampler of its questions."""

    engine: Annotated[Engine, Slot("engines", needs="ask_tokens")] | None = None
    """The model that is asked; left out: the recipe's own."""

    prompt: str
    """The question. `{problem}` is what was sent to draw the answer, `{answer}` what is rated."""

    system: str = ""
    """A system message before the question; empty: none."""

    prefill: str = ""
    """What the reply begins with, before the token that is read, such as an empty thinking section."""

    rates: Literal["each", "whole"] = "each"
    """each: a question for each step, about the answer so far, so that n steps take n questions. whole: one question
    about all that is there, whose value every step gets."""

    @model_validator(mode="after")
    def _prompt_asks(self) -> Self:
        for name in ("problem", "answer"):
            if f"{{{name}}}" not in self.prompt:
                raise ValueError(f"`prompt` must hold {{{name}}}, else it does not ask about this answer")
        return self

    def capabilities(self) -> frozenset[str]:
        """Return `rewards`."""
        return frozenset({"rewards"})

    @property
    def tokens(self) -> tuple[str, ...]:
        """What may be said: each must be one token."""
        raise NotImplementedError

    def words(self) -> Mapping[str, str]:
        """What else the prompt may name."""
        return {}

    def value(self, logprobs: Sequence[float]) -> float:
        """Return the reward, in [0, 1], given the log-probabilities of the `tokens`."""
        raise NotImplementedError

    def questions(self, request: RewardRequest) -> tuple[Request, ...]:
        """Return a request of one token for each step, or one for all."""
        steps = self.read(request.steps)
        ends = range(1, len(steps) + 1) if self.rates == "each" else [len(steps)] if steps else []
        problem = "\n\n".join(message.content for message in request.messages)
        words = self.words()
        before = (Message("system", self.system),) if self.system else ()
        return tuple(
            Request(
                problem_id=request.problem_id,
                key=f"{request.key}?{number}",
                messages=(
                    *before,
                    Message("user", filled(self.prompt, problem=problem, answer="".join(steps[:end]).strip(), **words)),
                ),
                decoding=Decoding(1, temperature=0.0, ask_tokens=self.tokens),
                seed=0,
                sampler=self.label,
                prefix=(Piece(self.prefill),) if self.prefill else (),
            )
            for number, end in enumerate(ends)
        )

    def values(self, request: RewardRequest, replies: Sequence[Completion]) -> tuple[float, ...]:
        """Return a value a step. Raises CallError where the engine could not tell a token's probability."""
        found = [self.value(self._told(reply)) for reply in replies]
        return tuple(found) if self.rates == "each" else tuple(found * len(request.steps))

    def _told(self, reply: Completion) -> list[float]:
        told = reply.asked_logprobs
        if told is None:
            raise CallError(f"the engine did not tell how likely {self.tokens} are: it ended by {reply.finish_reason}")
        unknown = [token for token, logprob in zip(self.tokens, told, strict=True) if logprob is None]
        if unknown:
            raise CallError(f"the engine could not tell how likely {unknown} are")
        return [logprob for logprob in told if logprob is not None]
