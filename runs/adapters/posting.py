"""One POST to where somebody is told something: to an address that was checked, bounded in time, without a redirect; of the answer only its status.

Must not know what is told or to whom. Called by whoever tells; a value in, a status out.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from ipaddress import ip_address

from runs.adapters import wire
from runs.adapters.http import trusted
from runs.adapters.targets import Address, OddUrl, Target, may_reach, target_of

CONNECT_S = 5.0
MOST_ADDRESSES = 4
_OURS = {"user-agent": "orchestra-notices", "accept": "*/*", "connection": "close"}


class NotPosted(Exception):
    """It has not arrived, as far as is known; the message never repeats the address, which may be a secret."""


async def post(url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, private: Collection[str]) -> int:
    """The status of the answer. NotPosted. `private`: the "HOST:PORT" texts that need neither a public address nor https."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _posted(_target(url, private), headers, body, private)
    except TimeoutError:
        raise NotPosted(f"there was no answer within {timeout_s:g} s") from None


def _target(url: str, private: Collection[str]) -> Target:
    try:
        target = target_of(url)
    except OddUrl:
        raise NotPosted("this is no address that is posted to: it begins with https:// and names a host") from None
    if target.scheme != "https" and target.endpoint not in private:
        raise NotPosted("the address is http, and what is told does not travel in the clear; ORCHESTRA_PRIVATE_WEBHOOKS may name its HOST:PORT")
    return target


async def _posted(target: Target, headers: Mapping[str, str], body: bytes, private: Collection[str]) -> int:
    addresses = [target.literal] if target.literal else await _resolved(target)
    if not all(may_reach(target, address, private) for address in addresses):  # every one: else it is a matter of luck
        raise NotPosted("the host leads to an address that isn't public; ORCHESTRA_PRIVATE_WEBHOOKS may name its HOST:PORT")
    sent = [*{"host": target.parsed.netloc.decode("ascii"), **_OURS, **headers}.items()]
    async with AsyncExitStack() as closing:
        try:
            exchange = await _connected(closing, target, addresses[:MOST_ADDRESSES])
            return (await exchange.post(target.parsed.raw_path, sent, body)).status_code
        except wire.NotConnected as error:
            why = f"nobody took the connection within {CONNECT_S:g} s" if error.timed_out else "it was refused, or the certificate isn't trusted"
            raise NotPosted(f"the host could not be connected to: {why}") from error
        except wire.BrokenOff as error:
            raise NotPosted("the connection broke off before there was an answer") from error


async def _resolved(target: Target) -> Sequence[Address]:
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        found = [ip_address(answer[4][0]) for answer in answers]
    except (OSError, ValueError) as error:
        raise NotPosted("the host's name could not be resolved") from error
    if not found:
        raise NotPosted("the host's name has no address")
    return list(dict.fromkeys(found))


async def _connected(closing: AsyncExitStack, target: Target, addresses: Sequence[Address]) -> wire.Exchange:
    """To an address that was checked, not to what the name means by then; Host, SNI and the certificate's check keep the name."""
    tls = trusted() if target.scheme == "https" else None
    *others, last = [wire.Place(str(address), target.port, tls, target.host) for address in addresses]
    for place in others:
        try:
            return await closing.enter_async_context(wire.connected(place, within_s=CONNECT_S))
        except wire.NotConnected:
            continue
    return await closing.enter_async_context(wire.connected(last, within_s=CONNECT_S))
