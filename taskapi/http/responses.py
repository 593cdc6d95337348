"""Answers: JSON with its entity tag, and every error as problem+json."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from http.client import NO_CONTENT
from typing import Any
from urllib.parse import urlencode

import orjson
import psycopg
from flask import Flask, Response, got_request_exception, request
from flask.globals import app_ctx
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed

from config import Settings
from taskapi import problems as errors
from taskapi.db.listing import Page
from taskapi.db.pages import MAX_PAGE_BYTES, SHORT_LIMIT, is_known
from taskapi.http.application import Answer, current_request
from taskapi.http.preconditions import entity_tag, if_none_match
from taskapi.http.representation import Represent, represent_as
from taskapi.identity import Caller
from taskapi.runtime.context import extensions

_failures = logging.getLogger("taskapi.failure")
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def json_response(
    payload: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response."""
    return raw_response(
        orjson.dumps(payload, option=_OPTIONS), "application/json", status, headers or {}
    )


def versioned_response(
    payload: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The response with a resource and its ETag, or 304 to a GET whose client has this version."""
    version, request = payload["version"], current_request()
    if request.method in ("GET", "HEAD") and is_known(version, if_none_match(request)):
        return not_modified(entity_tag(version))
    return json_response(payload, status, {"ETag": entity_tag(version), **(headers or {})})


def page_response(name: str, found: Page[Any], caller: Caller, represent: Represent) -> Response:
    """The response with a page, or 304 to a client that has this version of the list.

    Args:
        name: the member of the body that has the rows.
    """
    headers = {}
    if found.version is not None:
        headers["ETag"] = tag = entity_tag(found.version, caller.workspace_id)
        if found.rows is None:
            return not_modified(tag)
    rows = found.rows or []
    shown, next_cursor = _fitting(rows, represent), found.next_cursor
    if len(shown) < len(rows):
        next_cursor = found.cursor_after(rows[len(shown) - 1])
    if next_cursor:
        following = request.args.to_dict() | {"cursor": next_cursor}
        headers["Link"] = f'<{request.path}?{urlencode(following)}>; rel="next"'
    page = {name: shown, "total": found.total, "next_cursor": next_cursor}
    return json_response(page, headers=headers)


def _fitting(rows: Sequence[Any], represent: Represent) -> list[Any]:
    """The JSON of the rows that fit on a page."""
    if len(rows) <= SHORT_LIMIT:
        return [represent(row) for row in rows]
    shown: list[orjson.Fragment] = []
    left = MAX_PAGE_BYTES
    for row in rows:
        json = orjson.dumps(represent(row), option=_OPTIONS)
        left -= len(json)
        if left < 0:
            break
        shown.append(orjson.Fragment(json))
    return shown


def not_modified(tag: str) -> Response:
    """304: the client's copy, of this entity tag, is current."""
    return Response(status=304, headers={"ETag": tag})


def problem_response(problem: errors.Problem) -> Response:
    """The response of a problem."""
    request = current_request()
    request.noted["problem"] = problem.code
    body, headers = problem.body(request.id), problem.headers
    if isinstance(problem, errors.PreconditionFailed):
        current = represent_as(problem.noun, problem.current)
        body, headers = body | {problem.noun: current}, {"ETag": entity_tag(current["version"])}
    raw = orjson.dumps(body, option=_OPTIONS)
    return raw_response(raw, "application/problem+json", problem.status, headers)


def init_app(app: Flask, settings: Settings) -> None:
    """Answer every error, ours or not, as problem+json, and say to browsers and caches what for."""
    vary = "Authorization, Origin" if settings.cors_origins else "Authorization"
    app.extensions["taskapi_vary"] = vary

    @app.after_request
    def add_headers(response: Response) -> Response:
        if isinstance(response, Answer):  # which has them
            return response
        headers = response.headers
        for name, value in _standing(headers):
            headers.setdefault(name, value)
        headers.add("Vary", vary)
        if response.status_code == NO_CONTENT or request.method == "OPTIONS":
            headers.pop("Content-Type", None)
        return response

    app.register_error_handler(errors.Problem, problem_response)
    app.register_error_handler(HTTPException, lambda e: problem_response(_from_werkzeug(e)))
    app.register_error_handler(Exception, _unforeseen)


def raw_response(body: bytes, media_type: str, status: int, headers: Mapping[str, str]) -> Answer:
    """An answer of these bytes, with every header that it is to have."""
    return Answer(
        [body],
        status,
        [
            ("Content-Type", media_type),
            ("Content-Length", str(len(body))),
            *headers.items(),
            *_standing(headers),
            ("Vary", extensions()["taskapi_vary"]),
        ],
    )


def _standing(headers: Mapping[str, str] | Headers) -> list[tuple[str, str]]:
    """What every answer says beside its own headers."""
    # What has a validator may be kept by its owner and is asked about; all else is not kept.
    kept = "private, no-cache" if "ETag" in headers else "no-store"
    return [
        ("Cache-Control", kept),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-ID", current_request().id),
    ]


def _from_werkzeug(error: HTTPException) -> errors.Problem:
    if isinstance(error, WerkzeugMethodNotAllowed):
        return errors.MethodNotAllowed(headers={"Allow": ", ".join(error.valid_methods or ())})
    kinds = {404: errors.NotFound, 413: errors.ContentTooLarge, 400: errors.InvalidInput}
    if error.code in kinds:
        return kinds[error.code]()
    return _unforeseen_problem(error)


def _unforeseen(error: Exception) -> Response:
    # As Flask does it for an error that nobody handles: who reports errors listens.
    got_request_exception.send(app_ctx.app, exception=error)
    return problem_response(_unforeseen_problem(error))


def _unforeseen_problem(error: Exception) -> errors.Problem:
    # An error's text may hold what a person wrote, so its kind and its place must do.
    trace = "".join(traceback.format_tb(error.__traceback__))
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    about = {"error": type(error).__name__, "sqlstate": state, "trace": trace}
    _failures.error("failed", extra=about)
    return errors.InternalError()
