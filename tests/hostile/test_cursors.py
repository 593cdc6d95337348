"""Tampered cursors: each returns 400, or a page of the caller's own list."""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator
from typing import Any

import pytest
from support.api import Api
from support.calls import CALLS, Call
from support.resources import filled_in

pytestmark = pytest.mark.security

LISTS = [call for call in CALLS if "cursor" in call.parameters("query") and not call.required]
SORTED_LISTS = [
    (call, sort)
    for call in LISTS
    for sort in call.parameters("query").get("sort", {}).get("enum", [None])
]
CREATIONS = [call for call in CALLS if call.name.startswith("create_")]
ALPHABET = string.ascii_letters + string.digits + "-_"


def _query(sort: str | None, **more: Any) -> dict[str, Any]:
    return {"limit": 2, **({"sort": sort} if sort else {}), **more}


def _filled(person: Api, call: Call) -> str:
    """The URL of a list of this user that is not empty."""
    request = filled_in(call, person)
    for title in ("a", "B", "\u00e9", "a"):
        person.task(title=title, assignee_id=person.user_id)
        person.again()
        for creation in CREATIONS:
            if set(creation.arguments) <= set(request.arguments):
                filled_in(creation, person, request.arguments).send(person)
        if "task_id" in request.arguments:
            person.expect(200, "POST", f"/tasks/{request.arguments['task_id']}/complete")
    return request.path


def _page(person: Api, path: str, sort: str | None, **more: Any) -> dict[str, Any]:
    return dict(person.expect(200, "GET", path, query_string=_query(sort, **more)))


def _rows(page: dict[str, Any]) -> list[dict[str, Any]]:
    return list(next(value for value in page.values() if isinstance(value, list)))


def _tampered(cursor: str) -> Iterator[str]:
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for place in range(len(raw)):
        for bit in (0, 2, 5, 7):
            flipped = bytes([*raw[:place], raw[place] ^ 1 << bit, *raw[place + 1 :]])
            yield base64.urlsafe_b64encode(flipped).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw[:place]).decode().rstrip("=")
    for place in range(len(cursor)):
        yield cursor[:place]
        yield cursor[:place] + cursor[place + 1 :]
        yield cursor[:place] + "+/=.~ \n\u00e9\0"[place % 9] + cursor[place + 1 :]
        yield cursor[:place] + ALPHABET[-1 - ALPHABET.index(cursor[place])] + cursor[place + 1 :]
    yield from (cursor + more for more in ("=", "==", "===", "A", "AAAA", "\n", "%3D", cursor))
    yield from (base64.b64encode(raw).decode(), base64.b32encode(raw).decode(), raw.hex())
    yield from (raw.decode(), cursor.swapcase(), cursor[::-1], cursor * 50, cursor * 5_000)
    yield base64.urlsafe_b64encode(raw.decode().encode("utf-16")).decode()


@pytest.mark.parametrize(("call", "sort"), SORTED_LISTS, ids=str)
def test_a_tampered_cursor_returns_only_the_callers_rows(
    user: Api, stranger: Api, call: Call, sort: str | None
) -> None:
    path, limit = _filled(user, call), call.parameters("query")["limit"]["maximum"]
    whole = _page(user, path, sort, limit=limit)
    mine = [row["id"] for row in _rows(whole)]
    cursor = _page(stranger, _filled(stranger, call), sort)["next_cursor"]
    for text in _tampered(cursor):
        query = _query(sort, cursor=text, limit=limit)
        response = user.send("GET", path, query_string=query)
        if response.status_code == 200:
            page = response.get_json()
            ids = [row["id"] for row in _rows(page)]
            assert ids == mine[len(mine) - len(ids) :]  # the end of the list in this order
            assert page["total"] == whole["total"]
        else:
            assert response.status_code == 400
            assert [error["pointer"] for error in response.get_json()["errors"]] == ["cursor"]


@pytest.mark.parametrize(("call", "sort"), SORTED_LISTS, ids=str)
def test_a_cursor_of_another_sort_returns_400(user: Api, call: Call, sort: str | None) -> None:
    cursor = _page(user, _filled(user, call), sort)["next_cursor"]
    others = [(other, order) for other, order in SORTED_LISTS if order not in (sort, None)]
    for other, order in others:
        query = _query(order, cursor=cursor)
        if (order, sort) != ("-created_at", None):  # the only order of a list
            path = other.path.format(task_id=1)
            user.problem(400, "invalid_input", "GET", path, query_string=query)
