"""Forged access tokens, each invalid in one way."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from support.databases import KEY

from taskapi.identity import key_id

OTHER_KEY = "another key for tests, as long as the first one"

Parts = tuple[dict[str, Any], dict[str, Any]]
"""Header and claims."""


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def parts_of(token: str) -> Parts:
    header, claims, _ = token.split(".")
    return json.loads(decoded(header)), json.loads(decoded(claims))


def signed(header: Any, claims: Any, key: str = KEY, digest: str = "sha256") -> str:
    """A token that is signed without a library, so that it can have invalid parts."""
    head = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{head}.{encoded(hmac.digest(key.encode(), head.encode(), digest))}"


def _with_header(**changes: Any) -> Callable[[Parts], str]:
    return lambda parts: signed(parts[0] | changes, parts[1])


def _with_claims(**changes: Any) -> Callable[[Parts], str]:
    return lambda parts: signed(parts[0], parts[1] | changes)


def _without(part: int, name: str) -> Callable[[Parts], str]:
    def forge(parts: Parts) -> str:
        parts_kept = [
            {k: v for k, v in p.items() if i != part or k != name} for i, p in enumerate(parts)
        ]
        return signed(*parts_kept)

    return forge


def _unsigned(algorithm: str) -> Callable[[Parts], str]:
    def forge(parts: Parts) -> str:
        return signed(parts[0] | {"alg": algorithm}, parts[1]).rpartition(".")[0] + "."

    return forge


def _tampered(parts: Parts) -> str:
    header, _, signature = signed(*parts).split(".")
    claims = parts[1] | {"sub": str(int(parts[1]["sub"]) + 1)}
    return f"{header}.{encoded(json.dumps(claims).encode())}.{signature}"


def _flipped_signature(parts: Parts) -> str:
    head, _, signature = signed(*parts).rpartition(".")
    flipped = bytes([decoded(signature)[0] ^ 1]) + decoded(signature)[1:]
    return f"{head}.{encoded(flipped)}"


def _with_own_key(**header: Any) -> Callable[[Parts], str]:
    """A token that contains or references the key that it is signed with."""
    return lambda parts: signed(parts[0] | header, parts[1], key=OTHER_KEY)


_OTHER_K = encoded(OTHER_KEY.encode())
NONE = ("none", "None", "NONE", "nOnE", "none ", "")
ASYMMETRIC = [f"{kind}{bits}" for kind in ("RS", "ES", "PS") for bits in (256, 384, 512)] + [
    "EdDSA"
]

FORGERIES: dict[str, Callable[[Parts], str]] = {
    **{f"unsigned, algorithm {spelled!r}": _unsigned(spelled) for spelled in NONE},
    "no algorithm named": _without(0, "alg"),
    "algorithm none with a signature": _with_header(alg="none"),
    "HS512 with its signature": lambda p: signed(p[0] | {"alg": "HS512"}, p[1], digest="sha512"),
    "HS384 with its signature": lambda p: signed(p[0] | {"alg": "HS384"}, p[1], digest="sha384"),
    **{f"{name} signed with the secret": _with_header(alg=name) for name in ASYMMETRIC},
    "HS256 in lower case": _with_header(alg="hs256"),
    "algorithm is a list": _with_header(alg=["HS256"]),
    "key in the header": _with_header(kid=None, jwk={"kty": "oct", "k": "AAAA"}),
    "key in the header, signed with it": _with_own_key(jwk={"kty": "oct", "k": _OTHER_K}),
    "key at an address": _with_own_key(jku="http://127.0.0.1:9/keys", kid="theirs"),
    "certificate at an address": _with_own_key(x5u="file:///dev/null"),
    "certificate in the header": _with_own_key(x5c=[_OTHER_K]),
    "critical extension": _with_header(crit=["exp"], b64=False),
    "another key": lambda p: signed(*p, key=OTHER_KEY),
    "another key, and its own kid": lambda p: signed(
        p[0] | {"kid": key_id(OTHER_KEY)}, p[1], key=OTHER_KEY
    ),
    "an empty key": lambda p: signed(*p, key=""),
    "unknown kid": _with_header(kid="0" * 16),
    "kid missing": _without(0, "kid"),
    "kid a number": _with_header(kid=0),
    "kid null": _with_header(kid=None),
    "kid a list": _with_header(kid=[key_id(KEY)]),
    "kid a path": _with_header(kid="../../../../dev/null"),
    "kid of an empty file, signed with nothing": lambda p: signed(
        p[0] | {"kid": "/dev/null"}, p[1], key=""
    ),
    "kid a statement that selects the key": lambda p: signed(
        p[0] | {"kid": f"x' UNION SELECT '{OTHER_KEY}' --"}, p[1], key=OTHER_KEY
    ),
    "kid a command": _with_header(kid="x|sleep 10"),
    "kid with a NUL": _with_header(kid=f"{key_id(KEY)}\0"),
    "payload tampered with": _tampered,
    "signature tampered with": _flipped_signature,
    "signature missing": lambda p: signed(*p).rpartition(".")[0],
    "signature of a longer hash cut short": lambda p: signed(*p, digest="sha512")[:-43],
    "without sub": _without(1, "sub"),
    "without exp": _without(1, "exp"),
    "without iat": _without(1, "iat"),
    "without jti": _without(1, "jti"),
    "without sid": _without(1, "sid"),
    "jti empty": _with_claims(jti=""),
    "sub 0": _with_claims(sub="0"),
    "sub a word": _with_claims(sub="abc"),
    "sub an Arabic digit": _with_claims(sub="٣"),
    "sub a superscript": _with_claims(sub="²"),
    "sub signed": _with_claims(sub="+1"),
    "sub negative": _with_claims(sub="-1"),
    "sub empty": _with_claims(sub=""),
    "sub beyond any id": _with_claims(sub=str(10**30)),
    "sub null": _with_claims(sub=None),
    "sub a list": _with_claims(sub=["1"]),
    "sub an integer": lambda p: signed(p[0], p[1] | {"sub": int(p[1]["sub"])}),
    "sub a true": _with_claims(sub=True),
    "sid 0": _with_claims(sid=0),
    "sid negative": _with_claims(sid=-1),
    "sid a true": _with_claims(sid=True),
    "sid null": _with_claims(sid=None),
    "sid beyond any id": _with_claims(sid=10**30),
    "sid a string": lambda p: signed(p[0], p[1] | {"sid": str(p[1]["sid"])}),
    "sid a float": lambda p: signed(p[0], p[1] | {"sid": float(p[1]["sid"])}),
    "sid of no session": lambda p: signed(p[0], p[1] | {"sid": p[1]["sid"] + 10**6}),
    "sub of nobody": _with_claims(sub=str(2**53 - 1)),
    "exp a string": lambda p: signed(p[0], p[1] | {"exp": str(p[1]["exp"])}),
    "exp a float": lambda p: signed(p[0], p[1] | {"exp": p[1]["exp"] + 0.5}),
    "exp a true": _with_claims(exp=True),
    "exp null": _with_claims(exp=None),
    "iat a string": _with_claims(iat="now"),
    "iat in the future": _with_claims(iat=int(time.time()) + 3_600),
    "not before tomorrow": _with_claims(nbf=int(time.time()) + 86_400),
    "type refresh": _with_claims(type="refresh"),
    "type null": _with_claims(type=None),
    "type a list": _with_claims(type=["access"]),
    "claims are a list": lambda p: signed(p[0], [p[1]]),
    "claims are a string": lambda p: signed(p[0], "claims"),
    "claims are null": lambda p: signed(p[0], None),
    "header is a list": lambda p: signed([p[0]], p[1]),
    "header is null": lambda p: signed(None, p[1]),
    "8 kB": _with_claims(padding="x" * 6_000),
    "nested deeply": lambda p: f"{encoded(b'[' * 500)}.{encoded(b'{}')}.{encoded(b'x' * 32)}",
    "not base64": lambda p: "!!!.???.***",
    "two dots": lambda p: "..",
    "no dots": lambda p: "token",
    "four parts": lambda p: signed(*p) + ".x",
    "two tokens": lambda p: f"{signed(*p)} {signed(*p)}",
    "two headers joined": lambda p: f"{signed(*p)}, Bearer {signed(*p)}",
    "latin": lambda p: "tökén",
    "the word null": lambda p: "null",
}
