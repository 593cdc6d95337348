"""How many attempts a network, an account and a device have to prove a password or a token.

Failed logins count for an account and a network together, so that nobody can lock an account out
from elsewhere. When an account has many failures from anywhere, each network that has failed waits
longer for its next attempt; a network that has not failed is never refused because of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from taskapi.auth import ratelimit
from taskapi.auth.fairness import Group
from taskapi.auth.ratelimit import Limit
from taskapi.http.addresses import SUBSCRIBER, network

REGISTER_PER_NETWORK = Limit("register-address", 30, "hour")
REGISTER_PER_ACCOUNT = Limit("register-account", 10, "hour")
LOGIN_PER_NETWORK = Limit("login-address", 30, "minute")
LOGIN_PER_DEVICE = Limit("login-device", 10, "minute")
LOGIN_OF_DEVICES_PER_NETWORK = Limit("login-devices-address", 120, "minute")
REFRESH_PER_NETWORK = Limit("refresh-address", 120, "minute")
REFRESH_PER_SESSION = Limit("refresh-session", 30, "minute")
_REAUTHENTICATE_PER_NETWORK = Limit("reauthenticate-address", 30, "minute")
_REAUTHENTICATE_PER_ACCOUNT = Limit("reauthenticate-account", 10, "minute")
CREATE_TOKEN_PER_ACCOUNT = Limit("create-token-account", 60, "hour")

INVITE_PER_ACCOUNT = Limit("invite-account", 100, "day")
INVITE_PER_WORKSPACE = Limit("invite-workspace", 200, "day")

CHANGE_EMAIL_PER_ACCOUNT = Limit("change-email-account", 5, "hour")
VERIFICATION_PER_ACCOUNT = Limit("verification-account", 5, "hour")
FORGOT_PER_NETWORK = Limit("forgot-address", 30, "hour")
FORGOT_PER_ACCOUNT = Limit("forgot-account", 4, "hour")
"""Each request sends a link that is valid for an hour, so a limited account has a valid link."""

TOKEN_PER_NETWORK = Limit("email-token-address", 60, "minute")
"""Uses of tokens that were sent by mail."""
SECOND_FACTOR = (Limit("second-factor", 10, "hour"), Limit("second-factor", 30, "day"))
"""Codes of an authenticator app: in logins to an account, of a known device, in a session."""

FAILURES_OF_ACCOUNT = Limit("login-failures", 1_000, "hour")
"""Failed logins to an account from anywhere."""

LOGIN_PER_ACCOUNT_AND_NETWORK = (
    (0, Limit("login-account", 10, "minute")),
    (100, Limit("login-account", 5, "5 minutes")),
    (300, Limit("login-account", 2, "15 minutes")),
    (1_000, Limit("login-account", 1, "hour")),
)
"""The limits that hold from so many failures of the account on."""

PARTY = 48
"""The prefix length of the largest IPv6 network that one party usually has."""

_IPV6_NETWORKS = ((SUBSCRIBER, 1), (56, 2), (PARTY, 4))
"""Prefix lengths that attempts are counted by, and how many times the limit each has."""


def group_of(address: str | None, *, is_known: bool = False) -> Group:
    """The group of requests that share the time for hashing passwords: those of one party.

    Args:
        is_known: whether the client has proved to belong to the account before.
    """
    return Group(network(address, PARTY), is_known)


class Spent(NamedTuple):
    """An attempt that was counted: the limit and whose attempt it was."""

    limit: Limit
    by: str


def spend_by_network(limit: Limit, address: str | None) -> None:
    """Count an attempt for the client's address; of IPv6 for the networks around it too.

    Raises:
        RateLimited, Unavailable: as `ratelimit.spend`.
    """
    for name, factor in _networks(address):
        ratelimit.spend(limit.times(factor), by=name)


def spend_reauthentication(user_id: int, address: str | None) -> None:
    """Count an attempt of a logged-in user to prove who they are.

    Raises:
        RateLimited, Unavailable: as `ratelimit.spend`.
    """
    spend_by_network(_REAUTHENTICATE_PER_NETWORK, address)
    ratelimit.spend(_REAUTHENTICATE_PER_ACCOUNT, by=user_id)


def spend_login(email: str, address: str | None) -> list[Spent]:
    """Count a login of an unknown device before the password is verified.

    Returns:
        What counted for the account, to be forgotten if the login succeeds.

    Raises:
        RateLimited, Unavailable: as `ratelimit.spend`.
    """
    spend_by_network(LOGIN_PER_NETWORK, address)
    failures = ratelimit.count(FAILURES_OF_ACCOUNT, by=email)
    limit = [limit for least, limit in LOGIN_PER_ACCOUNT_AND_NETWORK if failures >= least][-1]
    spent = [Spent(limit.times(f), f"{email} {name}") for name, f in _networks(address)]
    for one in spent:
        ratelimit.spend(*one)
    return spent


def spend_login_of_device(family_hash: bytes, address: str | None) -> None:
    """Count a login of a device that the account knows.

    Raises:
        RateLimited, Unavailable: as `ratelimit.spend`.
    """
    spend_by_network(LOGIN_OF_DEVICES_PER_NETWORK, address)
    ratelimit.spend(LOGIN_PER_DEVICE, by=family_hash.hex())


def count_failure(email: str) -> None:
    """Count a failed login of an unknown device.

    Raises:
        Unavailable: as `ratelimit.spend`.
    """
    ratelimit.record(FAILURES_OF_ACCOUNT, by=email)


def forget(spent: list[Spent]) -> None:
    """Forget the failures before a login that succeeded.

    Raises:
        Unavailable: as `ratelimit.spend`.
    """
    for one in spent:
        ratelimit.forget(*one)


def spend_forgotten(email: str, address: str | None) -> None:
    """Count a request for a link that resets a password.

    Raises:
        RateLimited, Unavailable: as `ratelimit.spend`.
    """
    spend_by_network(FORGOT_PER_NETWORK, address)
    ratelimit.spend(FORGOT_PER_ACCOUNT, by=email)


def forget_logins(email: str, address: str | None) -> None:
    """Forget the logins to an account from anywhere, and those from the networks of an address.

    Raises:
        Unavailable: as `ratelimit.spend`.
    """
    ratelimit.forget(FAILURES_OF_ACCOUNT, by=email)
    for name, factor in _networks(address):
        for _, limit in LOGIN_PER_ACCOUNT_AND_NETWORK:
            ratelimit.forget(limit.times(factor), by=f"{email} {name}")


def _networks(address: str | None) -> Iterator[tuple[str, int]]:
    is_ipv6 = address is not None and ":" in address
    for prefix, factor in _IPV6_NETWORKS if is_ipv6 else _IPV6_NETWORKS[:1]:
        yield network(address, prefix), factor
