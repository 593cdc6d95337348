"""Codes of an authenticator app (TOTP, RFC 6238) and recovery codes. Nothing is stored here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import re
import secrets

import segno
from pyotp import TOTP, random_base32

RECOVERY_CODES = 10
"""The number of recovery codes that are issued together."""

_STEP_SECONDS = 30
_SECRET_LENGTH = 32
"""The length in base32: 160 bits, as RFC 4226 section 4 recommends."""

_RECOVERY_BYTES = 15
"""120 bits, so that no hash but SHA-256 is needed (ASVS 6.5.2)."""

_GROUP = 4
_SEPARATORS = re.compile(r"[\s-]+")
_CODE_OF_APP = re.compile("[0-9]{6}", re.ASCII)
_MAX_LABEL = 64
"""An email in a QR code is shortened to this length, because a longer one may not fit."""


def new_secret() -> str:
    """Return a random secret in base32."""
    return random_base32(_SECRET_LENGTH)


def provisioning_uri(secret: str, email: str, issuer: str) -> str:
    """Return the `otpauth:` URI that an authenticator app imports."""
    label = email if len(email) <= _MAX_LABEL else f"{email[: _MAX_LABEL - 1]}…"
    return TOTP(secret).provisioning_uri(name=label, issuer_name=issuer)


def qr_svg(uri: str) -> str:
    """Return a QR code as an SVG document."""
    content = io.BytesIO()
    segno.make_qr(uri, error="m").save(
        content,
        kind="svg",
        scale=4,
        light="white",
        xmldecl=False,
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    return content.getvalue().decode()


def normalized(code: str) -> str:
    """Return a code without the white space and hyphens that people type, in upper case."""
    return _SEPARATORS.sub("", code).upper()


def is_of_app(code: str) -> bool:
    """Whether a normalized code has the form of an app's codes. All others are recovery codes."""
    return _CODE_OF_APP.fullmatch(code) is not None


def matching_step(secret: str, code: str, seconds: float) -> int:
    """Return the time step of an app's code, or 0 if it is wrong.

    The clock of the app may be one step early or late.

    Args:
        seconds: the Unix time.
    """
    totp, now = TOTP(secret), int(seconds) // _STEP_SECONDS
    steps = range(now - 1, now + 2)
    matching = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)]
    return max(matching, default=0)


def new_recovery_codes() -> list[str]:
    """Return random recovery codes, in groups of four characters."""
    return [_grouped(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def recovery_hash(code: str) -> bytes:
    """Return the stored hash of a recovery code."""
    return hashlib.sha256(normalized(code).encode()).digest()


def _grouped(random: bytes) -> str:
    text = base64.b32encode(random).decode().lower()
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))
