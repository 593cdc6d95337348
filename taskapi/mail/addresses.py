"""Email addresses as mail servers receive them."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.utils import getaddresses
from ipaddress import IPv4Address, IPv6Address

import idna

_UNQUOTED = re.compile(r"""[^\s"(),:;<>@\[\\\]]+""")
_QUOTED = re.compile(r'"([^"\\]|\\.)*"')
_ESCAPED = re.compile(r"\\(.)")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_LITERAL = re.compile(r"\[(ipv6:)?([0-9a-f:.]+)\]", re.IGNORECASE)

# The email package decodes what follows, also into line breaks (RFC 2047).
ENCODED_WORD = "=?"


class InvalidRecipient(Exception):
    """An email address that a message cannot be sent to."""


def delivered(text: str) -> Address:
    """Return the address that a message is delivered to, in one notation for each address.

    The local part has no needless quotes, and the domain is in ASCII.

    Raises:
        InvalidRecipient: the text is not exactly one address.
    """
    try:
        return _parsed(text)
    except ValueError as error:
        raise InvalidRecipient from error


def _parsed(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    if not local or not text.isprintable():
        raise ValueError("not an address")
    if not _UNQUOTED.fullmatch(local):
        if not _QUOTED.fullmatch(local):
            raise ValueError("not an address")
        local = _ESCAPED.sub(r"\1", local[1:-1])
    domain = _literal(domain) if domain.startswith("[") else _in_ascii(domain)
    address = Address(username=local, domain=domain)
    # smtplib parses the address again.
    if ENCODED_WORD in local or getaddresses([str(address)]) != [("", str(address))]:
        raise ValueError("not exactly one address")
    return address


def _in_ascii(domain: str) -> str:
    """The domain in IDNA 2008: in IDNA 2003, `straße.de` is another domain, `strasse.de`."""
    found = idna.encode(domain, uts46=True, transitional=False).decode().lower()
    if not _DOMAIN.fullmatch(found):
        raise ValueError("not a domain")
    return found


def _literal(domain: str) -> str:
    parts = _LITERAL.fullmatch(domain)
    if not parts:
        raise ValueError("not an address literal")
    return f"[IPv6:{IPv6Address(parts[2])}]" if parts[1] else f"[{IPv4Address(parts[2])}]"
