"""The recipe keys of the engines that ask a server."""

from __future__ import annotations

import os
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from tts.components.component import Component
from tts.engines.local_model import Tag
from tts.engines.reward.keys import FormatKeys
from tts.errors import EngineError, MissingExtraError
from tts.types import Prices

Sent = str | int | float | bool | dict[str, Any] | list[Any] | None
OURS = frozenset({"model", "messages", "prompt", "n", "seed", "stream", "stream_options", "max_tokens", "temperature"})
"""Parameters of a request that this engine decides."""


class ServerKeys(Component):
    """Says where servers are, and how long they are waited for."""

    base_url: str | Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    """Where the server is, such as `https://api.openai.com/v1` or `http://localhost:8000/v1`; or a list of servers of
    the same model. A problem stays on one of them."""

    model: str = Field(min_length=1)
    """The model's name, as the server calls it."""

    api_key_env: str | None = Field(default=None, min_length=1)
    """The environment variable that holds the key, such as OPENAI_API_KEY; null: none is sent. The key itself never
    stands in a recipe or a record."""

    max_concurrency: int = Field(default=64, ge=1)
    """The most requests on their way together, all servers taken together."""

    silence_seconds: float = Field(default=300.0, gt=0)
    """How long a server may say nothing, before its first word or after, until the request is sent anew. An answer
    that does not come as a stream is its first word."""

    timeout_seconds: float | None = Field(default=None, gt=0)
    """How long one answer may take in all; null: as long as it speaks."""

    max_tries: int = Field(default=6, ge=1)
    """How often a request is sent at most where the server is busy or breaks off."""

    price_read: float | None = Field(default=None, ge=0)
    """What a million tokens of prompts cost, for `--cost-budget`."""

    price_cached: float | None = Field(default=None, ge=0)
    """What a million of those cost that the server has in its cache; null: as much as others."""

    circumstances: ClassVar[frozenset[str]] = frozenset(
        {
            "api_key_env",
            "base_url",
            "max_concurrency",
            "max_tries",
            "price_cached",
            "price_read",
            "silence_seconds",
            "timeout_seconds",
        }
    )

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for url in (value,) if isinstance(value, str) else value:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ValueError(f"must be an address such as http://localhost:8000/v1, got {url!r}")
            if parts.username or parts.password:
                raise ValueError("must not hold a user or password: name a variable in `api_key_env`")
        return value

    @model_validator(mode="after")
    def _servers_fit(self) -> Self:
        if len(set(self.base_urls)) < len(self.base_urls):
            raise ValueError("`base_url` must name each server once")
        if self.price_cached is not None and self.price_read is None:
            raise ValueError("`price_cached` must go with `price_read`")
        return self

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The servers' addresses, without a slash at the end."""
        urls = (self.base_url,) if isinstance(self.base_url, str) else self.base_url
        return tuple(url.rstrip("/") for url in urls)

    def check(self) -> None:
        """Raise MissingExtraError or EngineError where the client, or the key, is not there."""
        try:
            import httpx2  # noqa: F401 - only whether it is there
        except ImportError as error:
            raise MissingExtraError("httpx2", "openai", "an engine that asks a server") from error
        self.key()

    def key(self) -> str | None:
        """Return the key. Raises EngineError where the variable that should hold it is not set."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise EngineError(f"the environment variable {self.api_key_env} must hold the server's key: it is not set")
        return key

    def _prices(self, written: float | None) -> Prices | None:
        if self.price_read is None or written is None:
            return None
        cached = self.price_read if self.price_cached is None else self.price_cached
        return Prices(read=self.price_read, cached=cached, written=written)


class OpenAIKeys(ServerKeys):
    """Says how a model that writes is asked."""

    route: Literal["chat", "completions"] = "chat"
    """chat: the server renders the messages by its chat template. completions: it gets their contents as plain text,
    for models without one."""

    stream: bool = True
    """Whether answers come piece by piece, so that a silent server is noticed, and a cancelled answer is kept as far as
    it got."""

    choices_per_request: int = Field(default=1, ge=1, le=128)
    """How many of a problem's candidates one request asks for, for servers that take money for the prompt of each
    request. Above 1 candidates have no seed of their own."""

    extra_body: dict[str, Sent] = Field(default_factory=dict)
    """Further parameters of every request, as they are, such as `reasoning_effort: high` or
    `chat_template_kwargs: {enable_thinking: false}`."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] | None = ("<think>", "</think>")
    """What opens and closes a thinking section where the server leaves it in the text. null: it never does."""

    record_token_logprobs: bool = False
    """Whether candidates list the log-probability of every token."""

    price_written: float | None = Field(default=None, ge=0)
    """What a million written tokens cost, thinking included."""

    circumstances: ClassVar[frozenset[str]] = ServerKeys.circumstances | {"price_written", "stream"}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        taken = sorted(OURS & self.extra_body.keys())
        if taken:
            raise ValueError(f"`extra_body` must leave {', '.join(taken)} to the sampler and the other keys")
        if (self.price_read is None) != (self.price_written is None):
            raise ValueError("`price_read` and `price_written` must be given together")
        return self

    @property
    def prices(self) -> Prices | None:
        """What tokens cost, as far as the recipe says."""
        return self._prices(self.price_written)


class RewardServerKeys(ServerKeys, FormatKeys):
    """Says how a reward model is asked."""

    pad_token: str | None = Field(default=None, min_length=1)
    """The token that pads this model's texts, where its conversations end with that: an outcome is read before it, as
    its authors do. null: an outcome is read at the last token."""

    @model_validator(mode="after")
    def _known_to_vllm(self) -> Self:
        if self.format == "skywork_prm":
            raise ValueError("`format` must be one that vLLM can run, got skywork_prm: use `transformers_reward`")
        if self.pad_token is not None and self.format != "outcome":
            raise ValueError(f"`pad_token` must be left out with `format: {self.format}`, where it means nothing")
        return self

    @property
    def prices(self) -> Prices | None:
        """What tokens cost, as far as the recipe says; a reward model writes none."""
        return self._prices(0.0)
