"""Invalid values for every query parameter, header and path argument of every operation.

The tests follow the OpenAPI document. An invalid value is reported with its name and changes
nothing. No value causes a 500.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes

import pytest
from hostile.places import Place, assert_rejected, assert_sound, places, pointers
from hostile.values import HEADERS, QUERY, SEGMENTS
from support.api import Api
from support.attempts import new_address
from support.calls import CALLS, Call, accepts
from support.resources import filled_in
from support.stored import StoredRows

pytestmark = pytest.mark.security

EVERY_CALLS_HEADERS = (
    *("Accept", "Accept-Encoding", "Accept-Language", "Connection", "Cookie", "Date", "Expect"),
    *(
        "Forwarded",
        "From",
        "Host",
        "If-Modified-Since",
        "If-Range",
        "If-Unmodified-Since",
        "Origin",
    ),
    *("Prefer", "Range", "Referer", "TE", "Traceparent", "Upgrade", "User-Agent", "Via"),
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto"),
    *("X-HTTP-Method-Override", "X-Original-URL", "X-Real-IP", "X-Request-ID", "X-Rewrite-URL"),
)
"""Headers that any client may send with any request."""


@pytest.mark.parametrize("place", places("query"), ids=str)
def test_a_query_parameter_is_accepted_as_documented_or_returns_400(
    user: Api, stored: StoredRows, place: Place
) -> None:
    user.task()
    request = filled_in(place.call, user)
    before = stored.read()
    for text in QUERY:
        response = request.send(user, query_string=f"{place.name}={text}")
        assert_sound(response)
        if _is_rejected_in_query(place, text):
            assert pointers(assert_rejected(response, {"invalid_input"})) == {place.name}
        elif place.call.method != "GET":
            before = stored.read()  # it succeeded
        for twice in (f"{place.name}={text}&{place.name}={text}", f"{place.name}&{place.name}="):
            problem = assert_rejected(request.send(user, query_string=twice), {"invalid_input"})
            assert pointers(problem) == {place.name}
    assert stored.read() == before


def _is_rejected_in_query(place: Place, text: str) -> bool:
    value: Any = unquote_plus(text)
    if place.schema["type"] == "boolean":
        return value not in ("true", "false")
    if place.schema["type"] == "integer":
        is_plain = value.isascii() and value.isdigit() and str(int(value[:20])) == value[:20]
        return not is_plain or len(value) > 18 or not accepts(place.schema, int(value))
    return not _is_utf8(text) or not accepts(place.schema, value)


def _is_utf8(text: str) -> bool:
    try:
        unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_an_unknown_query_parameter_returns_400_everywhere(
    user: Api, stored: StoredRows, call: Call
) -> None:
    known = call.parameters("query")
    request = filled_in(call, user)
    before = stored.read()
    for name in {unquote_plus(text) for text in QUERY} - set(known):
        if name in ("", " "):
            continue  # a lone "=" is no parameter
        problem = assert_rejected(request.send(user, query_string={name: "1"}), {"invalid_input"})
        assert len(problem["errors"]) == 1
    assert stored.read() == before


@pytest.mark.parametrize("place", places("path"), ids=str)
def test_an_invalid_path_parameter_returns_404(user: Api, stored: StoredRows, place: Place) -> None:
    request = filled_in(place.call, user)
    before = stored.read()
    for segment in SEGMENTS:
        request.arguments[place.name] = segment
        response = request.send(user)
        assert_sound(response)
        assert_rejected(response, {"not_found"}, 404)
    assert stored.read() == before


@pytest.mark.parametrize("place", places("header"), ids=str)
def test_a_malformed_request_header_is_handled(user: Api, stored: StoredRows, place: Place) -> None:
    for value in HEADERS:
        request = filled_in(place.call, user)
        before = stored.read()
        response = request.send(user, headers={place.name: value})
        assert_sound(response)
        if "pattern" in place.schema and not accepts(place.schema, value.strip()):
            assert pointers(assert_rejected(response, {"invalid_input"})) == {place.name}
        if place.name == "If-Match" and value.strip() != "*":
            is_malformed = response.status_code == 400
            code = "invalid_input" if is_malformed else "precondition_failed"
            assert_rejected(response, {code}, 400 if is_malformed else 412)
        if response.status_code >= 400:
            assert stored.read() == before


@pytest.mark.parametrize("call", [call for call in CALLS if not call.is_public], ids=str)
def test_an_invalid_token_returns_401_for_each_operation(
    user: Api, stored: StoredRows, call: Call
) -> None:
    request = filled_in(call, user)
    before = stored.read()
    for value in HEADERS:
        for header in (value, f"Bearer {value}", f"Bearer {value}.{value}.{value}"):
            # Many 401s to one address would be delayed.
            network = {"REMOTE_ADDR": new_address()}
            response = request.send(
                user, headers={"Authorization": header}, environ_overrides=network
            )
            assert_sound(response)
            if call.needs_token:
                codes = {"authentication_required", "token_invalid"}
                assert_rejected(response, codes, 401)
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert stored.read() == before


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_unknown_request_headers_are_ignored(user: Api, call: Call) -> None:
    request = filled_in(call, user)
    request.send(user)
    expected = request.send(user).status_code  # a repeated request may fail
    for value in HEADERS:
        response = request.send(user, headers=dict.fromkeys(EVERY_CALLS_HEADERS, value))
        assert_sound(response)
        assert response.status_code == expected, value
