"""Client addresses and the networks that they belong to."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from flask import Request

# Some proxies append the port; IPv6 has brackets then (RFC 7239 section 6).
_WITH_PORT = re.compile(r"\[(.*)\](?::\d+)?|([\d.]+):\d+", re.ASCII)

SUBSCRIBER = 64
"""The prefix length of the IPv6 network of one subscriber."""


def client_address(request: Request) -> str | None:
    """Return the client's IP address in its canonical form; None if it has none."""
    address = parse_address(request.remote_addr or "")
    return str(address) if address else None


@lru_cache(1_000)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in a text that may have a port or a zone; None if there is none.

    An IPv4 address that is mapped into IPv6 is an IPv4 address.
    """
    found = _WITH_PORT.fullmatch(text)
    host = (found[1] or found[2] or "") if found else text
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network(address: str | None, prefix: int = SUBSCRIBER) -> str:
    """Return the network that requests from an address are counted by.

    Args:
        address: as `client_address` returns it.
        prefix: the length of the IPv6 prefix. An IPv4 address is a network of its own.
    """
    if address is None or ":" not in address:
        return address or ""
    return str(ip_network(f"{address}/{prefix}", strict=False))
