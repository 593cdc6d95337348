"""The fields of a response that no request sets: sent in a body, they are rejected or ignored."""

from __future__ import annotations

import json

import pytest
from hostile.places import Place, assert_rejected, assert_sound, pointers
from hostile.values import MOMENTS
from support.api import Api
from support.calls import CALLS, accepts, resolved
from support.resources import filled_in
from support.stored import StoredRows

pytestmark = pytest.mark.security

ANSWERED_ONLY = [
    Place(call, name, resolved(schema))
    for call in CALLS
    if call.body
    for name, schema in call.response().get("properties", {}).items()
    if name not in call.body["properties"]
]


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
        assert_sound(response)
        if response.status_code >= 400:
            problem = assert_rejected(response, {"invalid_input", "email_taken"})
            assert "errors" not in problem or pointers(problem) == {f"/{place.name}"}
            assert stored.read() == before
        else:
            returned = response.get_json()[place.name]
            assert accepts(place.schema, returned)
            is_stored = value is not None or not accepts(place.schema, None)
            is_equal = is_stored and returned == value and type(returned) is type(value)
            assert not is_equal or returned == _usual(place, user)
