"""The process around the handlers: a socket, uvicorn in a thread of its own, and an end in good order."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tts.errors import EngineError, MissingExtraError, UsageError
from tts.server.service import ENDING_SECONDS, Service

GRACE_SECONDS = 30
"""How long requests on their way are waited for at the end."""


def check() -> None:
    """Raise MissingExtraError where what serves is not installed."""
    for package in ("starlette", "uvicorn"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtraError(package, "serve", "`tts serve`") from error


def is_loopback(host: str) -> bool:
    """Tell whether nobody but this machine can reach the host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any that is free. Raises UsageError.

    Its protocol is named: asyncio sends small pieces at once (TCP_NODELAY) only where it is. Else replies on a
    connection that is used again wait 40 ms for an acknowledgement.
    """
    listening = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
        return listening
    except (OSError, OverflowError) as error:
        if listening is not None:
            listening.close()
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error}. Choose others by --host and --port"
        ) from error


@contextmanager
def running(service: Service, listening: socket.socket, api_key: str | None, ended: threading.Event) -> Iterator[None]:
    """Serve while the context is open; then take no more, and answer what is on its way. `ended` is set at the end.

    Raises what keeps a recipe from being served: its verifier cannot be opened, say, or its folder be made.
    uvicorn takes signals in the main thread alone, and ends the process by them; so it gets another thread.
    """
    import uvicorn

    from tts.server.app import application

    config = uvicorn.Config(
        application(service, api_key=api_key),
        log_config=None,
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=75,
    )
    server = uvicorn.Server(config)

    def work() -> None:
        try:
            server.run([listening])
        finally:
            ended.set()

    thread = threading.Thread(target=work, name="tts-server", daemon=True)
    thread.start()
    while not server.started and not ended.wait(0.01):
        pass
    if not server.started:
        raise EngineError("the server did not start")
    try:
        if service.failed is not None:
            raise service.failed
        yield
    finally:
        service.soon(service.ending.set)
        server.should_exit = True
        thread.join(GRACE_SECONDS + 2 * ENDING_SECONDS + 5)
