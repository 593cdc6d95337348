"""npm's oidc-provider, a real OpenID Connect provider, and its users."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
from support.servers import free_port

from config_oidc import OidcProvider

_FORM = re.compile(r'<form[^>]* action="([^"]+)"')
_PROMPT = re.compile('name="prompt" value="([a-z]+)"')
_CANCEL = re.compile(r'<a href="([^"]+)">\[ Cancel \]')


class RealProvider:
    """A running provider. Each start has new keys and no sessions."""

    def __init__(self, folder: Path, redirect_uri: str, email: str) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.email = email
        self._folder = folder
        self._redirect_uri = redirect_uri

    @contextmanager
    def running(self) -> Iterator[None]:
        options = {"port": self.port, "redirectUri": self._redirect_uri, "email": self.email}
        command = ["node", "provider.mjs", json.dumps(options | {"verified": True})]
        with subprocess.Popen(
            command,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                assert process.stdout
                printed: list[str] = []
                while "ready\n" not in printed:
                    printed.append(process.stdout.readline())
                    assert printed[-1], "".join(printed)
                yield
            finally:
                # The virtual environment's `node` is a script, whose child is Node.js.
                os.killpg(process.pid, signal.SIGKILL)

    def settings(self, name: str) -> OidcProvider:
        return OidcProvider(name, self.issuer, "taskapi", "a secret of the client")

    def sign_in(self, address: str, *, cancels: bool = False, **form: str) -> str:
        """What a user does in a browser of their own: the address that they are sent back to."""
        with httpx.Client(timeout=20) as client:
            answer = client.get(address)
            while True:
                while answer.is_redirect:
                    location = urljoin(str(answer.url), answer.headers["Location"])
                    if not location.startswith(self.issuer):
                        return location
                    answer = client.get(location)
                answer.raise_for_status()
                if cancels:
                    answer = client.get(
                        urljoin(str(answer.url), unescape(_found(_CANCEL, answer.text)))
                    )
                    continue
                prompt = _found(_PROMPT, answer.text)
                login = {"login": "ada", "password": "any password"} if prompt == "login" else {}
                action = urljoin(str(answer.url), unescape(_found(_FORM, answer.text)))
                answer = client.post(action, data={"prompt": prompt} | login | form)


def _found(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    assert found, page
    return found[1]
