"""Clients of the service at the URL in the first argument, and checks of its responses."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from taskapi_client import AuthenticatedClient, Client
from taskapi_client.models import Login, ProblemDetails, TaskConflict
from taskapi_client.types import Response

BASE_URL = sys.argv[1]
TIMEOUT = httpx.Timeout(15)
OPENED = ExitStack()
"""The connections of the clients, to be closed at the end."""

Body = TypeVar("Body")
AnyProblem = TypeVar("AnyProblem", ProblemDetails, TaskConflict)


def anonymous() -> Client:
    """A client without a token. It raises for a status that the document does not contain."""
    client = Client(base_url=BASE_URL, raise_on_unexpected_status=True, timeout=TIMEOUT)
    return OPENED.enter_context(client)


def signed_in(tokens: Login) -> AuthenticatedClient:
    """A client that sends the access token of `tokens`."""
    return with_token(tokens.access_token)


def with_token(token: str, prefix: str = "") -> AuthenticatedClient:
    """A client that sends an access token to the personal or a shared workspace."""
    client = AuthenticatedClient(
        base_url=BASE_URL + prefix,
        token=token,
        raise_on_unexpected_status=True,
        timeout=TIMEOUT,
    )
    return OPENED.enter_context(client)


def expect(response: Response[Any], status: HTTPStatus, kind: type[Body]) -> Body:
    """The body of a response, which must be a `kind` with this status."""
    assert response.status_code == status, f"{response.status_code}: {response.content!r}"
    assert isinstance(response.parsed, kind), type(response.parsed)
    return response.parsed


def expect_problem(response: Response[Any], status: HTTPStatus) -> ProblemDetails:
    """The problem in a response, which must have this status."""
    return checked(expect(response, status, ProblemDetails), response)


def expect_conflict(response: Response[Any]) -> TaskConflict:
    """The problem of an outdated change, which contains the current task."""
    return checked(expect(response, HTTPStatus.PRECONDITION_FAILED, TaskConflict), response)


def checked(problem: AnyProblem, response: Response[Any]) -> AnyProblem:
    """A problem, which must be valid and match its response."""
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem.status == response.status_code
    assert problem.title
    assert problem.detail
    assert problem.code
    assert problem.request_id == response.headers["X-Request-ID"]
    return problem


def expect_empty(response: Response[Any], status: HTTPStatus) -> None:
    """Check that a response has this status and no body."""
    assert response.status_code == status, response.content
    assert response.content == b""
