"""The same server with a reward model in it: vLLM's routes for tokens and for pooling."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from server_parts import GOOD, FakeServer, ResetError, failure, id_of, render, word_of
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

WORD = re.compile(r"<extra_0>|ки|[+<>]|[^\s<>+]+")
RATES = GOOD | {"pooling", "activation"}


class RewardServer(FakeServer):
    """Rates by what was read up to a place; `num_labels` numbers each. `bad:KIND` in the text goes wrong, as ever."""

    def __init__(self, does: frozenset[str] = RATES, *, num_labels: int = 1) -> None:
        super().__init__(does)
        self.num_labels = num_labels
        self.app.router.routes.insert(0, Route("/tokenize", self.tokenize, methods=["POST"]))
        if "pooling" in does:
            self.app.router.routes.append(Route("/pooling", self.pooling, methods=["POST"]))

    async def tokenize(self, request: Request) -> Response:
        body = await request.json()
        if "tokenize" not in self.does:
            return JSONResponse({"detail": "Not Found"}, 404)
        text = " ".join(render(body)) if "messages" in body else body["prompt"]
        return JSONResponse({"tokens": ids_of(text, whole=body.get("add_special_tokens", False))})

    async def pooling(self, request: Request) -> Response:
        body = await request.json()
        self.num_asked += 1
        kind = ""
        for word in {word_of(one) for ids in body["input"] for one in ids if word_of(one).startswith("bad:")}:
            kind, _, times = word.removeprefix("bad:").partition(":")
            self.tries[word] += 1
            if times and self.tries[word] > int(times):
                kind = ""
        wrong = await self.broken(kind)
        if wrong is not None:
            return wrong
        if kind == "reset":
            return StreamingResponse(_reset(), media_type="application/json")
        if body["task"] not in ("classify", "token_classify"):
            return failure(400, f"Unsupported task: {body['task']!r}")
        self.bodies.append(body)
        self.num_read += sum(map(len, body["input"]))
        activates = body["use_activation"] if "activation" in self.does else True
        data = []
        for index, ids in enumerate(body["input"]):
            rows = [self.numbers(ids[: place + 1], activates=activates) for place in range(len(ids))]
            told: Any = rows[-1] if body["task"] == "classify" else rows
            data.append({"index": index, "object": "pooling", "data": told if kind != "nan" else _none_of(told)})
        return JSONResponse({"data": data[::-1], "usage": {"prompt_tokens": sum(map(len, body["input"]))}})

    def numbers(self, ids: Sequence[int], *, activates: bool) -> list[float]:
        """What the head says at the last of these tokens."""
        found = numbers_at(ids, self.num_labels)
        if not activates:
            return found
        if len(found) == 1:
            return [1 / (1 + math.exp(-found[0]))]
        weights = [math.exp(one) for one in found]
        return [one / sum(weights) for one in weights]


def ids_of(text: str, *, whole: bool = False) -> list[int]:
    """The tokens of a text; before a whole one stands another."""
    return [id_of(word) for word in [*(["<s>"] if whole else []), *WORD.findall(text)]]


def numbers_at(ids: Sequence[int], num_labels: int = 1) -> list[float]:
    """Numbers from -3 to 3 that everything read so far decides."""
    read = hashlib.sha256(" ".join(word_of(one) for one in ids).encode()).digest()
    return [6 * read[number] / 255 - 3 for number in range(num_labels)]


async def _reset() -> AsyncIterator[bytes]:
    yield b'{"data": ['
    raise ResetError


def _none_of(told: Any) -> Any:
    return [_none_of(one) for one in told] if isinstance(told, list) else None
