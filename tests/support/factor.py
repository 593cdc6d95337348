"""Second factors: what an authenticator app does, and accounts that have one."""

from __future__ import annotations

import time
from typing import NamedTuple

from pyotp import TOTP
from support.api import PASSWORD, Api

STEP = 30
_SECONDS_LEFT = 4


class Factor(NamedTuple):
    """A second factor: the secret in the app, and the recovery codes."""

    secret: str
    recovery_codes: list[str]

    def code(self, offset: int = 0) -> str:
        return code_of(self.secret, offset)


def code_of(secret: str, offset: int = 0) -> str:
    """The code of an app whose clock is some steps early or late."""
    left = STEP - time.time() % STEP
    if offset and left < _SECONDS_LEFT:  # the step must not end before the code is verified
        time.sleep(left)
    return TOTP(secret).at(time.time(), counter_offset=offset)


def enroll(person: Api) -> str:
    """The secret of a new, pending second factor."""
    body = {"password": PASSWORD}
    return str(person.expect(200, "POST", "/auth/second-factor", json=body)["secret"])


def enabled(person: Api) -> Factor:
    """A new second factor that is on. The current code of the app is not used yet."""
    secret = enroll(person)
    body = {"code": code_of(secret, -1)}
    confirmed = person.expect(200, "POST", "/auth/second-factor/confirm", json=body)
    return Factor(secret, confirmed["recovery_codes"])


_enabled: dict[str, Factor] = {}
"""By email, what `new_code` has turned on."""


def new_code(person: Api) -> str:
    """A code that works for this user, whose second factor is turned on if it is off."""
    state = person.expect(200, "GET", "/auth/me")["second_factor"]
    if not state["is_enabled"]:
        return _used_one(person, enabled(person))
    factor, left = _enabled[person.email], state["recovery_codes_left"]
    if not 0 < left <= len(factor.recovery_codes):  # all were used, or they were replaced
        body = {"password": PASSWORD, "code": factor.code()}
        more = person.expect(200, "POST", "/auth/second-factor/recovery-codes", json=body)
        return _used_one(person, Factor(factor.secret, more["recovery_codes"]))
    del factor.recovery_codes[left:]
    return factor.recovery_codes[-1]


def _used_one(person: Api, factor: Factor) -> str:
    """Use one of ten recovery codes, so that new ones can be told from those that are known."""
    _enabled[person.email] = factor
    email = person.expect(200, "GET", "/auth/me")["email"]  # it may have been changed
    body = {"email": email, "password": PASSWORD, "code": factor.recovery_codes.pop()}
    person.expect(200, "POST", "/auth/login", json=body)
    return factor.recovery_codes[-1]


def confirmation_code(person: Api) -> str:
    """A code that confirms a new second factor, unless one is on."""
    is_enabled = person.expect(200, "GET", "/auth/me")["second_factor"]["is_enabled"]
    return new_code(person) if is_enabled else code_of(enroll(person))
