"""Invalid values for every field, parameter, header and path argument of every operation.

The tests follow the OpenAPI document, which also says which values a place accepts. An invalid
value is reported with its pointer and changes nothing. An accepted value is returned
unchanged. No value causes a 500.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, unquote_to_bytes

import pytest
from hostile.values import HEADERS, MOMENTS, NEVER, QUERY, SEGMENTS, VALUES
from support.api import Api
from support.calls import CALLS, Call, accepts, resolved
from support.resources import filled_in
from support.stored import StoredRows, stored_rows
from werkzeug.test import TestResponse

from config import Settings
from taskapi.http.fields import WHITE_SPACE

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

REFUSED_IN_A_BODY = {"invalid_input", "malformed_body"}


class Place(NamedTuple):
    """A place for a value in a request, with its schema in the document."""

    call: Call
    name: str
    schema: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.call} {self.name}"


def _places(kind: str) -> list[Place]:
    return [
        Place(call, name, schema)
        for call in CALLS
        for name, schema in call.parameters(kind).items()
    ]


FIELDS = [
    Place(call, name, resolved(schema))
    for call in CALLS
    if call.body
    for name, schema in call.body["properties"].items()
]
ANSWERED_ONLY = [
    Place(call, name, resolved(schema))
    for call in CALLS
    if call.body
    for name, schema in call.response().get("properties", {}).items()
    if name not in call.body["properties"]
]
WITH_A_BODY = [call for call in CALLS if call.body]


@pytest.fixture
def stored(settings: Settings, user: Api, stranger: Api) -> Iterator[StoredRows]:
    """The stored rows of two users who exist before the first read."""
    stranger.task(title="Somebody else's")
    with stored_rows(settings, user, stranger) as stored:
        yield stored


def _assert_rejected(response: TestResponse, codes: set[str], status: int = 400) -> dict[str, Any]:
    text = response.get_data(as_text=True)
    assert response.status_code == status, text
    assert response.mimetype == "application/problem+json"
    problem = response.get_json()
    assert problem["code"] in codes, text
    assert len(text) < 4_000
    return dict(problem)


def _pointers(problem: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in problem["errors"]}


def _assert_sound(response: TestResponse) -> None:
    assert response.status_code < 500 or response.get_json()["code"] == "unavailable"
    assert "X-Injected" not in response.headers
    assert "Set-Cookie" not in response.headers
    if response.status_code >= 400 and response.data:
        assert response.mimetype == "application/problem+json"


def _value(text: bytes) -> Any:
    return json.loads(text)


def _is_rejected(place: Place, value: Any) -> bool:
    """Whether the value is invalid by the document."""
    is_moment = place.schema.get("format") in ("date", "date-time")
    return not accepts(place.schema, value) or (is_moment and value in MOMENTS)


@pytest.mark.parametrize("call", WITH_A_BODY, ids=str)
def test_the_valid_request_works(user: Api, call: Call) -> None:
    response = filled_in(call, user).send(user)
    assert 200 <= response.status_code < 300


@pytest.mark.parametrize("place", FIELDS, ids=str)
def test_values_that_no_field_accepts_return_400(
    user: Api, stored: StoredRows, place: Place
) -> None:
    request = filled_in(place.call, user)
    before = stored.read()
    for text in NEVER:
        response = request.send(user, data=request.body_with(place.name, text))
        _assert_rejected(response, REFUSED_IN_A_BODY)
    assert stored.read() == before


@pytest.mark.parametrize("place", FIELDS, ids=str)
def test_an_invalid_value_is_reported_with_the_name_of_its_field(
    user: Api, stored: StoredRows, place: Place
) -> None:
    request = filled_in(place.call, user)
    before = stored.read()
    refused = [text for text in VALUES if _is_rejected(place, _value(text))]
    for text in refused:
        response = request.send(user, data=request.body_with(place.name, text))
        problem = _assert_rejected(response, {"invalid_input"})
        # In an object, the pointer may be that of the nested value.
        assert {pointer.split("/")[1] for pointer in _pointers(problem)} == {place.name}
    assert stored.read() == before
    assert refused


ISSUED = {"refresh_token"}
"""Fields whose value in a response is always a new one."""

DEPENDENT = {"is_completed", "completed_at", "expires_at"}
"""Fields whose value in a response depends on other fields, or is converted to UTC."""


@pytest.mark.parametrize("place", FIELDS, ids=str)
def test_an_accepted_value_is_returned_or_changes_nothing(
    user: Api, stored: StoredRows, place: Place
) -> None:
    words = [json.dumps(word).encode() for word in place.schema.get("enum", ())]
    taken = [text for text in (*VALUES, *words) if not _is_rejected(place, _value(text))]
    request = filled_in(place.call, user)
    for text in taken:
        before = stored.read()
        response = request.send(user, data=request.body_with(place.name, text))
        _assert_sound(response)
        if response.status_code >= 400:
            assert stored.read() == before
        elif place.name in (response.get_json(silent=True) or {}).keys() - ISSUED - DEPENDENT:
            value = _value(text)
            if value is None:  # it may restore a default
                continue
            returned = response.get_json()[place.name]
            if isinstance(value, dict):  # the response may have more fields than the request
                returned = {name: returned[name] for name in value}
            assert returned in (
                value,
                value.strip(WHITE_SPACE) if isinstance(value, str) else value,
            )
    assert taken


def _usual(place: Place, user: Api) -> object:
    """The value of a field in the response to the request without it."""
    return filled_in(place.call, user).send(user).get_json()[place.name]


@pytest.mark.parametrize("place", ANSWERED_ONLY, ids=str)
def test_read_only_fields_cannot_be_set(
    user: Api, stranger: Api, stored: StoredRows, place: Place
) -> None:
    for value in (stranger.user_id, 2**53, 0, -1, None, True, "x", [], {}, *MOMENTS[:2]):
        plain = filled_in(place.call, user)
        before = stored.read()
        text = json.dumps(value).encode()
        response = plain.send(user, data=plain.body_with(place.name, text))
        _assert_sound(response)
        if response.status_code >= 400:
            problem = _assert_rejected(response, {"invalid_input", "email_taken"})
            assert "errors" not in problem or _pointers(problem) == {f"/{place.name}"}
            assert stored.read() == before
        else:
            returned = response.get_json()[place.name]
            assert accepts(place.schema, returned)
            is_stored = value is not None or not accepts(place.schema, None)
            is_equal = is_stored and returned == value and type(returned) is type(value)
            assert not is_equal or returned == _usual(place, user)


@pytest.mark.parametrize("place", _places("query"), ids=str)
def test_a_query_parameter_is_accepted_as_documented_or_returns_400(
    user: Api, stored: StoredRows, place: Place
) -> None:
    user.task()
    request = filled_in(place.call, user)
    before = stored.read()
    for text in QUERY:
        response = request.send(user, query_string=f"{place.name}={text}")
        _assert_sound(response)
        if _is_rejected_in_query(place, text):
            assert _pointers(_assert_rejected(response, {"invalid_input"})) == {place.name}
        elif place.call.method != "GET":
            before = stored.read()  # it succeeded
        for twice in (f"{place.name}={text}&{place.name}={text}", f"{place.name}&{place.name}="):
            problem = _assert_rejected(request.send(user, query_string=twice), {"invalid_input"})
            assert _pointers(problem) == {place.name}
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
        problem = _assert_rejected(request.send(user, query_string={name: "1"}), {"invalid_input"})
        assert len(problem["errors"]) == 1
    assert stored.read() == before


@pytest.mark.parametrize("place", _places("path"), ids=str)
def test_an_invalid_path_parameter_returns_404(user: Api, stored: StoredRows, place: Place) -> None:
    request = filled_in(place.call, user)
    before = stored.read()
    for segment in SEGMENTS:
        request.arguments[place.name] = segment
        response = request.send(user)
        _assert_sound(response)
        _assert_rejected(response, {"not_found"}, 404)
    assert stored.read() == before


@pytest.mark.parametrize("place", _places("header"), ids=str)
def test_a_malformed_request_header_is_handled(user: Api, stored: StoredRows, place: Place) -> None:
    for value in HEADERS:
        request = filled_in(place.call, user)
        before = stored.read()
        response = request.send(user, headers={place.name: value})
        _assert_sound(response)
        if "pattern" in place.schema and not accepts(place.schema, value.strip()):
            assert _pointers(_assert_rejected(response, {"invalid_input"})) == {place.name}
        if place.name == "If-Match" and value.strip() != "*":
            is_malformed = response.status_code == 400
            code = "invalid_input" if is_malformed else "precondition_failed"
            _assert_rejected(response, {code}, 400 if is_malformed else 412)
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
            response = request.send(user, headers={"Authorization": header})
            _assert_sound(response)
            if call.needs_token:
                codes = {"authentication_required", "token_invalid"}
                _assert_rejected(response, codes, 401)
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert stored.read() == before


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_unknown_request_headers_are_ignored(user: Api, call: Call) -> None:
    request = filled_in(call, user)
    request.send(user)
    expected = request.send(user).status_code  # a repeated request may fail
    for value in HEADERS:
        response = request.send(user, headers=dict.fromkeys(EVERY_CALLS_HEADERS, value))
        _assert_sound(response)
        assert response.status_code == expected, value
