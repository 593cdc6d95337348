"""No log line has a password, a token, an email address or what a user wrote, at any level."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.api import PASSWORD, Api
from support.calls import CALLS, Call
from support.resources import filled_in

from taskapi.logs import JsonFormatter, TextFormatter
from taskapi.workspaces.models import ROLES

SHORT = 5
"""Shorter texts, such as `due`, may be part of a logged word."""

OTHERS = "somebody.else@example.com"


Lines = Callable[[], str]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    """Returns the lines since the test began, in both formats."""
    formatters = (JsonFormatter(), TextFormatter())
    with caplog.at_level(logging.DEBUG):
        yield lambda: "\n".join(one.format(line) for line in caplog.records for one in formatters)


def texts(value: Any) -> Iterator[str]:
    """The strings in JSON that are long enough to be recognized."""
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from texts(below)
    elif isinstance(value, str) and len(value) >= SHORT:
        yield value


def tokens(response: Any) -> set[str]:
    """The tokens in a response."""
    body = response.get_json(silent=True)
    fields = body if isinstance(body, dict) else {}
    return {fields[name] for name in ("access_token", "refresh_token", "token") if name in fields}


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_no_line_contains_secrets_of_requests_or_responses(
    user: Api, logged: Lines, call: Call
) -> None:
    request = filled_in(call, user)
    secrets = {*texts(request.body), *texts(call.required), *texts(user.headers)}
    secrets |= {user.email, PASSWORD, user.login["access_token"], user.login["refresh_token"]}
    response = request.send(user)
    # The application has no provider.
    status = 404 if "provider" in call.arguments else call.status
    assert response.status_code == status, response.get_data(as_text=True)
    spoilt = {"X-Private": "private-header", "Authorization": "Bearer private-token"}
    request.send(user, headers=spoilt)
    request.send(user, query_string={"private-name": "private-value"})
    if request.body is not None:
        body = b'{"private-field": "private-text", "email": "' + OTHERS.encode() + b'"}'
        request.send(user, data=body)
        request.send(user, data=body[:-3])
    secrets |= {"private-", OTHERS, *tokens(response)}
    lines = logged()
    assert lines
    assert {secret for secret in secrets - {*ROLES} if secret in lines} == set()


@pytest.mark.parametrize("call", [call for call in CALLS if call.needs_token], ids=str)
def test_the_line_of_a_request_names_its_user(
    user: Api, caplog: pytest.LogCaptureFixture, call: Call
) -> None:
    request = filled_in(call, user)
    caplog.clear()
    with caplog.at_level(logging.INFO, "taskapi.request"):
        request.send(user)
    (line,) = [record for record in caplog.records if record.name == "taskapi.request"]
    assert vars(line)["user_id"] == user.user_id
    assert vars(line)["status"] == call.status


@pytest.mark.parametrize("is_known", [True, False])
def test_a_failed_login_is_logged_without_its_password_and_its_whole_email(
    user: Api, logged: Lines, is_known: bool
) -> None:
    body = {"email": user.email if is_known else OTHERS, "password": "private password"}
    user.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)
    lines = logged()
    assert "login_failed" in lines
    assert {secret for secret in body.values() if secret in lines} == set()
