"""A real HTTP server that speaks OpenAI's protocol, well or badly: a tiny model of words that does what it is told to.

What it can do is a set of names (`GOOD` is vLLM with our plugin). What goes wrong is said by the prompt: `bad:KIND`,
and then always, or `bad:KIND:2`, and then the first two times. `words:N:MS` asks for N words, MS milliseconds apart.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

WORDS = ("so", "we", "add", "three", "and", "seven", "which", "gives", "ten", "red", "cat", "Rome", "blue", "yes", "no")
IDS = {word: number for number, word in enumerate(WORDS)}
PLAIN = frozenset({"n", "seed", "top_p", "logprobs", "raw", "usage", "stop"})
"""What OpenAI's own server does."""
GOOD = PLAIN | {"top_k", "min_p", "continue", "tokenize", "token_ids", "named", "stop_told", "plugin"}


class ResetError(Exception):
    """Ends the connection in the midst of an answer."""


@dataclass(slots=True)
class Asked:
    """A request: its body, the words of its prompt, its route, what goes wrong with it, and the pause after a word."""

    body: dict[str, Any]
    prompt: list[str]
    route: str
    kind: str = ""
    pause: float = 0.0
    num_written: int = 0


class FakeServer:
    """What it does, and what it saw."""

    def __init__(self, does: frozenset[str] = GOOD, model: str = "tiny") -> None:
        self.does, self.model = does, model
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.tries: Counter[str] = Counter()
        self.connections: set[Any] = set()
        self.flying = self.most_flying = self.num_written = self.num_read = 0
        self.closed_at: list[float] = []
        self.num_asked = 0
        routes = {"chat/completions": self.chat, "completions": self.text}
        self.app = Starlette(
            routes=[
                *(Route(f"/v1/{path}", handler, methods=["POST"]) for path, handler in routes.items()),
                Route("/tokenize", self.tokenize, methods=["POST"]),
                Route("/detokenize", self.detokenize, methods=["POST"]),
            ]
        )
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[FakeServer]:
        """Serve on a port of its own."""
        config = uvicorn.Config(
            self.app, port=0, log_level="critical", access_log=False, lifespan="off", ws="none", http="h11"
        )
        server = uvicorn.Server(config)
        config.load()
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.should_exit = server.force_exit = True
            thread.join()

    # --- routes

    async def tokenize(self, request: Request) -> Response:
        body = await request.json()
        if "tokenize" not in self.does:
            return JSONResponse({"detail": "Not Found"}, 404)
        prompt = render(body) if "messages" in body else body["prompt"].split()
        return JSONResponse({"tokens": [id_of(word) for word in prompt], "count": len(prompt), "max_model_len": 4096})

    async def detokenize(self, request: Request) -> Response:
        return JSONResponse({"prompt": " ".join(word_of(one) for one in (await request.json())["tokens"])})

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        return await self.answer(request, body, render(body) if "continue" in self.does else render_plain(body), "chat")

    async def text(self, request: Request) -> Response:
        body = await request.json()
        prompt = body["prompt"]
        words = [word_of(one) for one in prompt] if isinstance(prompt, list) else prompt.split()
        if isinstance(prompt, list) and "tokenize" not in self.does:
            return failure(400, "prompt must be a string", param="prompt")
        return await self.answer(request, body, words, "text")

    async def answer(self, request: Request, body: dict[str, Any], prompt: list[str], route: str) -> Response:
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.connections.add(request.scope["client"])
        self.num_asked += 1
        if body.get("model") != self.model:
            return failure(404, f"The model `{body.get('model')}` does not exist.", type="NotFoundError")
        refused = self.refusal(body)
        if refused is not None:
            if body.get("stream") and "late_refusal" in self.does:
                content = event(json.loads(bytes(refused.body))) + b"data: [DONE]\n\n"
                return Response(content, 200, media_type="text/event-stream")
            return refused
        asked = next((word for word in prompt if word.startswith(("bad:", "words:"))), "")
        kind, _, times = asked.removeprefix("bad:").partition(":")
        self.tries[asked] += 1
        if not asked.startswith("bad:") or (times and self.tries[asked] > int(times)):
            kind = ""
        done = await self.broken(kind)
        if done is not None:
            return done
        number, _, pause = asked.removeprefix("words:").partition(":") if asked.startswith("words:") else ("6", "", "0")
        choices = [
            self.words(body, prompt, index, min(int(number), limit_of(body))) for index in range(body.get("n", 1))
        ]
        self.num_read += len(prompt)
        events = self.events(Asked(body, prompt, route, kind, float(pause or 0) / 1000), choices)
        if body.get("stream"):
            pieces = self.watched(cut(events, kind))
            headers = {"connection": "close"} if kind == "close" else {}
            return StreamingResponse(pieces, media_type="text/event-stream", headers=headers)
        return JSONResponse(await self.whole(events, route))

    def refusal(self, body: dict[str, Any]) -> Response | None:
        """What a strict server says of parameters."""
        beta = body.get("vllm_xargs", {}).get("esamp_beta")
        known = {"top_k": "top_k", "min_p": "min_p", "return_token_ids": "token_ids", "vllm_xargs": "xargs"}
        unknown = [name for name, needed in known.items() if name in body and needed not in self.does]
        taken_away = [one for one in ("temperature", "top_p", "stream_options") if f"no_{one}" in self.does]
        wrong = {
            f"Unrecognized request argument supplied: {unknown}": "strict" in self.does and bool(unknown),
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'": (
                "max_tokens" in body and "new_limit" in self.does
            ),
            f"Unsupported parameter: {[one for one in taken_away if one in body][:1]}": any(
                one in body for one in taken_away
            ),
            "temperature: must be at most 1": body.get("temperature", 1) > 1 and "cool" in self.does,
            "n must be 1": body.get("n", 1) > 1 and "n_refused" in self.does,
            f"`esamp_beta` must be a valid number, got {beta!r}": "plugin" in self.does and isinstance(beta, str),
            "stop is not supported": bool(body.get("stop")) and "stop" not in self.does,
        }
        return next((failure(400, told) for told, is_so in wrong.items() if is_so), None)

    async def broken(self, kind: str) -> Response | None:
        """What goes wrong before an answer begins."""
        if kind == "mute":
            await asyncio.sleep(30)
        wrong = {
            "429": failure(429, "slow down", headers={"retry-after": "0.2"}),
            "503": failure(503, "overloaded", headers={"retry-after": "nonsense"}),
            "quota": failure(429, "You exceeded your current quota", code="insufficient_quota"),
            "500": Response("oops", 500),
            "key": failure(401, "Incorrect API key provided: sk-secret-123"),
            "redirect": RedirectResponse("http://127.0.0.1:1/elsewhere", 307),
            "html": Response("<html>a proxy's page</html>", 200, media_type="text/html"),
            "json200": JSONResponse({"error": {"message": "overloaded", "code": 529}}, 200),
            "quota200": JSONResponse({"error": {"message": "exceeded quota", "type": "insufficient_quota"}}, 200),
            "list200": JSONResponse(["what"], 200),
            "400": failure(400, "temperature is too high", param="temperature"),
        }
        return wrong.get(kind)

    # --- the model

    def words(self, body: dict[str, Any], prompt: list[str], index: int, number: int) -> list[str]:
        """What it writes: the likeliest words, or others where the temperature is above 0 and nothing filters."""
        greedy = body.get("temperature", 1) == 0
        filters = {"top_k": body.get("top_k") == 1, "top_p": body.get("top_p", 1) < 0.01, "min_p": False}
        filters["min_p"] = body.get("min_p", 0) > 0.99
        greedy |= any(asked and name in self.does for name, asked in filters.items())
        chance = random.Random()
        if greedy or "dull" in self.does:
            chance.seed(hashlib.sha256(" ".join(prompt).encode("utf-8", "surrogatepass")).digest())
        elif "seed" in self.does and body.get("seed") is not None:
            chance.seed(f"{body['seed']} {index} {prompt}")
        return [chance.choice(WORDS) for _ in range(number)]

    async def events(self, asked: Asked, choices: list[list[str]]) -> AsyncIterator[bytes]:
        """The pieces of an answer, as a stream has them."""
        over = set[int]()
        for number in range(max(map(len, choices), default=0)):
            for index, words in enumerate(choices):
                if number < len(words) and index not in over:
                    for piece in self.said(asked, index, number, words[number]):
                        yield event(piece)
                        over |= {index} if piece["choices"][0]["finish_reason"] else set()
            await asyncio.sleep(asked.pause)
            if number == 1 and asked.kind:
                async for wrong in self.wrong(asked.kind):
                    yield wrong
                if asked.kind in ("cut", "late_error", "badjson"):
                    return
        for index in set(range(len(choices))) - over:
            yield event(self.piece(asked, index, "", None, "odd" if asked.kind == "odd" else "length"))
        if "usage" in self.does and asked.kind != "nousage":
            told = {"prompt_tokens": len(asked.prompt), "completion_tokens": asked.num_written}
            yield event({"choices": [], "usage": told})
        if asked.kind != "nodone":
            yield b"data: [DONE]\n\n"

    def said(self, asked: Asked, index: int, number: int, word: str) -> Iterator[dict[str, Any]]:
        """The pieces of one word: the word, and what follows where a stop string is in it."""
        stop = next((one for one in asked.body.get("stop") or () if one in word), None)
        self.num_written += 1
        asked.num_written += 1
        text = f"{' ' if number else ''}{word if stop is None else word.partition(stop)[0]}"
        yield self.piece(asked, index, text, word)
        if stop is not None:
            yield self.piece(asked, index, "", None, "stop", stop if "stop_told" in self.does else None)

    async def wrong(self, kind: str) -> AsyncIterator[bytes]:
        """What goes wrong in the midst of an answer."""
        match kind:
            case "reset":
                raise ResetError
            case "late_error":
                yield event({"error": {"message": "engine died", "type": "server_error", "code": 500}})
            case "badjson":
                yield b"data: {oops\n\n"
            case "silent":
                await asyncio.sleep(30)
            case "comments":
                for _ in range(4):
                    yield b": still here\n\n"
                    await asyncio.sleep(0.3)
            case "separators" | "bytes":
                yield event({"choices": [{"index": 0, "delta": {"content": " a\u2028b\x85c ü 🙂"}}]})

    def piece(  # noqa: PLR0917 - what a piece holds, in the order in which it holds it
        self,
        asked: Asked,
        index: int,
        said: str,
        word: str | None,
        finish: str | None = None,
        stop: str | None = None,
    ) -> dict[str, Any]:
        body, route = asked.body, asked.route
        choice: dict[str, Any] = {"index": index, "finish_reason": finish}
        choice |= {} if stop is None else {"stop_reason": stop}
        choice |= {"delta": {"content": said}} if route == "chat" else {"text": said}
        if word is not None and body.get("logprobs") not in (None, False) and "logprobs" in self.does:
            cool = 1 if "raw" in self.does else max(body.get("temperature", 1), 0.1)
            value = -0.5 / cool
            number = body.get("top_logprobs") or body.get("logprobs") or 0
            likely = {one: -(0.1 + place) / cool for place, one in enumerate(WORDS[: int(number)])}
            likely |= {" yes": -3.0 / cool} if number else {}
            if body.get("logprob_token_ids") and "named" in self.does:
                likely = {word_of(one): -0.25 - one for one in body["logprob_token_ids"]}
            if route == "chat":
                top = [{"token": one, "logprob": each} for one, each in likely.items()]
                choice["logprobs"] = {"content": [{"token": word, "logprob": value, "top_logprobs": top}]}
            else:
                choice["logprobs"] = {"tokens": [word], "token_logprobs": [value], "top_logprobs": [likely]}
        if word is not None and body.get("return_token_ids") and "token_ids" in self.does:
            choice["token_ids"] = [id_of(word)]
        return {"choices": [choice]}

    async def whole(self, events: AsyncIterator[bytes], route: str) -> dict[str, Any]:
        """The same, not as a stream."""
        found: dict[int, dict[str, Any]] = {}
        usage = None
        async for one in events:
            if b"{" not in one:
                continue
            told = json.loads(one[6:])
            usage = told.get("usage") or usage
            for choice in told["choices"]:
                text = choice.pop("delta", {}).get("content") or choice.pop("text", "")
                kept = found.setdefault(choice["index"], {"text": "", "index": choice["index"]})
                kept["text"] += text
                kept |= {key: value for key, value in choice.items() if key in ("finish_reason", "stop_reason")}
                if choice.get("logprobs"):
                    kept.setdefault("logprobs", choice["logprobs"])
        if route == "chat":
            for kept in found.values():
                kept["message"] = {"role": "assistant", "content": kept.pop("text")}
        return {"choices": list(found.values()), **({"usage": usage} if usage else {})}

    async def watched(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same pieces; notes when a stream is left early."""
        self.flying += 1
        self.most_flying = max(self.flying, self.most_flying)
        ended = False
        try:
            async for piece in pieces:
                yield piece
            ended = True
        finally:
            self.flying -= 1
            if not ended:
                self.closed_at.append(time.monotonic())


async def cut(pieces: AsyncIterator[bytes], kind: str) -> AsyncIterator[bytes]:
    """The same bytes one by one, or with the other line ends."""
    async for piece in pieces:
        if kind == "bytes":
            for one in piece:
                yield bytes([one])
        else:
            yield piece.replace(b"\n", b"\r\n") if kind == "crlf" else piece


def event(what: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(what, ensure_ascii=False).encode() + b"\n\n"


def failure(status: int, message: str, *, headers: dict[str, str] | None = None, **told: Any) -> Response:
    return JSONResponse(
        {"error": {"message": message, "type": "x", "param": None, "code": status, **told}}, status, headers
    )


def limit_of(body: dict[str, Any]) -> int:
    return int(body.get("max_tokens") or body.get("max_completion_tokens") or 16)


def render(body: dict[str, Any]) -> list[str]:
    """A chat template: a turn is its role, its words, and an end."""
    words = [word for turn in body["messages"] for word in ("<" + turn["role"], *turn["content"].split(), ">")]
    if body.get("continue_final_message"):
        return words[:-1]
    return [*words, "<assistant"] if body.get("add_generation_prompt", True) else words


def render_plain(body: dict[str, Any]) -> list[str]:
    """The same where the server knows of nothing to go on from."""
    return render({"messages": body["messages"]})


_words: dict[int, str] = dict(enumerate(WORDS))


def id_of(word: str) -> int:
    if word not in IDS:
        IDS[word] = len(IDS)
        _words[IDS[word]] = word
    return IDS[word]


def word_of(token_id: int) -> str:
    return _words[token_id]
