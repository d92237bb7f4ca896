"""The routes: OpenAI's chat completions and models, and beside them health and metrics. Any ASGI server runs them."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tts.server import replies
from tts.server.asking import read
from tts.server.refusal import RefusalError
from tts.server.service import Service
from tts.server.session import Ticket

MOST_BODY_BYTES = 1 << 20
BODY_SECONDS = 60.0
"""How long a body may take to come. A connection that stays silent in the midst of one would be held for ever."""
KEEP_ALIVE_SECONDS = 1.0
"""Between the comments of a stream. A client that has gone is noticed no later than that."""
CLIENT_GONE = 499

Handler = Callable[[Request], Awaitable[Response]]


def application(service: Service, *, api_key: str | None = None, most_body_bytes: int = MOST_BODY_BYTES) -> Starlette:
    """Return the application; with a key every route but `/health` asks for it."""

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        await service.begin()
        yield
        await service.end()

    async def chat(request: Request) -> Response:
        try:
            asked = read(await _body(request, most_body_bytes, service.ending), service.recipes)
        except RefusalError:
            service.metrics.count("", "refused")
            raise
        ticket = service.ask(asked)
        if asked.stream:
            headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}  # proxies pass each comment on
            return StreamingResponse(_stream(service, ticket), media_type="text/event-stream", headers=headers)
        gone = asyncio.ensure_future(_gone(request))
        try:
            either: set[asyncio.Future[Any]] = {ticket.reply, gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if ticket.reply.done():
                return _json(ticket.reply.result())
        finally:
            gone.cancel()
            service.leave(ticket)
        return Response(status_code=CLIENT_GONE)

    async def models(_: Request) -> Response:
        return _json({"object": "list", "data": [_model(service, name) for name in service.recipes]})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in service.recipes:
            raise RefusalError(404, f"there is no model {name!r}", "model", "model_not_found")
        return _json(_model(service, name))

    async def health(_: Request) -> Response:
        service.refuse_failed()
        return _json({"status": "ok"})

    async def metrics(_: Request) -> Response:
        text = service.metrics.text(service.num_waiting, service.num_queued)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    def guarded(handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            given = request.headers.get("authorization", "").removeprefix("Bearer ").encode("latin-1")
            if api_key is not None and not hmac.compare_digest(given, api_key.encode()):
                raise RefusalError(401, "the key is missing or wrong", None, "invalid_api_key")
            return await handler(request)

        return checked

    return Starlette(
        routes=[
            Route("/v1/chat/completions", guarded(chat), methods=["POST"]),
            Route("/v1/models", guarded(models)),
            Route("/v1/models/{name:path}", guarded(model)),
            Route("/metrics", guarded(metrics)),
            Route("/health", health),
        ],
        exception_handlers={RefusalError: _refused, HTTPException: _unknown, Exception: _broken},
        lifespan=life,
    )


async def _body(request: Request, most: int, ending: asyncio.Event) -> bytes:
    """Return the body. Raises RefusalError as soon as it is too long, or takes too long, or the server ends."""
    reading, end = asyncio.ensure_future(_read(request, most)), asyncio.ensure_future(ending.wait())
    try:
        either: set[asyncio.Future[Any]] = {reading, end}
        await asyncio.wait(either, timeout=BODY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return reading.result()
    finally:
        reading.cancel()
        end.cancel()
    if ending.is_set():
        raise RefusalError(503, "the server is ending")
    raise RefusalError(408, f"the body must be there within {BODY_SECONDS:g} seconds")


async def _read(request: Request, most: int) -> bytes:
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise RefusalError(413, f"the body must be at most {most} bytes")
    except ClientDisconnect as error:
        raise RefusalError(CLIENT_GONE, "the client has gone") from error
    return bytes(body)


async def _gone(request: Request) -> None:
    """Wait until the client has gone. Its body was read: nothing else comes."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _stream(service: Service, ticket: Ticket) -> AsyncIterator[bytes]:
    """Yield comments until the answer is there, then the answer. It is left when the client goes."""
    try:
        while not ticket.reply.done():
            yield b": drawing candidates\n\n"
            await asyncio.wait({ticket.reply}, timeout=KEEP_ALIVE_SECONDS)
        try:
            whole = ticket.reply.result()
        except RefusalError as refused:
            yield replies.event(refused.content)
            return
        for event in replies.events(whole, with_usage=ticket.asked.with_usage):
            yield event
    finally:
        service.leave(ticket)


def _model(service: Service, name: str) -> dict[str, Any]:
    recipe = service.recipes[name]
    return {
        "id": name,
        "object": "model",
        "created": service.began,
        "owned_by": "tts",
        "tts": {"description": recipe.description, "num_candidates": recipe.sampler.num_candidates},
    }


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a reply in JSON; what no encoding has, which a model may write, is escaped."""
    return Response(json.dumps(content), status, headers, "application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    return _json(error.content, error.status, error.headers)


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = RefusalError(error.status_code, f"{request.method} {request.url.path}: {error.detail}")
    return _json(refused.content, refused.status, error.headers)


async def _broken(request: Request, error: Exception) -> Response:
    """Return what the client is told of a fault of ours; the traceback goes to the log."""
    return await _refused(request, RefusalError(500, f"unexpected {type(error).__name__}: this is a fault of tts"))
