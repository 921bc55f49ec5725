"""Raw servers on loopback, and a guard that keeps a test from connecting anywhere else.

Owns what the tests of `fetch` share; knows nothing of runs.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import pytest

from runs.adapters.http import Fetched, FetchFailed, FetchRequest, Policy, Target, fetch

Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
Resolver = Callable[[str], list[str]]


class Server:
    """A raw server on a free loopback port that remembers what it was asked."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = await reader.read(65536)
            self.requests.append(head)
            await self._handler(head, writer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}/feed.csv"


@asynccontextmanager
async def serving(answer: bytes | Handler) -> AsyncIterator[Server]:
    server = Server(_sends(answer) if isinstance(answer, bytes) else answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


def _sends(data: bytes) -> Handler:
    async def handler(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return handler


def reply(body: bytes = b"", *, status: int = 200, headers: Iterable[str] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


async def get(url: str, *named: str, may: Callable[[Target], bool] = lambda _: True, timeout_s: float = 5, **more: Any) -> Fetched | FetchFailed:
    return await fetch(FetchRequest(url=url, timeout_s=timeout_s, **more), Policy(may, lambda _: frozenset(named)))


def failed(answer: Fetched | FetchFailed) -> FetchFailed:
    assert isinstance(answer, FetchFailed), answer
    return answer


@pytest.fixture(name="attempts", autouse=True)
async def only_loopback(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every address a connection was asked for; one that isn't loopback is refused before it leaves."""
    seen: list[str] = []
    loop = asyncio.get_running_loop()
    real = loop.create_connection

    async def guarded(factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
        seen.append(str(host))
        if not ip_address(str(host)).is_loopback:
            raise ConnectionRefusedError(f"a test may not connect to {host}")
        return await real(factory, host, port, **more)

    monkeypatch.setattr(loop, "create_connection", guarded)
    return seen


@pytest.fixture(name="resolver")
async def scripted_resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[list[str]]], list[str]]:
    """Answers the n-th question with the n-th list of addresses; returns the names that were asked for."""

    def install(answers: list[list[str]]) -> list[str]:
        asked: list[str] = []

        async def getaddrinfo(host: str, port: int, **_more: Any) -> list[tuple[Any, ...]]:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[len(asked) - 1]]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        return asked

    return install


def redirect(location: str, status: int = 302) -> bytes:
    return reply(status=status, headers=[f"Location: {location}"])
