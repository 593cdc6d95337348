"""Sealing: what is kept is read and made by the service alone (Fernet: AES-128-CBC and HMAC)."""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from taskapi.identity import signing_keys


def seal(content: bytes, purpose: bytes) -> bytes:
    """The content, sealed by the service's present key for one purpose."""
    return _fernet(purpose).encrypt(content)


def unseal(sealed: bytes, purpose: bytes) -> bytes | None:
    """What was sealed for this purpose; None when none of the service's keys opens it."""
    try:
        return _fernet(purpose).decrypt(sealed)
    except InvalidToken:
        return None


def _fernet(purpose: bytes) -> MultiFernet:
    derived = (hmac.digest(key.encode(), purpose, hashlib.sha256) for key in signing_keys())
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])
