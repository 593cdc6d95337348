"""The service, with an additional path whose response fails after its first part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wsgi import app as service


def app(environ: dict[str, Any], start_response: Any) -> Any:
    return (
        _broken(start_response)
        if environ["PATH_INFO"] == "/breaks"
        else service(environ, start_response)
    )


def _broken(start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "20")])
    yield b"first part"
    raise RuntimeError("the rest is missing")
