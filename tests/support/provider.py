"""An OpenID Connect provider outside of the service, which can be made to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from config_oidc import OidcProvider

CLIENT_ID = "taskapi"
CLIENT_SECRET = "a secret & of the client"

Claims = dict[str, Any]


def new_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@dataclass
class Provider:
    """The state of a provider. Tests change it between requests."""

    issuer: str
    user: Claims
    key: RSAKey
    published: list[dict[str, Any]] | None = None
    """The key set; by default that of `key`."""

    metadata: Claims = field(default_factory=dict)
    """Members that replace those of the metadata."""

    claims: Claims = field(default_factory=dict)
    """Claims that replace those of ID tokens; None removes one."""

    sign: Callable[[Claims], str] | None = None
    """Makes the ID token."""

    token: Claims = field(default_factory=dict)
    """Members that replace those of token responses."""

    userinfo: Claims | None = None
    """The response of the UserInfo endpoint; the ID token then has no email."""

    raw: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Status and body that replace the response of a path."""

    delay: float = 0.0
    """Seconds before each response."""

    requests: list[str] = field(default_factory=list)
    """The paths that were requested."""

    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def settings(self, name: str = "example") -> OidcProvider:
        return OidcProvider(name, self.issuer, CLIENT_ID, CLIENT_SECRET)

    def sign_in(self, address: str) -> str:
        """The address that a user is sent back to after signing in."""
        query = {name: one for name, (one,) in parse_qs(urlsplit(address).query).items()}
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer, "session_state": "x"}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        registered = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        user = self.user if self.userinfo is None else {"sub": self.user["sub"]}
        claims = {**registered, "nonce": nonce, **user, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.sign:
            return self.sign(claims)
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def respond(self, path: str, headers: Any, form: dict[str, str]) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            return 200, self._metadata()
        if path == "/keys":
            published = self.published
            return 200, {"keys": [self.key.as_dict(private=False)]} | (
                {} if published is None else {"keys": published}
            )
        if path == "/userinfo":
            assert headers["Authorization"] == "Bearer for-userinfo"
            return 200, self.userinfo
        return self._token(headers, form) if path == "/token" else (404, {})

    def _metadata(self) -> Claims:
        endpoints = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        more = {} if self.userinfo is None else {"userinfo_endpoint": f"{self.issuer}/userinfo"}
        return endpoints | more | self.metadata

    def _token(self, headers: Any, form: dict[str, str]) -> tuple[int, Any]:
        sent = base64.b64decode(headers["Authorization"].partition(" ")[2]).decode()
        assert unquote(sent.replace("+", " ")) == f"{CLIENT_ID}:{CLIENT_SECRET}"
        query = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not query or query["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        assert form["redirect_uri"] == query["redirect_uri"]
        tokens = {"access_token": "for-userinfo", "token_type": "Bearer", "expires_in": 60}
        return 200, {**tokens, "id_token": self.id_token(query["nonce"]), **self.token}


@contextmanager
def provider(key: RSAKey, **user: Any) -> Iterator[Provider]:
    """A running provider with one user, who has a verified email address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._respond({name: one for name, (one,) in parse_qs(body).items()})

        def _respond(self, form: dict[str, str]) -> None:
            running.requests.append(self.path)
            time.sleep(running.delay)
            if self.path in running.raw:
                status, body = running.raw[self.path]
            else:
                status, found = running.respond(self.path, self.headers, form)
                body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    subject = f"subject-{secrets.token_hex(8)}"
    described = {"sub": subject, "email": f"{subject}@example.com", "email_verified": True} | user
    running = Provider(f"http://127.0.0.1:{server.server_port}", described, key)
    thread = Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
