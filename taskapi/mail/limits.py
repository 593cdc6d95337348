"""How many messages of a template an address receives, and how many an account causes.

Others can cause messages to an address. They must not use up those that its owner needs, such as
the link that undoes a change of the email, so each template has a limit of its own.

The counters are those of the rate limits, so `RATELIMIT_ENABLED` turns them off.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator

from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.strategies import FixedWindowRateLimiter

from taskapi.problems import Unavailable
from taskapi.runtime.context import extensions

PER_RECIPIENT = (parse("10/hour"), parse("100/day"))
PER_ACCOUNT = (parse("20/hour"), parse("60/day"))


class TooManyMessages(Exception):
    """A limit was reached."""


def check(recipient: str, template: str, user_id: int | None) -> None:
    """Check the limits for another message.

    Args:
        recipient: the address that it is delivered to.

    Raises:
        TooManyMessages: one was reached.
        Unavailable: the storage does not respond.
    """
    limiter = _limiter()
    try:
        if limiter and not all(
            limiter.test(*one) for one in _counted(recipient, template, user_id)
        ):
            raise TooManyMessages
    except StorageError:
        raise Unavailable from None


def count(recipient: str, template: str, user_id: int | None) -> None:
    """Count a message that was sent. It is not repeated if this fails."""
    limiter = _limiter()
    try:
        for one in _counted(recipient, template, user_id) if limiter else ():
            assert limiter
            limiter.hit(*one)
    except (StorageError, Unavailable):
        return


def _counted(
    recipient: str, template: str, user_id: int | None
) -> Iterator[tuple[RateLimitItem, str, str]]:
    # Mail servers may ignore case and the Unicode form of a local part.
    address = unicodedata.normalize("NFKC", recipient.casefold())
    hashed = hashlib.sha256(f"{template} {address}".encode()).hexdigest()[:32]
    for limit in PER_RECIPIENT:
        yield limit, "mail-recipient", hashed
    for limit in PER_ACCOUNT if user_id is not None else ():
        yield limit, "mail-account", str(user_id)


def _limiter() -> FixedWindowRateLimiter | None:
    found: FixedWindowRateLimiter | None = extensions()["taskapi_limiter"]
    return found
