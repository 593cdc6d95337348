"""The operations of the service itself."""

from __future__ import annotations

import gzip
import hashlib
import inspect
from functools import lru_cache
from typing import NamedTuple

from flask import Blueprint, Response, current_app, request

from taskapi.http.operations import operation
from taskapi.http.responses import json_response
from taskapi.problems import NotFound, all_problems
from taskapi.server.health import schemas, service

health = Blueprint("service", __name__)

_LINKS = {"docs": "/docs", "redoc": "/redoc", "openapi": "/openapi.json", "health": "/readyz"}
_PROBLEM_EXAMPLE = {
    "type": "/problems/token_expired",
    "title": "Token expired",
    "status": 401,
    "code": "token_expired",
    "description": "The access token has expired. Get a new one with `POST /auth/refresh`.",
}


@health.get("/")
@operation(
    summary="Get the service",
    is_public=True,
    response=schemas.Service,
    example={"name": "taskapi", "version": "0.1.0", "links": _LINKS},
)
def get_service() -> Response:
    """Returns the name and version of the service, and links to its documentation."""
    version = current_app.extensions["taskapi_version"]
    return json_response({"name": "taskapi", "version": version, "links": _LINKS})


@health.get("/livez")
@operation(
    summary="Check liveness", is_public=True, response=schemas.Health, example={"status": "ok"}
)
def get_liveness() -> Response:
    """Returns 200 while the process handles requests. The database is not queried."""
    return json_response({"status": "ok"})


@health.get("/readyz")
@operation(
    summary="Check readiness",
    is_public=True,
    response=schemas.Health,
    example={"status": "ok"},
    problems=(service.NotReady,),
)
def get_readiness() -> Response:
    """Returns 200 if the database responds and its schema is compatible, otherwise 503."""
    service.check_readiness()
    return json_response({"status": "ok"})


@health.get("/problems/<code>")
@operation(
    summary="Get the explanation of an error",
    is_public=True,
    response=schemas.ProblemKind,
    example=_PROBLEM_EXAMPLE,
    problems=(NotFound,),
)
def get_problem(code: str) -> Response:
    """Explains a kind of error. The `type` of an error response is this URL."""
    kind = all_problems().get(code)
    if kind is None:
        raise NotFound
    return json_response(
        {
            "type": f"/problems/{code}",
            "title": kind.title,
            "status": kind.status,
            "code": code,
            "description": inspect.getdoc(kind) or "",
        }
    )


@health.get("/openapi.json")
def get_openapi() -> Response:
    """The OpenAPI document."""
    document = _encoded(current_app.extensions["taskapi_openapi"]())
    is_gzip = request.accept_encodings["gzip"] > 0
    body = document.compressed if is_gzip else document.plain
    response = Response(body, mimetype="application/json")
    response.set_etag(f"{document.digest}{'-gzip' if is_gzip else ''}")
    if is_gzip:
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    response.make_conditional(request)
    return response


class _Document(NamedTuple):
    """A document, as it is sent to clients with and without support for gzip."""

    plain: bytes
    compressed: bytes
    digest: str


@lru_cache(1)
def _encoded(document: bytes) -> _Document:
    digest = hashlib.sha256(document).hexdigest()[:32]
    return _Document(document, gzip.compress(document, mtime=0), digest)
