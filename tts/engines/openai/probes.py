"""What a server can do, found by seeing it act: a few calls of a few tokens, once, when the engine is opened.

That a server accepts a parameter proves nothing: many ignore what they don't know without a word. So each is sent where
heeding it must show. Draws at the highest temperature differ; with a filter that keeps one token they must not, and
with the same seed they must not. Of stop strings the server must say which one it was; a text to go on from must make
the prompt longer by less than a turn of its own would. And because a server without our plugin takes its keys and does
nothing, it is told a wrong value, which only the plugin refuses.

What is not seen is not claimed, and the sentence that says why goes into the run, and into the refusal of a recipe that
needs it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tts.engines.openai.answer import Answer, Choice
from tts.engines.openai.bodies import CHAT, CONTINUE, TEXT, UNGUIDED, Manners, asked_with, plain
from tts.engines.openai.client import Client, RefusedError, Server
from tts.engines.openai.keys import OpenAIKeys
from tts.engines.openai.tokens import tokenized
from tts.errors import EngineError
from tts.types import Message

HOTTEST = (2.0, 1.0)
"""The highest temperatures that servers take."""
NUM_DRAWS, DRAW_TOKENS = 3, 10
QUESTION = (Message("user", "Name one random animal, colour and city."),)
BEGUN = "My three words are these:"
ROUNDING = 0.1
"""How far a log-probability may be off where the same is computed in another batch."""
MOST_READ, MOST_WRITTEN = 5_000, 600
"""What all calls together read and write at most, by far."""
MAY_BE = frozenset(
    {
        "ask_tokens",
        "first_token",
        "logprobs",
        "min_p",
        "prefix",
        "seeds",
        "stop_strings",
        "top_k",
        "top_n_sigma",
        "top_p",
        "esamp",
    }
)
"""What some server can do."""


@dataclass(slots=True)
class Found:
    """What was found out of a server: how to ask it, what it can do, and a sentence on each thing that was tried."""

    manners: Manners = field(default_factory=Manners)
    capabilities: frozenset[str] = frozenset()
    told: dict[str, str] = field(default_factory=dict)
    num_read: int = 0
    num_written: int = 0

    def note(self, capability: str, *, seen: bool, told: str) -> bool:
        """Note what was seen."""
        self.told[capability] = told
        if seen:
            self.capabilities |= {capability}
        return seen


def common(found: Sequence[Found]) -> Found:
    """Return what several servers can do alike. Raises EngineError where they want to be asked differently."""
    first = found[0]
    for other in found[1:]:
        if other.manners != first.manners:
            raise EngineError(
                "the servers of `base_url` must behave alike, so that it does not matter which one is asked, but "
                f"{_difference(first, other)}"
            )
    return replace(
        first,
        capabilities=frozenset.intersection(*(one.capabilities for one in found)),
        num_read=sum(one.num_read for one in found),
        num_written=sum(one.num_written for one in found),
    )


def _difference(first: Found, other: Found) -> str:
    for name, told in first.told.items():
        if other.told.get(name) != told:
            return f"of `{name}` the one shows: {told}; another: {other.told.get(name, 'nothing')}"
    return f"the one was found to be {first.manners}, another {other.manners}"


class Probes:
    """Tries one server."""

    def __init__(self, client: Client, keys: OpenAIKeys, server: Server) -> None:
        self._client, self._keys, self._server = client, keys, server
        self.found = Found()
        self._hottest = HOTTEST[0]

    async def run(self) -> Found:
        """Return what the server can do. Raises EngineError where it does not even answer."""
        plain = await self._first()
        await self._plugin()
        drawn = await self._draws()
        await asyncio.gather(
            self._filters(drawn),
            self._seed(drawn),
            self._logprobs(),
            self._prefix(plain),
            self._stop(plain),
        )
        return self.found

    # --- asking

    async def _say(self, *, max_tokens: int = 1, temperature: float = 0.0, **more: Any) -> Answer | RefusedError:
        """Return the answer to the question (or to another prompt among `more`), or the refusal."""
        keys = self._keys
        body = plain(keys, self.found.manners, max_tokens, temperature)
        if not more.keys() & {"messages", "prompt"}:
            body |= asked_with(keys, QUESTION)
        if self.found.manners.plugin:
            body["vllm_xargs"] = UNGUIDED
        body |= more
        path = TEXT if "prompt" in body else CHAT
        try:
            answer = await self._client.ask(lambda: self._server, path, body, Answer)
        except RefusedError as refused:
            return refused
        self.found.num_read += answer.num_read
        self.found.num_written += int((answer.usage or {}).get("completion_tokens") or answer.num_pieces)
        return answer

    # --- what is tried

    async def _first(self) -> Answer:
        """Ask in the plainest way, then as what is refused of that demands. Raises EngineError."""
        otherwise: dict[str, dict[str, Any]] = {
            "max_completion_tokens": {"limit": "max_completion_tokens"},
            "temperature": {"temperature": False},
            "stream_options": {"usage": False},
        }
        answer = await self._say(max_tokens=DRAW_TOKENS)
        while isinstance(answer, RefusedError):
            named = next((name for name in otherwise if name in str(answer)), None)
            if named is None:
                break
            self.found.manners = replace(self.found.manners, **otherwise.pop(named))
            answer = await self._say(max_tokens=DRAW_TOKENS)
        if isinstance(answer, RefusedError):
            hint = ": look at `base_url`, which often ends in /v1, and at `model`" if answer.status == 404 else ""
            raise EngineError(f"{answer}{hint}")
        return answer

    async def _draws(self) -> tuple[list[str], bool]:
        """Draw several answers at the highest temperature, in one request if the server can; say if they differ."""
        for hot in HOTTEST:
            self._hottest = hot
            told = await self._say(max_tokens=DRAW_TOKENS, temperature=hot, n=NUM_DRAWS)
            if isinstance(told, Answer):
                break
        many = isinstance(told, Answer) and len(told.choices) == NUM_DRAWS
        self.found.manners = replace(self.found.manners, n=many)
        got = 0 if isinstance(told, RefusedError) else len(told.choices)
        self.found.note("n", seen=False, told=f"a request for {NUM_DRAWS} choices brings {got}")
        texts = await self._hot() if isinstance(told, RefusedError) or not many else _texts(told)
        return texts, len(set(texts)) > 1

    async def _hot(self, **more: Any) -> list[str]:
        """Return what several draws at the highest temperature say; [] where it is refused."""
        if self.found.manners.n and "seed" not in more:
            told = await self._say(max_tokens=DRAW_TOKENS, temperature=self._hottest, n=NUM_DRAWS, **more)
            return [] if isinstance(told, RefusedError) else _texts(told)
        one: dict[str, Any] = {"max_tokens": DRAW_TOKENS, "temperature": self._hottest}
        answers = [await self._say(**one, **more) for _ in range(NUM_DRAWS)]
        return [text for answer in answers if isinstance(answer, Answer) for text in _texts(answer)]

    async def _filters(self, drawn: tuple[list[str], bool]) -> None:
        heeded = set[str]()
        for name, value in {"top_p": 1e-4, "top_k": 1, "min_p": 0.999}.items():
            extra = {"repetition_penalty": 1.0} if name == "top_k" else {}
            texts = await self._hot(**{name: value}, **extra)
            told, seen = _sameness(drawn, texts, f"`{name}: {value}` (it keeps one token)")
            if self.found.note(name, seen=seen, told=told):
                heeded |= {name, *extra}
        self.found.manners = replace(self.found.manners, filters=frozenset(heeded))

    async def _seed(self, drawn: tuple[list[str], bool]) -> None:
        told, seen = _sameness(drawn, await self._hot(seed=7), "the same `seed`")
        self.found.note("seeds", seen=seen, told=told)
        self.found.manners = replace(self.found.manners, seed=seen)

    async def _logprobs(self) -> None:
        """See whether the log-probabilities are those at temperature 1, whatever the temperature is."""
        asked: dict[str, Any] = {"logprobs": True, "top_logprobs": 5}
        if self._keys.route == "completions":
            asked = {"logprobs": 5}
        cold, hot = await asyncio.gather(self._say(**asked), self._say(temperature=self._hottest, **asked))
        first = {} if isinstance(cold, RefusedError) else _top(cold)
        other = {} if isinstance(hot, RefusedError) else _top(hot)
        both = {token: (first[token], other[token]) for token in first if token in other}
        seen = len(both) > 0 and all(abs(one - two) < ROUNDING for one, two in both.values())
        if isinstance(cold, RefusedError):
            told = f"asked for, they are refused: {cold}"
        elif not first or not other:
            told = "asked for, none comes"
        else:
            told = "they are those of the raw model" if seen else "they depend on the temperature, so they are not raw"
        self.found.note("logprobs", seen=seen, told=told)
        self.found.told["token_logprobs"] = told
        self.found.manners = replace(self.found.manners, logprobs=seen)
        await self._asked(seen=seen, other=told)

    async def _asked(self, *, seen: bool, other: str) -> None:
        """See whether the probabilities of named tokens are told: by their ids, else among the likeliest."""
        ids = [
            (await tokenized(self._client, self._server, prompt=word, add_special_tokens=False) or [])
            for word in ("yes", "no")
        ]
        way, told = "", f"log-probabilities are not to be had: {other}"
        if seen and all(len(one) == 1 for one in ids):
            asked: dict[str, Any] = {"logprob_token_ids": [one[0] for one in ids]}
            answer = await self._say(**asked, **({"logprobs": True} if self._keys.route == "chat" else {}))
            if isinstance(answer, Answer) and len(_top(answer)) >= len(ids):
                way, told = "ids", "`logprob_token_ids` brings the log-probabilities of named tokens"
        if seen and not way:
            twenty: dict[str, Any] = {"logprobs": True, "top_logprobs": 20}
            answer = await self._say(**(twenty if self._keys.route == "chat" else {"logprobs": 5}))
            number = 0 if isinstance(answer, RefusedError) else len(_top(answer))
            way = "top" if number >= 5 else ""
            told = f"the {number} likeliest tokens are told, so a named one if it is among them"
        self.found.note("ask_tokens", seen=bool(way), told=told)
        self.found.manners = replace(self.found.manners, asked=way)

    async def _prefix(self, plain: Answer) -> None:
        """See how the server goes on from a text: by token ids, else as the chat's last message."""
        if self._keys.route == "completions":
            self.found.manners = replace(self.found.manners, prefix="message")
            self.found.note("prefix", seen=True, told="the text to go on from stands at the end of the prompt")
            return
        ids = await tokenized(self._client, self._server, messages=asked_with(self._keys, QUESTION)["messages"])
        if ids is not None:  # so this is vLLM's server, or one like it, which makes longer pieces where it can
            self.found.manners = replace(self.found.manners, stream_interval=True)
            answer = await self._say(max_tokens=DRAW_TOKENS, prompt=ids, return_token_ids=True)
            if isinstance(answer, Answer) and answer.num_read == len(ids) == plain.num_read:
                with_ids = all(choice.token_ids for choice in answer.choices.values())
                self.found.manners = replace(self.found.manners, prefix="ids", token_ids=with_ids)
                self.found.note("prefix", seen=True, told="a prompt may be token ids, and those of a chat are told")
                return
        turn = {"role": "assistant", "content": BEGUN}
        messages = [*asked_with(self._keys, QUESTION)["messages"], turn]
        own, on = await asyncio.gather(self._say(messages=messages), self._say(messages=messages, **CONTINUE))
        if isinstance(on, RefusedError) or isinstance(own, RefusedError):
            refused = on if isinstance(on, RefusedError) else own
            self.found.note("prefix", seen=False, told=f"to go on from a text is refused: {refused}")
            return
        # A turn of its own is closed, and another is opened behind it: that takes more tokens than going on.
        seen = plain.num_read < on.num_read < own.num_read
        told = "goes on from the last message" if seen else "begins another turn behind a text, instead of going on"
        self.found.note("prefix", seen=seen, told=f"asked by `continue_final_message`, the server {told}")
        self.found.manners = replace(self.found.manners, prefix="message" if seen else "")

    async def _stop(self, plain: Answer) -> None:
        """See whether the server says which stop string it was, at a letter that the greedy answer holds."""
        letters = [letter for text in _texts(plain) for letter in text if letter.isalpha() and letter.isascii()]
        if not letters:
            self.found.note(
                "stop_strings", seen=False, told="the answer to a plain question holds no letter to stop at"
            )
            return
        stops = [letters[0], "\u2603\u2603"]
        answer = await self._say(max_tokens=DRAW_TOKENS, stop=stops)
        if isinstance(answer, RefusedError):
            self.found.note("stop_strings", seen=False, told=f"stop strings are refused: {answer}")
            return
        choice = next(iter(answer.choices.values()))
        seen = choice.stop == stops[0] and choice.finish == "stop"
        told = "it is told which stop string ended a text" if seen else "it is not told which stop string ended a text"
        self.found.note("stop_strings", seen=seen, told=told)

    async def _plugin(self) -> None:
        """See whether our plugin is in the server: only it refuses a wrong value of its own keys."""
        wrong = await self._say(vllm_xargs={"esamp_beta": "x"})
        seen = isinstance(wrong, RefusedError) and wrong.status == 400 and "esamp_beta" in str(wrong)
        if seen:
            told = "a wrong value for our plugin is refused by it"
        elif isinstance(wrong, Answer):
            told = (
                "a wrong value for our plugin is taken without a word, so it is not in the server (`tts serve-args` "
                "prints how to start one with it)"
            )
        else:
            told = f"what is meant for our plugin is refused otherwise: {wrong}"
        for name in ("esamp", "top_n_sigma", "first_token"):
            self.found.note(name, seen=seen, told=told)
        self.found.manners = replace(self.found.manners, plugin=seen)


def _sameness(drawn: tuple[list[str], bool], texts: list[str], what: str) -> tuple[str, bool]:
    """Say whether what makes all draws the same has made them so, which tells only where they differ without."""
    _, differ = drawn
    if len(texts) < NUM_DRAWS:
        return f"{what}, is refused", False
    if not differ:
        return f"draws at the highest temperature do not differ, so nothing shows that {what} is heeded", False
    same = len(set(texts)) == 1
    return f"draws with {what}, {'are all the same' if same else 'differ, so it is ignored'}", same


def _texts(answer: Answer) -> list[str]:
    return ["".join([*choice.reasoning, *choice.text]) for choice in answer.choices.values()]


def _top(answer: Answer) -> dict[str, float]:
    """Return the log-probabilities told of the first token, by text."""
    choice = answer.choices.get(0, Choice())
    told = choice.top[0] if choice.top else {}
    return {token: value for token, value in told.items() if math.isfinite(value)}


def check_choices(keys: OpenAIKeys, found: Found) -> None:
    """Raise EngineError where the recipe wants several choices from a server that gives one."""
    if keys.choices_per_request > 1 and not found.manners.n:
        raise EngineError(
            f"`choices_per_request` must be 1 with this server, got {keys.choices_per_request}: {found.told['n']}"
        )
