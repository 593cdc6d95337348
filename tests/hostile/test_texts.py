"""Text is returned unchanged in every response."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.api import Api
from support.examples import examples
from werkzeug.test import TestResponse

from taskapi.http.fields import WHITE_SPACE

pytestmark = pytest.mark.security

CARRIABLE = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TITLES = (
    st.text(CARRIABLE, min_size=1, max_size=255)
    .map(lambda text: text.strip(WHITE_SPACE))
    .filter(bool)
)
DESCRIPTIONS = st.none() | st.text(CARRIABLE, max_size=400)
TEXTS = st.fixed_dictionaries({"title": TITLES, "description": DESCRIPTIONS})


def _bytes_of(task: dict[str, Any]) -> list[bytes]:
    return [json.dumps(task[name]).encode() for name in ("title", "description")]


def _tasks_in(response: TestResponse) -> list[dict[str, Any]]:
    assert response.status_code in (200, 201)
    returned = json.loads(response.data.decode())  # strict UTF-8
    return list(returned.get("tasks", [returned]))


@examples(60)
@given(texts=st.lists(TEXTS, min_size=3, max_size=3), is_escaped=st.booleans())
def test_accepted_text_is_returned_unchanged(
    user: Api, texts: list[dict[str, Any]], is_escaped: bool
) -> None:
    path = "/tasks"
    for method, text in zip(("POST", "PUT", "PATCH"), texts, strict=True):
        body = json.dumps(text, ensure_ascii=is_escaped).encode()
        written = user.send(method, path, data=body, content_type="application/json")
        path = f"/tasks/{written.get_json()['id']}"
        returned = [
            written,
            user.send("GET", path),
            user.send("GET", "/tasks?limit=1"),
            user.send("GET", "/tasks?limit=1&sort=-updated_at"),
            user.send("PATCH", path, json={}),
        ]
        for response in returned:
            assert _bytes_of(_tasks_in(response)[0]) == _bytes_of(text)
