"""Flask without work that no operation of this service needs.

Only documented methods are overridden. Routes have no host names, and responses are complete.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from time import perf_counter
from typing import Any, cast

from flask import Flask, Response
from flask import Request as FlaskRequest
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import ClosingIterator

from taskapi.runtime import context

_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class Request(FlaskRequest):
    """A request, with the fields of its log line."""

    user_id: int | None = None
    """The user of the access token."""

    @property
    def is_read(self) -> bool:
        """Whether the method is GET or HEAD."""
        return self.method in ("GET", "HEAD")

    def __init__(self, environ: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(environ, *args, **kwargs)
        self.started = perf_counter()
        self.log_fields: dict[str, Any] = {}

    @cached_property
    def id(self) -> str:
        """The client's X-Request-ID if it is well-formed, otherwise a new ID."""
        sent = self.environ.get("HTTP_X_REQUEST_ID", "")
        # Unique, not secret. Randomness from the kernel takes longer than logging the line.
        return sent if _WELL_FORMED_ID.fullmatch(sent) else f"{random.getrandbits(96):024x}"


class CompleteResponse(Response):
    """A response with a complete body and all headers, which is sent without changes."""

    on_sent: Callable[[], None] | None = None
    """Called when the body was sent, or the client is gone."""

    @property
    def body(self) -> list[bytes]:
        """The parts of the body."""
        return cast("list[bytes]", self.response)

    @property
    def size(self) -> int:
        """The bytes of the body."""
        return sum(map(len, self.body))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        start_response(self.status, list(self.headers))
        body = [] if environ["REQUEST_METHOD"] == "HEAD" else self.body
        return ClosingIterator(body, self.on_sent) if self.on_sent else body


class Application(Flask):
    """Flask for views that are plain functions, for any host."""

    request_class = Request

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself: none is a coroutine, and to look costs 6 µs per request."""
        return func

    def create_url_adapter(self, request: FlaskRequest | None) -> MapAdapter | None:
        """Match the path and the method only.

        Flask also matches the host, merges slashes (//tasks), and finds no view for a request that
        could be upgraded to a websocket.
        """
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        path = requested_path(request)
        return self.url_map.bind(
            "",
            script_name=request.root_path,
            # Werkzeug ignores all slashes at the beginning. With this prefix it finds no view.
            path_info=f"/-{path}" if path.startswith("//") else path,
            default_method=environ["REQUEST_METHOD"],
            query_args=environ.get("QUERY_STRING", ""),
        )


def requested_path(request: FlaskRequest) -> str:
    """The path of a request as it was sent. `Request.path` leaves slashes at the beginning out."""
    sent: str = request.environ["PATH_INFO"]
    return sent.encode("latin-1").decode(errors="replace")


def current_request() -> Request:
    """The current request.

    Raises:
        RuntimeError: there is none.
    """
    return cast("Request", context.current_request())
