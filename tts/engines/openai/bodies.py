"""What is sent: a request of ours in the words of a server, as far as that is known to understand them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from tts.engines.asked import AskedIds
from tts.engines.openai.keys import OpenAIKeys
from tts.types import Decoding, Message, Request

CHAT, TEXT = "/chat/completions", "/completions"
CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}
"""How vLLM and SGLang go on with the last message. Each key alone does something else, and the first alone fails."""
STREAM_INTERVAL = 16
"""Tokens in a piece, where the server lets us choose: each piece costs this side about 50 µs."""
MOST_SEED = 2**31
UNGUIDED = {"esamp_beta": 0.0}
"""Told our plugin in a server, which would else guide every request as it was started to."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How this server wants to be asked, as was found when the engine was opened.

    `limit` is what it calls `max_tokens`; `filters` are those that it was seen to heed, and `repetition_penalty` where
    it takes that; `prefix` how it goes on from a text: by token `ids`, or as the last `message`; `asked` how it tells
    the log-probabilities of named tokens: by their `ids`, or among the `top`. `temperature` and `usage` say whether it
    takes a temperature, and the wish to be told of the usage at the end of a stream; `plugin` that ours is in it.
    """

    limit: str = "max_tokens"
    filters: frozenset[str] = frozenset()
    temperature: bool = True
    usage: bool = True
    prefix: str = ""
    asked: str = ""
    seed: bool = False
    n: bool = False
    logprobs: bool = False
    token_ids: bool = False
    stream_interval: bool = False
    plugin: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A request to a route."""

    path: str
    content: Mapping[str, Any] = field(default_factory=dict)


def body_of(
    keys: OpenAIKeys,
    manners: Manners,
    request: Request,
    *,
    num_choices: int = 1,
    prompt_ids: Sequence[int] | None = None,
    asked_ids: Sequence[AskedIds] = (),
) -> Body:
    """Return what asks for a request's completion; `prompt_ids` are the tokens to go on from, prompt and prefix."""
    decoding = request.decoding
    told = shared(keys, manners, decoding)
    if num_choices > 1:
        told["n"] = num_choices
    if manners.seed and num_choices == 1:
        told["seed"] = request.seed % MOST_SEED
    if keys.stream and manners.stream_interval:
        told["stream_interval"] = STREAM_INTERVAL
    xargs = dict(_values(manners, request))
    if xargs:
        told["vllm_xargs"] = xargs
    if prompt_ids is not None:
        told |= {"prompt": list(prompt_ids)}
    else:
        prefix = "".join(piece.text for piece in request.prefix)
        told |= asked_with(keys, request.messages, prefix)
    path = TEXT if "prompt" in told else CHAT
    told |= _logprobs(manners, path, decoding, asked_ids)
    return Body(path, told)


def shared(keys: OpenAIKeys, manners: Manners, decoding: Decoding) -> dict[str, Any]:
    """Return what both routes are told.

    Filters that keep everything are told, too, where the server heeds them: else it takes those that the model's own
    files recommend.
    """
    told = plain(keys, manners, decoding.max_tokens, decoding.temperature)
    wanted = {
        "top_p": decoding.top_p,
        "top_k": decoding.top_k or -1,
        "min_p": decoding.min_p,
        "repetition_penalty": 1.0,
    }
    told |= {name: value for name, value in wanted.items() if name in manners.filters and name not in told}
    if decoding.stop:
        told["stop"] = list(decoding.stop)
    if manners.token_ids:
        told["return_token_ids"] = True
    return told


def plain(keys: OpenAIKeys, manners: Manners, max_tokens: int, temperature: float) -> dict[str, Any]:
    """Return what every request holds."""
    told: dict[str, Any] = {**keys.extra_body, "model": keys.model, manners.limit: max_tokens}
    if manners.temperature:
        told["temperature"] = temperature
    if keys.stream:
        told["stream"] = True
        if manners.usage:
            told["stream_options"] = {"include_usage": True}
    return told


def text_of(messages: tuple[Message, ...]) -> str:
    """Return what the route of plain texts gets of messages."""
    return "\n\n".join(message.content for message in messages)


def asked_with(keys: OpenAIKeys, messages: tuple[Message, ...], prefix: str = "") -> dict[str, Any]:
    """Return what is asked: messages, of which the last may be a beginning to go on from, or a text."""
    if keys.route == "completions":
        return {"prompt": text_of(messages) + prefix}
    told: list[dict[str, str]] = [{"role": message.role, "content": message.content} for message in messages]
    if prefix and told[-1]["role"] == "assistant":
        told[-1]["content"] += prefix
    elif prefix:
        told.append({"role": "assistant", "content": prefix})
    continues = {} if told[-1]["role"] != "assistant" else CONTINUE
    return {"messages": told, **continues}


def _logprobs(manners: Manners, path: str, decoding: Decoding, asked_ids: Sequence[AskedIds]) -> dict[str, Any]:
    """Return what asks for log-probabilities. The routes spell it differently."""
    if asked_ids:
        wanted: dict[str, Any] = {"logprob_token_ids": list(chain(*asked_ids))}
        return wanted | ({"logprobs": True} if path == CHAT else {})
    if decoding.ask_tokens:
        return {"logprobs": True, "top_logprobs": 20} if path == CHAT else {"logprobs": 5}
    if not manners.logprobs:
        return {}
    return {"logprobs": True} if path == CHAT else {"logprobs": 0}


def _values(manners: Manners, request: Request) -> Mapping[str, Any]:
    """Return what our own plugin in vLLM's server reads of a request (`tts serve-args`)."""
    decoding, values = request.decoding, dict[str, Any](UNGUIDED if manners.plugin else {})
    if decoding.top_n_sigma:
        values["top_n_sigma"] = decoding.top_n_sigma
    if decoding.first_token is not None:
        values["first_token_temperature"] = decoding.first_token.temperature
        values["first_token_top_k"] = decoding.first_token.top_k
    if request.guidance is not None:
        values["esamp_beta"] = request.guidance.beta
        values["esamp_group"] = request.guidance.group
        values["esamp_group_size"] = request.guidance.group_size
    return values
