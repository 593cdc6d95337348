"""Responses to malformed requests, which never reach the application, as problem+json."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import orjson
from gunicorn.http import errors as gunicorn_errors

from taskapi import problems as errors
from taskapi.runtime import SERVER


class MalformedRequest(errors.Problem):
    """The request is not a well-formed HTTP/1.1 request, or uses an unsupported feature."""

    status = 400
    code = "malformed_request"
    title = "Malformed request"
    detail = "The request is not a well-formed HTTP request."


class UriTooLong(errors.Problem):
    """The request line exceeds the maximum length."""

    status = 414
    code = "uri_too_long"
    title = "URI too long"
    detail = "The URL exceeds the maximum length."


class HeadersTooLarge(errors.Problem):
    """The request has too many headers, or one that is too long."""

    status = 431
    code = "headers_too_large"
    title = "Headers too large"
    detail = "The request has too many headers, or one that is too long."


_raised: Any = gunicorn_errors  # the stubs lack the first two
_PROBLEMS: dict[type[BaseException], type[errors.Problem]] = {
    _raised.InvalidResponseHeader: errors.InternalError,
    _raised.InvalidResponseHeaderName: errors.InternalError,
    _raised.LimitRequestLine: UriTooLong,
    _raised.LimitRequestHeaders: HeadersTooLarge,
    _raised.ParseException: MalformedRequest,
    BaseException: errors.InternalError,
}
"""The problem for each kind of gunicorn's errors. The first match counts."""


def problem_of(error: BaseException) -> errors.Problem:
    """The problem for an error of gunicorn's."""
    return next(kind for known, kind in _PROBLEMS.items() if isinstance(error, known))()


def raw_problem_response(
    problem: errors.Problem, request_id: str, headers: Mapping[str, str]
) -> bytes:
    """The complete response, without the application."""
    body = orjson.dumps(problem.body(request_id))
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {problem.status} {problem.title}\r\nServer: {SERVER}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\nConnection: close\r\n"
        "Content-Type: application/problem+json\r\nCache-Control: no-store\r\n"
        f"X-Content-Type-Options: nosniff\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body
