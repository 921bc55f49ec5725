"""Owns `fetch`: one GET of a network source, bounded in time and size, that can't be led to an address nobody allowed.

It must not know runs, steps or grants (the caller's policy answers for them), keep cookies, or read a proxy from the environment.
Called by the boundary only; a value in, a value out.
"""

import asyncio
import functools
import hashlib
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

import httpx2

from audit import clock
from runs.adapters import wire
from runs.adapters.targets import Address, OddUrl, Target, endpoints_named, may_reach, refuse_odd_characters, target_of

__all__ = ["FetchCause", "FetchFailed", "FetchRequest", "Fetched", "OddUrl", "Policy", "Target", "endpoints_named", "fetch", "target_of"]

CONNECT_S = 5.0
MAX_BYTES = 5 * 1024 * 1024
MAX_REDIRECTS = 3
MAX_ADDRESSES = 4
MAX_HEADER_CHARACTERS = 512
MAX_GZIP_MEMBERS = 1000  # thousands of empty ones in a few bytes would keep the loop busy

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
# Anything else a caller could say (Host, Range, Cookie, Transfer-Encoding…) changes where the request goes or what the answer means.
_SENDABLE = frozenset({"accept", "accept-language", "cache-control", "user-agent"})
_KEPT = ("content-type", "last-modified", "etag", "date")

FetchCause = Literal["upstream", "denied", "deadline", "missing", "contract"]


@dataclass(frozen=True)
class FetchRequest:
    """What to get. `max_bytes` holds on the wire and unpacked."""

    url: str
    timeout_s: float
    max_bytes: int = MAX_BYTES
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fetched:
    """A complete answer. `url` is where it came from in the end; `digest` the SHA-256 of the unpacked bytes, which `body` is as UTF-8."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: str
    digest: str
    fetched_at: str


@dataclass(frozen=True)
class FetchFailed:
    """No answer that may be used, and whose matter that is."""

    cause: FetchCause
    message: str
    details: Mapping[str, str | int] = field(default_factory=dict)


class _Stopped(Exception):
    """Carries the failure out of the exchange, past the connections that must be closed on the way."""

    def __init__(self, cause: FetchCause, message: str, **details: str | int) -> None:
        super().__init__(message)
        self.failure = FetchFailed(cause, message, details)


@dataclass(frozen=True)
class Policy:
    """What is asked before every hop, redirects included, with where that one goes.

    `may`: whether it may be read. `private`: the "HOST:PORT" texts whose addresses need not be public.
    """

    may: Callable[[Target], bool]
    private: Callable[[Target], frozenset[str]]


async def fetch(request: FetchRequest, policy: Policy) -> Fetched | FetchFailed:
    """GET a URL. Never raises for what the other side does; an error in the policy passes through, and that hop has not been sent then."""
    limit = asyncio.timeout(request.timeout_s)
    try:
        headers = _checked_headers(request.headers)
        async with limit:
            return await _follow(request, headers, policy)
    except _Stopped as stopped:
        return stopped.failure
    except OddUrl as odd:
        return FetchFailed("denied", f"not fetched: {odd}")
    except TimeoutError:
        if not limit.expired():
            raise
        return FetchFailed(
            "deadline",
            f"no complete answer within {request.timeout_s:g} s; raise the step's timeout or ask for less",
            {"timeout_ms": round(request.timeout_s * 1000)},
        )


async def _follow(request: FetchRequest, headers: Mapping[str, str], policy: Policy) -> Fetched:
    target = target_of(request.url)
    for _ in range(MAX_REDIRECTS + 1):
        if not policy.may(target):
            raise _Stopped("denied", f"no permission allows {target.resource} by itself", resource=target.resource)
        addresses = await _checked_addresses(target, policy.private(target))
        async with _answer(target, addresses, headers) as response:
            if response.status_code not in _REDIRECTS:
                return await _received(response, target, request.max_bytes)
            target = _redirected(response, target)
    raise _Stopped("upstream", f"more than {MAX_REDIRECTS} redirects, the last one to {target.endpoint}", limit=MAX_REDIRECTS)


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    checked = {name.lower(): value for name, value in headers.items()}
    for name, value in checked.items():
        if name not in _SENDABLE:
            raise _Stopped("denied", f"the header {name!a} isn't sent; only {', '.join(sorted(_SENDABLE))} are")
        if not _is_plain(value):
            raise _Stopped("denied", f"the header {name} isn't plain ASCII of at most {MAX_HEADER_CHARACTERS} characters")
    return checked


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and len(value) <= MAX_HEADER_CHARACTERS


async def _checked_addresses(target: Target, allowed_private: frozenset[str]) -> Sequence[Address]:
    """Resolve once; every answer must be allowed, or a name with one good and one bad address would be a matter of luck."""
    addresses = [target.literal] if target.literal else await _resolved(target)
    if not all(may_reach(target, address, allowed_private) for address in addresses):
        raise _Stopped(
            "denied",
            f"{target.endpoint} leads to an address that isn't public; permissions must name network:{target.endpoint} to allow it",
            endpoint=target.endpoint,
        )
    return addresses[:MAX_ADDRESSES]


async def _resolved(target: Target) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        answers = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        found = [ip_address(answer[4][0]) for answer in answers]
    except (OSError, ValueError) as error:
        raise _Stopped("upstream", f"the name {target.host} could not be resolved", endpoint=target.endpoint) from error
    if not found:
        raise _Stopped("upstream", f"the name {target.host} has no address", endpoint=target.endpoint)
    return list(dict.fromkeys(found))


@asynccontextmanager
async def _answer(target: Target, addresses: Sequence[Address], headers: Mapping[str, str]) -> AsyncIterator[wire.Answer]:
    """No client of a library: one adds cookies, redirects, netrc and proxies of the environment."""
    async with AsyncExitStack() as closing:
        try:
            exchange = await _first_to_connect(closing, target, addresses)
            yield await exchange.get(target.parsed.raw_path, _sent(target, headers))
        except wire.NotConnected as error:
            raise _Stopped("upstream", _unconnected(error, target), endpoint=target.endpoint) from error
        except wire.BrokenOff as error:
            message = f"{target.endpoint} broke off before its answer was complete, or did not answer in HTTP"
            raise _Stopped("upstream", message, endpoint=target.endpoint) from error


async def _first_to_connect(closing: AsyncExitStack, target: Target, addresses: Sequence[Address]) -> wire.Exchange:
    """The connection goes to an address that was checked, not to what the name means by then (DNS rebinding);
    Host, SNI and the certificate's check keep the name."""
    *others, last = [wire.Place(str(address), target.port, trusted() if target.scheme == "https" else None, target.host) for address in addresses]
    for place in others:
        try:
            return await closing.enter_async_context(wire.connected(place, within_s=CONNECT_S))
        except wire.NotConnected:
            continue
    return await closing.enter_async_context(wire.connected(last, within_s=CONNECT_S))


def _sent(target: Target, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    ours = {"host": target.parsed.netloc.decode("ascii"), "user-agent": "orchestra-fetch", "accept": "*/*"}
    return [*{**ours, **headers, "accept-encoding": "gzip", "connection": "close"}.items()]


def _unconnected(error: wire.NotConnected, target: Target) -> str:
    if error.timed_out:
        return f"{target.endpoint} did not take the connection within {CONNECT_S:g} s"
    return f"{target.endpoint} could not be connected to (refused, unreachable, or its certificate isn't trusted)"


def _redirected(response: wire.Answer, source: Target) -> Target:
    location = response.headers.get("location", "")
    refuse_odd_characters(location)
    if not location:
        raise _Stopped("upstream", f"{source.endpoint} answered {response.status_code} without saying where to go")
    try:
        joined = location if "://" in location.partition("?")[0] else str(source.parsed.join(location))
    except httpx2.InvalidURL as error:
        raise OddUrl("the redirect's URL can't be read") from error
    target = target_of(joined)
    # Grants name hosts and not schemes, so nothing else would notice that the answer can now be forged on its way.
    if source.scheme == "https" and target.scheme == "http":
        raise _Stopped("denied", f"{source.endpoint} redirects from https to http at {target.endpoint}", resource=target.resource)
    return target


async def _received(response: wire.Answer, target: Target, max_bytes: int) -> Fetched:
    _require_success(response.status_code, target)
    data = await _body(response, target, max_bytes)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Stopped("contract", f"{target.endpoint} answered bytes that aren't UTF-8 (at byte {error.start})", at=error.start) from error
    return Fetched(
        status=response.status_code,
        url=target.url,
        headers={name: response.headers[name] for name in _KEPT if _is_plain(response.headers.get(name, "\n"))},
        body=text,
        digest=hashlib.sha256(data).hexdigest(),
        fetched_at=clock.to_text(clock.now()),
    )


def _require_success(status: int, target: Target) -> None:
    """206 was not asked for: a part of a feed would look like all of it."""
    if status in _GONE:
        raise _Stopped("missing", f"{target.endpoint} answered {status}: there is nothing at this path", status=status)
    if not 200 <= status < 300 or status == 206:
        raise _Stopped("upstream", f"{target.endpoint} answered {status}", status=status)


async def _body(response: wire.Answer, target: Target, max_bytes: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise _Stopped("upstream", f"{target.endpoint} packed its answer in a way that wasn't asked for (only gzip is)")
    unpacked = _Unpacked(max_bytes, gzip=encoding != "identity")
    try:
        async for chunk in response.aiter_raw():
            unpacked.add(chunk)
        return unpacked.finish()
    except OverflowError as error:
        raise _Stopped("upstream", f"{target.endpoint} answered more than {max_bytes} bytes", limit=max_bytes) from error
    except zlib.error as error:
        raise _Stopped("upstream", f"{target.endpoint} answered gzip that is damaged or cut off") from error


class _Unpacked:
    """Collects a body; the limit holds for the bytes on the wire and for what they unpack to, before it is unpacked."""

    def __init__(self, limit: int, *, gzip: bool) -> None:
        self._limit = limit
        self._wire = 0
        self._data = bytearray()
        self._member = _gzip_member() if gzip else None
        self._members = 1

    def add(self, chunk: bytes) -> None:
        self._wire += len(chunk)
        self._require_within(self._wire)
        if self._member is None:
            self._data += chunk
        else:
            self._inflate(self._member, chunk)

    def finish(self) -> bytes:
        if self._member is not None and self._wire and not self._member.eof:
            raise zlib.error("the last gzip member has no end")
        return bytes(self._data)

    def _next_member(self) -> "zlib._Decompress":
        self._members += 1
        if self._members > MAX_GZIP_MEMBERS:
            raise zlib.error(f"more than {MAX_GZIP_MEMBERS} members")
        return _gzip_member()

    def _inflate(self, member: "zlib._Decompress", chunk: bytes) -> None:
        while chunk:
            if member.eof:
                member = self._member = self._next_member()
            # One byte more than there is room for tells "just fits" from "too much" and bounds a bomb's memory.
            self._data += member.decompress(chunk, self._limit - len(self._data) + 1)
            self._require_within(len(self._data))
            chunk = member.unused_data

    def _require_within(self, size: int) -> None:
        if size > self._limit:
            raise OverflowError(size)


def _gzip_member() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)


@functools.cache
def trusted() -> ssl.SSLContext:
    """Built once, it reads the system's trust store; an operator's SSL_CERT_FILE counts, as it says whom to trust and not where to go."""
    context = httpx2.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
