"""Answers to what never reached the application, as problem+json."""

from __future__ import annotations

from email.utils import formatdate

import orjson
from gunicorn.http.errors import (  # type: ignore[attr-defined]  # two are newer than the stubs
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)

from taskapi import problems as errors


class MalformedRequest(errors.Problem):
    """What arrived is not a request of HTTP/1.1, or uses a part of it that is not served here."""

    status = 400
    code = "malformed_request"
    title = "Malformed request"
    detail = "This is not a well-formed HTTP request."


class UriTooLong(errors.Problem):
    """The request's first line is longer than any valid one."""

    status = 414
    code = "uri_too_long"
    title = "URI too long"
    detail = "The address is longer than any that is served here."


class HeadersTooLarge(errors.Problem):
    """The request has too many headers, or one that is too long."""

    status = 431
    code = "headers_too_large"
    title = "Headers too large"
    detail = "The request has too many headers, or one that is too long."


_PROBLEMS = {
    InvalidResponseHeader: errors.InternalError,
    InvalidResponseHeaderName: errors.InternalError,
    LimitRequestLine: UriTooLong,
    LimitRequestHeaders: HeadersTooLarge,
    ParseException: MalformedRequest,
    BaseException: errors.InternalError,
}
"""What each kind of gunicorn's errors is to the client; the first that fits counts."""


def problem_of(error: BaseException) -> errors.Problem:
    """What an error of gunicorn's is to the client."""
    return next(kind for known, kind in _PROBLEMS.items() if isinstance(error, known))()


def problem_answer(problem: errors.Problem, request_id: str) -> bytes:
    """The whole answer, made without the application."""
    body = orjson.dumps(problem.body(request_id))
    head = (
        f"HTTP/1.1 {problem.status} {problem.title}\r\nServer: taskapi\r\n"
        f"Date: {formatdate(usegmt=True)}\r\nConnection: close\r\n"
        "Content-Type: application/problem+json\r\nCache-Control: no-store\r\n"
        f"X-Content-Type-Options: nosniff\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
