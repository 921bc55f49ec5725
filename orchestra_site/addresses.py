"""Where a request comes from, as far as it can be believed: the address that the last trusted proxy saw.

Reads one setting and the request; decides nothing. Used where wrong passwords are counted.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

PREFIX = 64
"""Whoever has one IPv6 address has this network of them."""


def address_of(request: HttpRequest | None) -> str:
    """An IPv4 address, an IPv6 network, or nothing where it is not known.

    A client writes what it likes into `X-Forwarded-For`; each proxy adds whom it was asked by at the end. So with N proxies of our own it is
    the Nth from the end, and without any the header means nothing.
    """
    if request is None:
        return ""
    near, proxies = request.META.get("REMOTE_ADDR", ""), settings.ORCHESTRA_PROXIES
    said = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if proxies else []
    return (_network(said[-proxies].strip()) if len(said) >= proxies > 0 else "") or _network(near)


def _network(text: str) -> str:
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped
        return str(inside) if inside else str(IPv6Network((address, PREFIX), strict=False))
    return str(address)
