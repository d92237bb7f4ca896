"""What a client asks for, read from the body of its request. What a recipe cannot do is refused by its name.

A parameter that says what is so anyway (`tools: []`, `logprobs: false`, the recipe's own temperature) is taken; one
that would change something which the recipe decides is refused, and so is one that nobody knows: nothing is ignored.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tts.errors import RecipeError, nearest, shown
from tts.problems.jsonl import BadRow, check_portable
from tts.protocols import SearchingSampler
from tts.recipe import Recipe, rebuild_recipe
from tts.server.refusal import RefusalError
from tts.types import Message

SAYS_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": (),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": (),
    "web_search_options": (),
}
"""Parameters that a recipe has no use for, and their values that ask for nothing."""
OF_RECIPE = ("temperature", "top_p", "top_k", "min_p", "stop")
"""Parameters that the recipe's sampler decides."""
OF_CALLER = ("user", "metadata", "safety_identifier", "prompt_cache_key")
"""Parameters that tell who asks; they are kept with the problem."""
READ = ("model", "messages", "n", "seed", "stream", "stream_options", "max_tokens", "max_completion_tokens", "tts")
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request understood. `num_candidates` and `max_tokens` are None where the recipe's own hold."""

    model: str
    messages: tuple[Message, ...]
    num_choices: int = 1
    num_candidates: int | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stream: bool = False
    with_usage: bool = False
    caller: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seed_name(self) -> str | None:
        """What seeds are made of: the same for the same messages and seed; None without a seed."""
        if self.seed is None:
            return None
        said = json.dumps([self.seed, [[one.role, one.content] for one in self.messages]])
        return hashlib.sha256(said.encode()).hexdigest()


def read(body: bytes, recipes: Mapping[str, Recipe]) -> Asked:
    """Return what a body asks for. Raises RefusalError."""
    try:
        told = json.loads(body, parse_constant=_no_number)
        if not isinstance(told, dict):
            raise ValueError(f"got {shown(told)}, which is no object")
        check_portable(told)
    except (ValueError, RecursionError, BadRow) as error:
        raise RefusalError(400, f"the body must be a JSON object: {error}") from error
    given = {name: value for name, value in told.items() if value is not None}
    name = given.get("model")
    if not isinstance(name, str) or name not in recipes:
        wanted = f"`model` must be one of {', '.join(recipes)}, got {shown(name)}"
        raise RefusalError(404, wanted, "model", "model_not_found")
    recipe = recipes[name]
    for parameter, value in given.items():
        _refuse_foreign(recipe, parameter, value)

    messages = _messages(given.get("messages"))
    num_candidates, extension = None, given.get("tts", {})
    if not isinstance(extension, dict):
        refuse("tts", extension, 'an object such as {"num_candidates": 8}')
    for key, value in extension.items():
        if key != "num_candidates":
            raise RefusalError(400, f"`tts.{key}` is unknown: there is `tts.num_candidates`", f"tts.{key}")
        num_candidates = _lower_candidates(recipe, value)
    most = num_candidates or recipe.sampler.num_candidates
    options = given.get("stream_options", {})
    if not isinstance(options, dict) or options.keys() - {"include_usage", "include_obfuscation"}:
        refuse("stream_options", options, 'an object such as {"include_usage": true}')
    return Asked(
        model=name,
        messages=messages,
        num_choices=_number(given, "n", 1, most, f", the candidates that `{name}` draws") or 1,
        num_candidates=num_candidates,
        max_tokens=_lower_tokens(recipe, given),
        seed=_number(given, "seed", -(2**63), 2**63 - 1),
        stream=_flag(given, "stream"),
        with_usage=_flag(options, "include_usage"),
        caller={key: given[key] for key in OF_CALLER if key in given},
    )


def refuse(parameter: str, value: object, wanted: str) -> NoReturn:
    """Raise the refusal of a parameter's value."""
    raise RefusalError(400, f"`{parameter}` must be {wanted}, got {shown(value)}", parameter)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _refuse_foreign(recipe: Recipe, parameter: str, value: Any) -> None:
    """Refuse a parameter that is not ours to read, unless it asks for nothing."""
    if parameter in SAYS_NOTHING:
        if not any(value == one and (type(value) is bool) == (type(one) is bool) for one in SAYS_NOTHING[parameter]):
            message = f"`{parameter}` is nothing that a recipe's answer can have, got {shown(value)}: leave it out"
            raise RefusalError(400, message, parameter, "unsupported_parameter")
    elif parameter in OF_RECIPE:
        own = getattr(recipe.sampler, parameter, None)
        own = list(own) if isinstance(own, tuple) else own
        if own is None or value != own:
            decides = "" if own is None else f", which says {shown(own)}"
            message = f"`{parameter}` is decided by the recipe{decides}; got {shown(value)}: leave it out"
            raise RefusalError(400, message, parameter, "unsupported_parameter")
    elif parameter not in (*READ, *OF_CALLER):
        near = nearest(parameter, (*READ, *OF_CALLER, *OF_RECIPE, *SAYS_NOTHING))
        raise RefusalError(400, f"`{parameter}` is unknown.{near} Leave it out", parameter, "unknown_parameter")


def _messages(told: Any) -> tuple[Message, ...]:
    if not isinstance(told, list) or not told:
        refuse("messages", told, "a list with at least one message")
    messages = []
    for place, one in enumerate(told):
        at = f"messages[{place}]"
        if not isinstance(one, dict):
            refuse(at, one, "an object with `role` and `content`")
        role = one.get("role")
        if not isinstance(role, str) or role not in ROLES:
            refuse(f"{at}.role", role, f"one of {', '.join(ROLES)}")
        for key, value in one.items():
            if key not in ("role", "content") and value not in (None, [], ""):
                message = f"`{at}.{key}` is nothing that a recipe reads, got {shown(value)}: leave it out"
                raise RefusalError(400, message, f"{at}.{key}", "unsupported_parameter")
        messages.append(Message(ROLES[role], _text(at, one.get("content"))))
    if messages[-1].role != "user":
        refuse(f"messages[{len(messages) - 1}].role", told[-1]["role"], "user: the last message is what is asked")
    if not messages[-1].content.strip():
        refuse(f"messages[{len(messages) - 1}].content", messages[-1].content, "a text that asks something")
    return tuple(messages)


def _text(at: str, content: Any) -> str:
    """Return a message's text, which may come in parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        refuse(f"{at}.content", content, "text")
    texts = []
    for place, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(part.get("text"), str):
            where = f"{at}.content[{place}]"
            message = f"`{where}` must be text: a recipe reads no {shown(kind) if kind else 'such part'}"
            raise RefusalError(400, message, where, "unsupported_parameter")
        texts.append(part["text"])
    return "".join(texts)


def _number(given: Mapping[str, Any], name: str, least: int, most: float, why: str = "") -> int | None:
    """Return a whole number among the parameters; None where it is not there."""
    value = given.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        upper = "" if most == math.inf else f" to {most}{why}"
        refuse(name, value, f"a whole number from {least}{upper or ' on'}")
    return value


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name)
    if value is not None and type(value) is not bool:
        refuse(name, value, "true or false")
    return bool(value)


def _lower_candidates(recipe: Recipe, value: Any) -> int | None:
    """Return how many candidates are wanted, if fewer than the recipe's. Raises RefusalError for more."""
    most = recipe.sampler.num_candidates
    number = _number({"tts.num_candidates": value}, "tts.num_candidates", 1, most, ", the recipe's")
    if number is None or number == most:
        return None
    try:
        rebuild_recipe(recipe.resolved(), [f"sampler.num_candidates={number}"], purpose="judge")
    except RecipeError as error:
        raise RefusalError(400, f"`tts.num_candidates`: {error}", "tts.num_candidates") from error
    return number


def _lower_tokens(recipe: Recipe, given: Mapping[str, Any]) -> int | None:
    """Return the most tokens of a candidate, if fewer than the recipe's."""
    asked = {name: _number(given, name, 1, math.inf) for name in ("max_tokens", "max_completion_tokens")}
    numbers = {name: value for name, value in asked.items() if value is not None}
    if not numbers:
        return None
    name = min(numbers, key=lambda one: numbers[one])
    sampler, value = recipe.sampler, numbers[name]
    if isinstance(sampler, SearchingSampler) and sampler.most_tokens != sampler.num_candidates * sampler.max_tokens:
        if value < sampler.most_tokens:  # what its `max_tokens` limits is a step, or a part of an answer
            refuse(name, value, f"left out, or at least {sampler.most_tokens}: the recipe's search divides its tokens")
        return None
    return value if value < sampler.max_tokens else None
