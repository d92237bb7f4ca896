"""Texts as the server's own tokens, by vLLM's routes beside OpenAI's; what was asked once is kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tts.engines.openai.answer import BrokenAnswerError
from tts.engines.openai.bodies import CONTINUE
from tts.engines.openai.client import AgainError, Client, RefusedError, Server
from tts.errors import EngineError
from tts.types import Message

TOKENIZE, DETOKENIZE = "/tokenize", "/detokenize"
MOST_KEPT = 1_000
"""How many texts' tokens are kept."""


@dataclass(slots=True)
class _Told:
    """The field of a reply that was asked for."""

    field: str
    kind: type
    value: Any = None

    def take(self, event: Any) -> None:
        """Take the reply. Raises BrokenAnswerError."""
        self.value = event.get(self.field) if isinstance(event, Mapping) else None
        if not isinstance(self.value, self.kind):
            raise BrokenAnswerError(f"the server's answer must hold `{self.field}`, and has another form", 400)
        if isinstance(self.value, list) and any(type(one) is not int for one in self.value):
            raise BrokenAnswerError(f"the server's `{self.field}` must be numbers, and are something else", 400)

    @property
    def is_whole(self) -> bool:
        """Whether it came."""
        return self.value is not None


class Tokens:
    """Asks for the tokens of texts. `template_arguments` go to the model's chat template."""

    def __init__(self, client: Client, template_arguments: Mapping[str, Any]) -> None:
        self._client = client
        self._how = {"chat_template_kwargs": dict(template_arguments)} if template_arguments else {}
        self._kept: OrderedDict[tuple[Any, ...], tuple[int, ...]] = OrderedDict()

    async def prompt(self, pick: Callable[[], Server], messages: tuple[Message, ...]) -> tuple[int, ...]:
        """Return the tokens of a prompt; a last message by the assistant is a beginning to go on from."""
        continues = bool(messages) and messages[-1].role == "assistant"
        return await self._chat(pick, messages, CONTINUE if continues else {})

    async def conversation(self, pick: Callable[[], Server], messages: tuple[Message, ...]) -> tuple[int, ...]:
        """Return the tokens of a conversation, of which nothing is to be continued."""
        return await self._chat(pick, messages, {"add_generation_prompt": False})

    async def text(self, pick: Callable[[], Server], text: str, *, whole: bool = False) -> tuple[int, ...]:
        """Return the tokens of a piece of text, or of a `whole` one, before which the tokenizer puts what it does."""
        if not text and not whole:
            return ()
        return await self._ask(pick, (text, whole), {"prompt": text, "add_special_tokens": whole})

    async def token(self, pick: Callable[[], Server], text: str, key: str) -> int:
        """Return the one token that a text is. Raises RefusedError where it is none or several."""
        ids = await self.text(pick, text)
        if len(ids) != 1:
            raise RefusedError(f"`{key}` must be one token of this model each, got {text!r}, which is {len(ids)}")
        return ids[0]

    async def decoded(self, pick: Callable[[], Server], ids: tuple[int, ...]) -> str:
        """Return the text that tokens are, special ones included."""
        body = {"model": self._client.keys.model, "tokens": list(ids)}
        told = await self._client.ask(pick, DETOKENIZE, body, lambda: _Told("prompt", str))
        return str(told.value)

    async def _chat(
        self, pick: Callable[[], Server], messages: tuple[Message, ...], how: Mapping[str, Any]
    ) -> tuple[int, ...]:
        told = [{"role": message.role, "content": message.content} for message in messages]
        return await self._ask(pick, (messages, *how), {"messages": told, **self._how, **how})

    async def _ask(self, pick: Callable[[], Server], name: tuple[Any, ...], what: Mapping[str, Any]) -> tuple[int, ...]:
        if name not in self._kept:
            body = {"model": self._client.keys.model, **what}
            told = await self._client.ask(pick, TOKENIZE, body, lambda: _Told("tokens", list))
            self._kept[name] = tuple(told.value)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return self._kept[name]


async def tokenized(client: Client, server: Server, **what: Any) -> list[int] | None:
    """Return a text's token ids, asked once; None where the server has no such route, or what it says is none."""
    told = _Told("tokens", list)
    try:
        await client.attempt(server, TOKENIZE, {"model": client.keys.model, **what}, told)
    except (AgainError, RefusedError, EngineError):
        return None
    return list(told.value)
