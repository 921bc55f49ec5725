"""Owns which URL is plain enough to be sent, and which addresses a request may reach.

Pure: text and addresses in, a target or an answer out; it must not resolve, connect, or know who asks.
Called by the http adapter before every hop, and through it by the boundary to name what a call touches.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx2

Address = IPv4Address | IPv6Address

MAX_URL_CHARACTERS = 4096
DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"(https?)://([^/?#]*)(?:[/?#].*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:@%]+)(?::([1-9][0-9]{0,4}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NAMED = re.compile(r"network:([^/?#*]+:[0-9]+)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ODD_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})
_DOTS_OF_OTHER_SCRIPTS = frozenset("\u3002\uff0e\uff61")

_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_IPV4_INSIDE = ip_network("::/96")
# What `is_global` lets through, or did in some 3.11 release: tunnels that carry an IPv4 address of the sender's choice
# (Teredo in 2001::/23, 6to4 and its relays) and later entries of the special-purpose registries.
_NOT_PUBLIC = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20")))
# Where clouds hand out a machine's credentials; one of them is a global address. A host name never leads there,
# not even a host that was named: whoever owns its DNS zone would choose.
_METADATA = tuple(map(ip_network, ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "fe80::/10", "fd00:ec2::/32")))


class OddUrl(ValueError):
    """A URL that two readers could understand differently; nothing is sent to it."""


@dataclass(frozen=True)
class Target:
    """Where one request goes: `host` is lower-case ASCII (no brackets), `url` what is asked for, without a fragment."""

    scheme: str
    host: str
    port: int
    url: str

    @property
    def resource(self) -> str:
        """The resource of grants: network:HOST, with :PORT only where it isn't the scheme's default."""
        usual = self.port == DEFAULT_PORTS[self.scheme]
        return f"network:{self._written_host if usual else self.endpoint}"

    @cached_property
    def endpoint(self) -> str:
        """HOST:PORT, always with the port: how `allowed_private` names it."""
        return f"{self._written_host}:{self.port}"

    @cached_property
    def literal(self) -> Address | None:
        """The host as an address, if the URL wrote an address."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @cached_property
    def parsed(self) -> httpx2.URL:
        """`url`, read."""
        return httpx2.URL(self.url)

    @property
    def _written_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


@lru_cache(maxsize=1024)
def target_of(url: str) -> Target:
    """Read a URL strictly. Raises OddUrl, with a sentence that says what to write instead."""
    refuse_odd_characters(url)
    whole = _URL.fullmatch(url)
    if whole is None:
        raise OddUrl("the URL must begin with http:// or https:// and name a host")
    scheme, authority = whole[1].lower(), whole[2]
    host, port = _split(authority, DEFAULT_PORTS[scheme])
    try:
        parsed = httpx2.URL(url).copy_with(scheme=scheme, host=host, port=port, fragment=None)
    except httpx2.InvalidURL as error:
        raise OddUrl("the URL can't be read; write it percent-encoded") from error
    return Target(scheme=scheme, host=host, port=port, url=str(parsed))


def refuse_odd_characters(text: str) -> None:
    """Raise OddUrl for what readers of URLs drop, fold or turn into a slash: CR and LF, spaces, invisible ones, backslash."""
    if len(text) > MAX_URL_CHARACTERS:
        raise OddUrl(f"the URL has {len(text)} characters; at most {MAX_URL_CHARACTERS} are sent")
    for character in text:
        if character == "\\" or unicodedata.category(character) in _ODD_CATEGORIES:
            raise OddUrl(f"the URL holds the character U+{ord(character):04X}; write it percent-encoded")


@lru_cache(maxsize=1024)
def is_public(address: Address) -> bool:
    """Whether everybody's internet routes to it, looking through IPv4-mapped and NAT64 forms."""
    carried = _carried(address)
    if carried is not None:
        return is_public(carried)
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    if address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return address.is_global and not any(address in network for network in (*_NOT_PUBLIC, *_METADATA))


def may_reach(target: Target, address: Address, allowed_private: Collection[str]) -> bool:
    """Whether a connection for `target` may go to `address`, one of the answers for its host.

    `allowed_private` holds "HOST:PORT" texts (`Target.endpoint`) whose addresses need not be public.
    """
    if is_public(address):
        return True
    if target.endpoint not in allowed_private:
        return False
    inner = _carried(address) or address
    if inner.is_unspecified or inner.is_multicast:
        return False
    return address == target.literal or not any(inner in network for network in _METADATA)


def endpoints_named(resources: Iterable[str]) -> frozenset[str]:
    """What `allowed_private` is made of: the endpoints that resources of allowing rules name with host *and* port.

    A trailing * or a missing port names none, so no wide grant ever opens a private network.
    """
    return frozenset(_endpoints(resources))


def _endpoints(resources: Iterable[str]) -> Iterator[str]:
    for resource in resources:
        named = _NAMED.fullmatch(resource)
        if named is None:
            continue
        try:
            yield target_of(f"http://{named[1]}").endpoint
        except OddUrl:
            continue


def _split(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        raise OddUrl("the URL holds a user name or password before the host; leave it out")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise OddUrl(f"{authority!a} is no host with an optional port (no zone id, no percent sign, no empty port)")
    port = int(parts[2] or default_port)
    if port > 65535:
        raise OddUrl(f"port {port} doesn't exist; the highest is 65535")
    written = parts[1]
    return (_ipv6(written) if written.startswith("[") else _name(written)), port


def _ipv6(written: str) -> str:
    try:
        address = IPv6Address(written[1:-1])
    except ValueError as error:
        raise OddUrl(f"{written} is no IPv6 address") from error
    embedded = address.ipv4_mapped is not None or (address in _IPV4_INSIDE and int(address) > 1)
    if embedded:
        raise OddUrl(f"{written} hides an IPv4 address; write the IPv4 address itself")
    return address.compressed


def _name(written: str) -> str:
    if not _DOTS_OF_OTHER_SCRIPTS.isdisjoint(written):
        raise OddUrl(f"{written!a} holds a dot of another script; write '.'")
    try:
        name = httpx2.URL(f"http://{written}").raw_host.decode("ascii")
    except httpx2.InvalidURL as error:
        raise OddUrl(f"{written!a} is no host name") from error
    labels = name.split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise OddUrl(f"{written!a} is no host name (letters, digits, '-' and '_' between single dots, none at the end)")
    # C libraries read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses; a name never ends in a number.
    if _NUMBER.fullmatch(labels[-1]) and not _is_plain_ipv4(name):
        raise OddUrl(f"{written!a} is an odd spelling of an address; write four decimal numbers without leading zeros")
    return name


def _is_plain_ipv4(name: str) -> bool:
    try:
        return str(IPv4Address(name)) == name
    except ValueError:
        return False


def _carried(address: Address) -> IPv4Address | None:
    """The IPv4 address that a kernel or a NAT64 gateway would talk to instead."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped
