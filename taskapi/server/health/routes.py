"""The calls of the service itself."""

from __future__ import annotations

import inspect

from flask import Blueprint, Response, current_app

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
    "description": "The access token was genuine and its time is over: refresh it.",
}


@health.get("/")
@operation(
    summary="What this is",
    is_public=True,
    answers=schemas.Service,
    example={"name": "taskapi", "version": "0.1.0", "links": _LINKS},
)
def get_service() -> Response:
    """Name, version and where to go on."""
    version = current_app.extensions["taskapi_version"]
    return json_response({"name": "taskapi", "version": version, "links": _LINKS})


@health.get("/livez")
@operation(summary="Is it up", is_public=True, answers=schemas.Health, example={"status": "ok"})
def get_liveness() -> Response:
    """The process answers; nothing else is asked."""
    return json_response({"status": "ok"})


@health.get("/readyz")
@operation(
    summary="Is it ready",
    is_public=True,
    answers=schemas.Health,
    example={"status": "ok"},
    problems=(service.NotReady,),
)
def get_readiness() -> Response:
    """The database answers and has the schema of this release."""
    service.check_readiness()
    return json_response({"status": "ok"})


@health.get("/problems/<code>")
@operation(
    summary="What an error means",
    is_public=True,
    answers=schemas.ProblemKind,
    example=_PROBLEM_EXAMPLE,
    problems=(NotFound,),
)
def get_problem(code: str) -> Response:
    """What the `type` of a problem points to."""
    kind = all_problems().get(code)
    if kind is None:
        raise NotFound
    described = {"type": f"/problems/{code}", "title": kind.title, "status": kind.status}
    return json_response(described | {"code": code, "description": inspect.getdoc(kind) or ""})


@health.get("/openapi.json")
def get_openapi() -> Response:
    """This service's OpenAPI document."""
    return Response(current_app.extensions["taskapi_openapi"](), mimetype="application/json")
