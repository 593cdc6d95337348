"""Responses: JSON with an entity tag, and errors as problem+json."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from http.client import NO_CONTENT
from typing import Any
from urllib.parse import urlencode

import orjson
import psycopg
from flask import Flask, Response, current_app, got_request_exception, request
from flask.globals import app_ctx
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed
from werkzeug.exceptions import NotFound as WerkzeugNotFound

from config import Settings
from taskapi import problems as errors
from taskapi.db.listing import Page
from taskapi.db.pages import MAX_PAGE_BYTES, SHORT_LIMIT, is_known
from taskapi.field_errors import shortened
from taskapi.http.application import CompleteResponse, current_request, requested_path
from taskapi.http.preconditions import (
    check_if_match,
    entity_tag,
    failure_detail,
    if_none_match,
)
from taskapi.http.representation import Represent, represent_as
from taskapi.http.workspaces import address
from taskapi.identity import Caller
from taskapi.runtime.context import extensions

_failures = logging.getLogger("taskapi.failure")
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def json_response(
    payload: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response. To HEAD it has no body and no Content-Length (RFC 9110 section 9.3.2)."""
    is_head = current_request().method == "HEAD"
    body = None if is_head else orjson.dumps(payload, option=_OPTIONS)
    return raw_response(body, "application/json", status, headers or {})


def versioned_response(
    payload: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The response with a resource and its ETag, or 304 if the client has this version.

    Raises:
        InvalidInput, PreconditionFailed: see `check_if_match`.
    """
    version, request = payload["version"], current_request()
    tag = entity_tag(version)
    if request.is_read:
        check_if_match(request, tag)
        if is_known(version, if_none_match(request)):
            return not_modified(tag)
    return json_response(payload, status, {"ETag": tag, **(headers or {})})


def created_response(payload: Mapping[str, Any]) -> Response:
    """The response with a new resource, its ETag and its URL."""
    location = f"{address(current_request())}/{payload['id']}"
    return versioned_response(payload, 201, {"Location": location})


def page_response(
    name: str, found: Page[Any], caller: Caller | None, represent: Represent
) -> Response:
    """The response with a page, or 304 if the client has this version of the list.

    Args:
        name: the member of the body with the rows.
        caller: None for an operation that has no ETags and ignores If-Match.

    Raises:
        InvalidInput, PreconditionFailed: see `check_if_match`.
    """
    headers, tag = {}, None
    if caller:
        if found.version is not None:
            headers["ETag"] = tag = entity_tag(found.version, caller)
        check_if_match(current_request(), tag)
    if tag and found.rows is None:
        return not_modified(tag)
    rows = found.rows or []
    json, next_cursor = _within_size(rows, represent), found.next_cursor
    if len(json) < len(rows):
        next_cursor = found.cursor_after(rows[len(json) - 1])
    if next_cursor:
        following = request.args.to_dict() | {"cursor": next_cursor}
        headers["Link"] = f'<{address(current_request())}?{urlencode(following)}>; rel="next"'
    page = {name: json, "total": found.total, "next_cursor": next_cursor}
    return json_response(page, headers=headers)


def _within_size(rows: Sequence[Any], represent: Represent) -> list[Any]:
    """The JSON of the rows, up to the maximum size of a page."""
    if len(rows) <= SHORT_LIMIT:
        return [represent(row) for row in rows]
    fragments: list[orjson.Fragment] = []
    left = MAX_PAGE_BYTES
    for row in rows:
        json = orjson.dumps(represent(row), option=_OPTIONS)
        left -= len(json)
        if left < 0:
            break
        fragments.append(orjson.Fragment(json))
    return fragments


def not_modified(tag: str) -> Response:
    """The 304 response for this entity tag."""
    return Response(status=304, headers={"ETag": tag})


def problem_response(problem: errors.Problem) -> Response:
    """The response of a problem."""
    request = current_request()
    request.log_fields["problem"] = problem.code
    body, headers = problem.body(request.id), dict(problem.headers)
    if isinstance(problem, errors.ProblemWithRow) and (row := problem.find()):
        found = represent_as(problem.noun, row)
        body[problem.noun] = found
        if isinstance(problem, errors.PreconditionFailed):
            headers["ETag"] = entity_tag(found["version"])
            body["detail"] = failure_detail(request, found["version"]) or problem.detail
    raw = orjson.dumps(body, option=_OPTIONS)
    return raw_response(raw, "application/problem+json", problem.status, headers)


def init_app(app: Flask, settings: Settings) -> None:
    """Return all errors as problem+json, and set headers for browsers and caches."""
    vary = "Authorization, Origin" if settings.cors_origins else "Authorization"
    app.extensions["taskapi_vary"] = vary

    @app.after_request
    def add_headers(response: Response) -> Response:
        if isinstance(response, CompleteResponse):  # which has them
            return response
        headers = response.headers
        for name, value in _common_headers(headers):
            headers.setdefault(name, value)
        headers.add("Vary", vary)
        if response.status_code == NO_CONTENT or request.method == "OPTIONS":
            headers.pop("Content-Type", None)
        return response

    app.register_error_handler(errors.Problem, problem_response)
    app.register_error_handler(HTTPException, lambda e: problem_response(_from_werkzeug(e)))
    app.register_error_handler(Exception, _unexpected)


def raw_response(
    body: bytes | None, media_type: str, status: int, headers: Mapping[str, str]
) -> CompleteResponse:
    """A response with this body, or without one, and all of its headers."""
    length = [] if body is None else [("Content-Length", str(len(body)))]
    return CompleteResponse(
        [body or b""],
        status,
        [
            ("Content-Type", media_type),
            *length,
            *headers.items(),
            *_common_headers(headers),
            ("Vary", extensions()["taskapi_vary"]),
        ],
    )


def _common_headers(headers: Mapping[str, str] | Headers) -> list[tuple[str, str]]:
    """The headers that all responses have."""
    # Only responses with a validator may be stored, by the user's own cache.
    policy = "private, no-cache" if "ETag" in headers else "no-store"
    return [
        ("Cache-Control", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-ID", current_request().id),
    ]


def _from_werkzeug(error: HTTPException) -> errors.Problem:
    if isinstance(error, WerkzeugMethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return errors.MethodNotAllowed(
            f"This URL supports only {allowed}.", headers={"Allow": allowed}
        )
    if isinstance(error, WerkzeugNotFound):
        return errors.NotFound(_similar_path())
    kinds = {413: errors.ContentTooLarge, 400: errors.InvalidInput}
    if error.code in kinds:
        return kinds[error.code]()
    return _unexpected_problem(error)


def _similar_path() -> str | None:
    """A message about the path that the client probably means, which has no empty parts."""
    sent = requested_path(current_request())
    path = "/" + "/".join(filter(None, sent.split("/")))
    adapter = current_app.create_url_adapter(current_request())
    if path == sent or not adapter or not adapter.allowed_methods(path):
        return None
    full = shortened(current_request().root_path + path)
    return f"Not found. The path is {full}, without further slashes."


def _unexpected(error: Exception) -> Response:
    # Error reporting listens to this signal, which Flask sends only for unhandled errors.
    got_request_exception.send(app_ctx.app, exception=error)
    return problem_response(_unexpected_problem(error))


def _unexpected_problem(error: Exception) -> errors.Problem:
    # The error's text may contain user data, so only its type and its traceback are logged.
    trace = "".join(traceback.format_tb(error.__traceback__))
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    fields = {"error": type(error).__name__, "sqlstate": state, "trace": trace}
    _failures.error("failed", extra=fields)
    return errors.InternalError()
