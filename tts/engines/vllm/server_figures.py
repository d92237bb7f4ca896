"""What a client of vLLM's own server can see of ESamp: an ASGI middleware (`--middleware`) in the server's process.

    GET /esamp              what all distillers did so far, and warnings: {"figures": {…}, "warnings": […]}
    GET /esamp?tts_id=a&…   what was done to requests that gave themselves these names in `vllm_xargs`:
                            {"a": {"esamp_guided_tokens": 31, "esamp_novelty": 0.9}}; {} for one that is unknown. One
                            that has ended is forgotten once it was asked about.
    GET /metrics            vLLM's own, with gauges `tts_esamp_…` of the same totals

The numbers live in the workers, which are asked each time; that makes them wait for their device once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs

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

    def _gauge(self, name: str) -> Any:
        if name not in self._gauges:
            from prometheus_client import Gauge  # which comes with vLLM

            self._gauges[name] = Gauge(f"tts_esamp_{name}", f"ESamp's {name}", multiprocess_mode="mostrecent")
        return self._gauges[name]


async def answer(send: Send, content: Mapping[str, Any]) -> None:
    """Answer with JSON."""
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
