"""Invalid values for every field of the body of every operation.

The tests follow the OpenAPI document, which also says which values a field accepts. An invalid
value is reported with its pointer and changes nothing. An accepted value is returned
unchanged. No value causes a 500.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hostile.places import Place, assert_rejected, assert_sound, pointers
from hostile.values import MOMENTS, NEVER, VALUES
from support.api import Api
from support.calls import CALLS, Call, accepts, resolved
from support.resources import filled_in
from support.stored import StoredRows

from taskapi.http.fields import WHITE_SPACE

pytestmark = pytest.mark.security

REFUSED_IN_A_BODY = {"invalid_input", "malformed_body"}

FIELDS = [
    Place(call, name, resolved(schema))
    for call in CALLS
    if call.body
    for name, schema in call.body["properties"].items()
]
WITH_A_BODY = [call for call in CALLS if call.body]


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
        assert_rejected(response, REFUSED_IN_A_BODY)
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
        problem = assert_rejected(response, {"invalid_input"})
        # In an object, the pointer may be that of the nested value.
        assert {pointer.split("/")[1] for pointer in pointers(problem)} == {place.name}
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
        assert_sound(response)
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
