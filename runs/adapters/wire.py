"""One question over one connection that nobody else uses: to an address that was checked, in HTTP/1.1, read as it comes.

No pool, since a connection says which name its certificate was checked for and two targets may share an address; no layers for other
event loops, which cost more than the exchange. Knows no grant and no redirect. Used by `http` and `posting`; raises for what the other side does.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11

MAX_HEAD_BYTES = 100 * 1024
_PORTION = 64 * 1024


class NotConnected(Exception):
    """Nothing was sent. `timed_out`: nobody took the connection in time."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__("no connection")
        self.timed_out = timed_out


class BrokenOff(Exception):
    """The connection ended before its answer did, or what came isn't HTTP."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect: an address that was checked, and with `tls` the name that the certificate must have."""

    address: str
    port: int
    tls: ssl.SSLContext | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer; names of headers are lower-case, and one that stands twice is joined with a comma."""

    status_code: int
    headers: Mapping[str, str]
    _exchange: "Exchange" = field(repr=False)

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """The body as it comes, still packed. BrokenOff where it isn't whole."""
        while isinstance(event := await self._exchange.next_event(), h11.Data):
            yield bytes(event.data)


@asynccontextmanager
async def connected(place: Place, *, within_s: float) -> AsyncIterator["Exchange"]:
    """A connection, closed at the end of the block whatever is still on its way. NotConnected where there is none."""
    try:
        async with asyncio.timeout(within_s):
            name = place.name if place.tls is not None else None
            reader, writer = await asyncio.open_connection(place.address, place.port, ssl=place.tls, server_hostname=name)
    except TimeoutError as error:
        raise NotConnected(timed_out=True) from error
    except OSError as error:  # a certificate that is not trusted, too
        raise NotConnected(timed_out=False) from error
    try:
        yield Exchange(reader, writer)
    finally:
        writer.transport.abort()


class Exchange:
    """One question and its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def get(self, path: bytes, headers: Sequence[tuple[str, str]]) -> Answer:
        return await self._asked("GET", path, headers, b"")

    async def post(self, path: bytes, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        """With its length among the headers."""
        return await self._asked("POST", path, [*headers, ("content-length", str(len(body)))], body)

    async def _asked(self, method: str, path: bytes, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        try:
            asked = self._protocol.send(h11.Request(method=method, target=path, headers=list(headers))) or b""
            asked += (self._protocol.send(h11.Data(body)) or b"") if body else b""
            self._writer.write(asked + (self._protocol.send(h11.EndOfMessage()) or b""))
            await self._writer.drain()
        except (OSError, h11.LocalProtocolError) as error:  # of headers that have no place in a request, too
            raise BrokenOff from error
        while isinstance(event := await self.next_event(), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise BrokenOff
        return Answer(event.status_code, _joined(event.headers), self)

    async def next_event(self) -> h11.Event:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                self._protocol.receive_data(await self._reader.read(_PORTION))
        except (OSError, h11.RemoteProtocolError) as error:
            raise BrokenOff from error
        if not isinstance(event, h11.Event):
            raise BrokenOff
        return event


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("ascii"), _text(raw_value)
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
