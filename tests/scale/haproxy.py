"""HAProxy with the documented configuration, in front of instances of the service."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
from support import secured
from support.servers import ROOT, free_port

CONFIGURATION = ROOT / "deploy" / "haproxy.cfg"
_SECONDS = 10


class Balancer(NamedTuple):
    """A running HAProxy."""

    url: str
    trust: ssl.SSLContext


@contextmanager
def before(one: str, two: str, folder: Path) -> Iterator[Balancer]:
    """HAProxy in front of two instances, with test ports and a test certificate.

    Raises:
        RuntimeError: it is not installed, or does not start.
    """
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        raise RuntimeError("No HAProxy was found: install it (sudo apt-get install haproxy).")
    certificates, port = secured.certificates(folder), free_port()
    both = folder / "both.pem"
    both.write_text(certificates.certificate.read_text() + certificates.key.read_text())
    text = CONFIGURATION.read_text()
    ours = {
        "10.0.0.1:8000": one.removeprefix("http://"),
        "10.0.0.2:8000": two.removeprefix("http://"),
        "bind :443 ": f"bind 127.0.0.1:{port} ",
        "/etc/haproxy/tasks.example.com.pem": str(both),
        "bind :80": f"bind 127.0.0.1:{free_port()}",
    }
    for theirs, replaced in ours.items():
        assert theirs in text, theirs
        text = text.replace(theirs, replaced)
    (folder / "haproxy.cfg").write_text(text)
    log = folder / "haproxy.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "-db", "-f", folder / "haproxy.cfg"], stdout=output, stderr=output
        )
    balancer = Balancer(
        f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=str(certificates.authority))
    )
    try:
        _wait(balancer, process, log)
        yield balancer
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _wait(balancer: Balancer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    with httpx.Client(verify=balancer.trust) as client:
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(httpx.TransportError):
                client.get(f"{balancer.url}/livez")
                return
            time.sleep(0.05)
    raise RuntimeError(f"HAProxy does not start: {log.read_text()}")
