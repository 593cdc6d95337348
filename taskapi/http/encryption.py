"""Encryption of stored data (Fernet: AES-128-CBC and HMAC-SHA-256)."""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from taskapi.identity import signing_keys


def encrypt(content: bytes, purpose: bytes) -> bytes:
    """Encrypt content with the current key, for one purpose."""
    return _fernet(purpose).encrypt(content)


def decrypt(encrypted: bytes, purpose: bytes) -> bytes | None:
    """Decrypt content that was encrypted for this purpose; None if no key matches."""
    try:
        return _fernet(purpose).decrypt(encrypted)
    except InvalidToken:
        return None


def reencrypt(encrypted: bytes, purpose: bytes) -> bytes | None:
    """Return the content encrypted with the current key, as it is if it was; None as `decrypt`."""
    try:
        _fernets(purpose)[0].decrypt(encrypted)
    except InvalidToken:
        content = decrypt(encrypted, purpose)
        return None if content is None else encrypt(content, purpose)
    return encrypted


def _fernet(purpose: bytes) -> MultiFernet:
    return MultiFernet(_fernets(purpose))


def _fernets(purpose: bytes) -> list[Fernet]:
    derived = (hmac.digest(key.encode(), purpose, hashlib.sha256) for key in signing_keys())
    return [Fernet(base64.urlsafe_b64encode(key)) for key in derived]
