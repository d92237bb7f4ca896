"""One request to a server: sent, sent anew where that helps, and what came of it.

An attempt ends in one of four ways, and the code has exactly these: the answer is there; `AgainError` (busy or broken:
it is sent anew, and what came so far is thrown away); `RefusedError` (this request cannot be served); `EngineError` (no
request can: a wrong key, no money, another address).

Each connection is a client of its own, which its server lends to one request at a time: a client with many looks at all
of them for each request, which took a third of the time that one costs.

Traps that are met here. A stream is read to its end, for one that is left costs its connection. The client's own limits
are 5 seconds for everything and count waiting for a connection, too: here only connecting and silence are limited.
Proxies of the environment would get what is sent to this machine itself, too. A key may come back in a server's error.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from tts.engines.openai.answer import BrokenAnswerError, error_text
from tts.engines.openai.events import Events, NotJSONError, encoded, parsed
from tts.engines.openai.keys import ServerKeys
from tts.errors import EngineError, MissingExtraError, shown

if TYPE_CHECKING:
    import httpx2

BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
NO_MONEY = "insufficient_quota"
CONNECT_SECONDS, WRITE_SECONDS = 10.0, 60.0
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 30.0
LONGEST_RETRY_AFTER_SECONDS = 600.0
REST_AFTER, REST_SECONDS = 3, 30.0
"""A server that could not be reached so often in a row is not asked for so long, where there is another."""


JSON = {"content-type": "application/json"}
BESIDE = frozenset({"/tokenize", "/detokenize", "/pooling"})
"""Routes of vLLM's server that stand beside OpenAI's, without their /v1."""


class Reply(Protocol):
    """What takes the events of a stream, or a whole reply as the only one."""

    def take(self, event: Any) -> None:
        """Take one. Raises BrokenAnswerError."""

    @property
    def is_whole(self) -> bool:
        """Whether all came that was asked for."""


R = TypeVar("R", bound=Reply)


class AgainError(Exception):
    """It may go well the next time. `cost`: whether the attempt may have cost something."""

    def __init__(self, why: str, *, after: float | None = None, cost: bool = True, unreached: bool = False) -> None:
        super().__init__(why)
        self.after, self.cost, self.unreached = after, cost, unreached


class RefusedError(Exception):
    """This request cannot be served. `status` is what HTTP says."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Server:
    """One of the addresses, and what is known of it."""

    def __init__(self, url: str, connect: Callable[[], httpx2.AsyncClient], most_connections: int) -> None:
        self.url = url
        self._connect, self._room = connect, asyncio.Semaphore(most_connections)
        self._idle: list[httpx2.AsyncClient] = []
        self.num_flying = self.num_unreached = 0
        self.rests_until = 0.0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[httpx2.AsyncClient]:
        """Lend a client that nobody else uses meanwhile; the one that was used last comes first."""
        async with self._room:
            client = self._idle.pop() if self._idle else self._connect()
            try:
                yield client
            finally:
                self._idle.append(client)

    async def close(self) -> None:
        """Close all connections; none may be lent."""
        for client in self._idle:
            await client.aclose()

    def address(self, path: str) -> str:
        """Return where a route is."""
        return f"{self.url.removesuffix('/v1') if path in BESIDE else self.url}{path}"


class Client:
    """Speaks to servers. All but the constructor runs in one event loop."""

    def __init__(
        self,
        keys: ServerKeys,
        *,
        rng: random.Random,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.keys, self._key = keys, keys.key()
        self._rng, self._clock, self._sleep = rng, clock, sleep
        self.servers = [Server(url, _connector(keys, url, self._key), keys.max_concurrency) for url in keys.base_urls]

    async def close(self) -> None:
        """Close all connections."""
        for server in self.servers:
            await server.close()

    def pick(self, known: Server | None = None, *, stays: bool = False) -> Server:
        """Return the server to ask: the one that is known, unless it rests, else the one with the least to do."""
        now = self._clock()
        awake = [server for server in self.servers if server.rests_until <= now]
        if known is not None and (stays or known in awake or not awake):
            return known
        return min(awake or self.servers, key=lambda server: server.num_flying)

    async def ask(
        self,
        pick: Callable[[], Server],
        path: str,
        body: Mapping[str, Any],
        answer: Callable[[], R],
        broke: Callable[[bool], bool] = lambda _: True,
    ) -> R:
        """Send a request until it is answered, at most `max_tries` times; return what came.

        `answer` makes what takes the pieces, for each attempt anew. `broke` is told of each attempt that broke off and
        may have cost something, and whether it was the last; it says whether there may be another.

        Raises:
            RefusedError: the server will not serve it, or broke off each time.
            EngineError: no request can be served.
        """
        for number in range(self.keys.max_tries):
            server = pick()
            server.num_flying += 1
            try:
                async with asyncio.timeout(self.keys.timeout_seconds):
                    return await self.attempt(server, path, body, answer())
            except TimeoutError:
                failed = AgainError(f"no whole answer within {self.keys.timeout_seconds:g} s (`timeout_seconds`)")
            except AgainError as error:
                failed = error
            finally:
                server.num_flying -= 1
            is_last = number == self.keys.max_tries - 1
            if failed.cost and not broke(is_last):
                raise RefusedError(f"{failed}; to ask again could cost more than the run's budget allows")
            if not is_last:
                longest = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**number)
                wait = self._rng.uniform(longest / 2, longest)
                await self._sleep(wait if failed.after is None else failed.after + self._rng.uniform(0, wait / 2))
        if failed.unreached:
            raise EngineError(f"{failed}. Is the server up?")
        raise RefusedError(f"gave up after {self.keys.max_tries} tries; the last: {failed}")

    async def attempt(self, server: Server, path: str, body: Mapping[str, Any], answer: R) -> R:
        """Send a request once; fill `answer` and return it. Raises AgainError, RefusedError, EngineError."""
        import httpx2

        try:
            async with (
                server.connection() as client,
                client.stream("POST", server.address(path), content=encoded(body), headers=JSON) as response,
            ):
                server.num_unreached = 0
                if response.status_code != 200:
                    raise self._failure(server, path, response, await response.aread())
                async for event in self._events(server, response):
                    answer.take(event)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            server.num_unreached += 1
            if server.num_unreached >= REST_AFTER:
                server.rests_until = self._clock() + REST_SECONDS
            told = self._scrubbed(f"no connection to {server.url}: {_told(error)}")
            raise AgainError(told, cost=False, unreached=True) from error
        except httpx2.ReadTimeout as error:
            silence = f"{self.keys.silence_seconds:g} s (`silence_seconds`)"
            raise AgainError(f"the server at {server.url} said nothing for {silence}") from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise AgainError(self._scrubbed(f"the connection to {server.url} broke: {_told(error)}")) from error
        except BrokenAnswerError as error:
            told = self._scrubbed(str(error))
            if NO_MONEY in error.names:
                raise EngineError(f"{server.url} says that no money is left: {told}") from error
            if 400 <= error.status < 500 and error.status not in BUSY:  # vLLM refuses so where it streams
                raise RefusedError(told, error.status) from error
            raise AgainError(told) from error
        except NotJSONError as error:
            raise AgainError(self._scrubbed(str(error))) from error
        if not answer.is_whole:
            raise AgainError(f"the server at {server.url} ended before its answer did")
        return answer

    async def _events(self, server: Server, response: httpx2.Response) -> AsyncIterator[Any]:
        """Yield the events of a stream, or a whole reply as the only one."""
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            events = Events()
            async for piece in response.aiter_bytes():
                for event in events.take(piece):
                    yield event
            for event in events.end():
                yield event
            return
        content = await response.aread()
        if kind.endswith("html"):
            told = shown(content[:60].decode(errors="replace"))
            raise RefusedError(f"{server.url} is no OpenAI-compatible server, it answers {told}: check `base_url`")
        yield parsed(content)

    def _failure(self, server: Server, path: str, response: httpx2.Response, content: bytes) -> Exception:
        """Return what an answer that is none means: a sentence that says who said what."""
        status = response.status_code
        try:
            reply = parsed(content)
        except NotJSONError:
            reply = content[:200].decode(errors="replace")
        told, details = self._scrubbed(error_text(reply)), reply.get("error") if isinstance(reply, dict) else None
        code = str(details.get("code")) if isinstance(details, dict) else ""
        if response.is_redirect:
            where = self._scrubbed(response.headers.get("location", "elsewhere"))
            return EngineError(f"{server.url} redirects to {where}: set `base_url` to the right address")
        if status in (401, 403, 407):
            named = f"the key in {self.keys.api_key_env}" if self.keys.api_key_env else "a request without a key"
            return EngineError(f"{server.url} refuses {named} (HTTP {status}): {told}")
        if status == 402 or NO_MONEY in (code, *content[:1000].decode(errors="replace").split('"')):
            return EngineError(f"{server.url} says that no money is left (HTTP {status}): {told}")
        if status in BUSY:
            return AgainError(f"{server.url} answers HTTP {status}: {told}", after=_after(response), cost=False)
        return RefusedError(f"{server.address(path)} answers HTTP {status}: {told}", status)

    def _scrubbed(self, text: str) -> str:
        return text.replace(self._key, "(the key)") if self._key else text


def _connector(keys: ServerKeys, url: str, key: str | None) -> Callable[[], httpx2.AsyncClient]:
    """Return what makes a client for one connection. Raises EngineError where the environment's settings forbid one.

    They share what certificates are trusted: to read those takes longer than a request.
    """
    try:
        import httpx2
    except ImportError as error:
        raise MissingExtraError("httpx2", "openai", "an engine that asks a server") from error
    trusts_environment = not _is_loopback(url)

    def connect() -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            verify=certificates,
            limits=httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30),
            timeout=httpx2.Timeout(connect=CONNECT_SECONDS, read=keys.silence_seconds, write=WRITE_SECONDS, pool=None),
            headers={"authorization": f"Bearer {key}"} if key else {},
            trust_env=trusts_environment,
        )

    try:
        certificates = httpx2.create_ssl_context(trust_env=trusts_environment)
        connect()  # what is wrong with the environment is said now
    except ImportError as error:
        raise EngineError(f"a proxy in the environment needs another package: {error}") from error
    except (OSError, ValueError) as error:
        raise EngineError(
            f"the environment's settings for proxies or certificates cannot be used ({_told(error)}): look at "
            "SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY and ALL_PROXY"
        ) from error
    return connect


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _after(response: httpx2.Response) -> float | None:
    """Return the seconds of `Retry-After`, within bounds; None without, and for a date."""
    try:
        seconds = float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(seconds, LONGEST_RETRY_AFTER_SECONDS) if seconds >= 0 else None


def _told(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
