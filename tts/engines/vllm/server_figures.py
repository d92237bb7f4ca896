"""What a client of vLLM's own server can see of ESamp: an ASGI middleware (`--middleware`) in the server's process.

    GET /esamp              what all distillers did so far, and warnings: {"figures": {…}, "warnings": […]}
    GET /esamp?tts_id=a&…   what was done to requests that gave themselves these names in `vllm_xargs`:
                            {"a": {"esamp_guided_tokens": 31, "esamp_novelty": 0.9}}; {} for one that is unknown. One
                            that has ended is forgotten once it was asked about.
    GET /metrics            vLLM's own, with gauges `tts_esamp_…` of the same totals
    POST …                  a number in `vllm_xargs` that is `true` or `false` is refused: vLLM would take it for 1 or 0

The numbers live in the workers, which are asked each time; that makes them wait for their device once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from tts.engines.vllm.request_values import RequestValues

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/esamp"


class ESampFigures:
    """Answers PATH itself, and brings the gauges up to date before vLLM shows its metrics."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._gauges: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = str(scope.get("path", "")).removeprefix(scope.get("root_path", "")).rstrip("/")
        if scope["type"] == "http" and scope["method"] == "POST":
            return await self._checked(scope, receive, send)
        if scope["type"] != "http" or scope["method"] != "GET" or path not in (PATH, "/metrics"):
            return await self._app(scope, receive, send)
        engine = scope["app"].state.engine_client
        asked = parse_qs(scope["query_string"].decode()).get("tts_id", [])
        if path == PATH and asked:
            [figures, *_] = await engine.collective_rpc("tts_request_figures", args=(dict.fromkeys(asked, 0),))
            return await answer(send, figures)
        [report, *_] = await engine.collective_rpc("tts_report")
        if path == PATH:
            return await answer(send, report)
        for name, value in report["figures"].items():
            if value is not None:
                self._gauge(name).set(value)
        return await self._app(scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what vLLM would misread, or hand the request on as it came."""
        messages = [await receive()]
        while messages[-1].get("more_body", False):
            messages.append(await receive())
        try:
            refuse_switches(b"".join(message.get("body", b"") for message in messages))
        except ValueError as error:
            told = {"message": str(error), "type": "BadRequestError", "param": "vllm_xargs", "code": 400}
            return await answer(send, {"error": told}, status=400)

        async def again() -> Any:
            return messages.pop(0) if messages else await receive()

        return await self._app(scope, again, send)

    def _gauge(self, name: str) -> Any:
        if name not in self._gauges:
            from prometheus_client import Gauge  # which comes with vLLM

            self._gauges[name] = Gauge(f"tts_esamp_{name}", f"ESamp's {name}", multiprocess_mode="mostrecent")
        return self._gauges[name]


def refuse_switches(body: bytes) -> None:
    """Raise ValueError where `vllm_xargs` in the body has `true` or `false` for one of our numbers."""
    if b"vllm_xargs" not in body:
        return
    try:
        given = json.loads(body)["vllm_xargs"]
    except (ValueError, KeyError, TypeError):  # what is wrong with it vLLM says better
        return
    if isinstance(given, dict):
        RequestValues.of({key: value for key, value in given.items() if isinstance(value, bool)})


async def answer(send: Send, content: Mapping[str, Any], status: int = 200) -> None:
    """Answer with JSON."""
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
