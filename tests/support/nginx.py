"""nginx with the configuration of the guide, in front of a running service."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support import secured
from support.servers import ROOT, free_port

CONFIGURATION = ROOT / "deploy" / "nginx.conf"
_SECONDS = 10
_CERTIFICATE = "/etc/letsencrypt/live/tasks.example.com"


class Proxy(NamedTuple):
    """A running nginx."""

    port: int
    plain_port: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextmanager
def before(service_port: int, folder: Path) -> Iterator[Proxy]:
    """nginx in front of the service on this port, with test ports and a test certificate.

    Raises:
        RuntimeError: it is not installed, or does not start.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        raise RuntimeError("No nginx was found: install it (sudo apt-get install nginx-light).")
    certificates, port, plain_port = secured.certificates(folder), free_port(), free_port()
    ours = _replaced(
        CONFIGURATION.read_text(),
        {
            "127.0.0.1:8000": f"127.0.0.1:{service_port}",
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "listen 80;": f"listen 127.0.0.1:{plain_port};",
            f"{_CERTIFICATE}/fullchain.pem": str(certificates.certificate),
            f"{_CERTIFICATE}/privkey.pem": str(certificates.key),
        },
    )
    (folder / "taskapi.conf").write_text(ours)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; pid {folder}/pid; events {{}}\n"
        f"http {{ access_log off; {temporary} include {folder}/taskapi.conf; }}\n"
    )
    log = folder / "nginx.log"
    process = subprocess.Popen([program, "-e", str(log), "-c", str(main)], cwd=folder)
    try:
        _wait(port, process, log)
        yield Proxy(
            port, plain_port, ssl.create_default_context(cafile=str(certificates.authority))
        )
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _replaced(text: str, values: dict[str, str]) -> str:
    for old, new in values.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nginx does not start: {log.read_text() if log.exists() else ''}")
