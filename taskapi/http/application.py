"""Flask as this service uses it: what every request would otherwise pay for is left out.

Each override is of a method that Flask or werkzeug documents, and leaves out only what no operation
has: host names in routes, and headers that are still to be completed.
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
    """A request, with what its line in the log says of it."""

    user_id: int | None = None
    """Whose token it carries."""

    def __init__(self, environ: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(environ, *args, **kwargs)
        self.started = perf_counter()
        self.noted: dict[str, Any] = {}

    @cached_property
    def id(self) -> str:
        """The client's own X-Request-ID when it is well-formed, else a new one."""
        sent = self.environ.get("HTTP_X_REQUEST_ID", "")
        # Unique, not secret: to ask the kernel for randomness takes longer than to log the line.
        return sent if _WELL_FORMED_ID.fullmatch(sent) else f"{random.getrandbits(96):024x}"


class Answer(Response):
    """A whole body with all its headers, which is sent as it is."""

    on_sent: Callable[[], None] | None = None
    """Called when the body was sent, or given up."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        start_response(self.status, list(self.headers))
        # A list of one piece, as it was given.
        body = [] if environ["REQUEST_METHOD"] == "HEAD" else cast("list[bytes]", self.response)
        return ClosingIterator(body, self.on_sent) if self.on_sent else body


class Application(Flask):
    """Flask for views that are plain functions, on whatever host they are asked."""

    request_class = Request

    def create_url_adapter(self, request: FlaskRequest | None) -> MapAdapter | None:
        """Finds the view by path and method alone.

        Flask's own looks at the host as well, takes /tasks and //tasks for the same, and finds no
        view for a request that offers to become a websocket.
        """
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        return self.url_map.bind(
            "",
            script_name=request.root_path,
            path_info=environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            default_method=environ["REQUEST_METHOD"],
            query_args=environ.get("QUERY_STRING", ""),
        )


def current_request() -> Request:
    """The request that is being handled.

    Raises:
        RuntimeError: there is none.
    """
    return cast("Request", context.current_request())
