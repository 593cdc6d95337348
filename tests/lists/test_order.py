"""The manual order of lists: after any moves, and with concurrent moves."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support import world
from support.api import Api

from config import Settings
from taskapi.db import manual_order, positions


def _list(user: Api) -> int:
    return int(user.list()["id"])


def _move(user: Api, list_id: int, **values: Any) -> dict[str, Any]:
    return dict(user.expect(200, "POST", f"/lists/{list_id}/move", json=values))


def test_a_list_that_gets_a_new_position_gets_a_new_version(
    user: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "MAX_SCALE", 0)  # no free position between two neighbours
    a, b, c = (user.expect(201, "POST", "/lists", json={"name": name}) for name in "abc")
    _move(user, c["id"], after=a["id"])
    follower = user.expect(200, "GET", f"/lists/{b['id']}")
    assert follower["position"] > b["position"]
    assert follower["version"] > c["version"]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "a-move"}])
def test_lists_without_room_between_them_get_it_step_by_step(
    user: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(manual_order, "WINDOW", 2)
    monkeypatch.setattr(manual_order, "MAX_WINDOW", 2)
    list_ids = [user.user_id, *(_list(user) for _ in range(30))]
    pack = "UPDATE lists SET position = 1 + id * CAST('1e-30' AS numeric) WHERE workspace_id = %s"
    world.sql(settings, pack, user.user_id)
    path, sent = f"/lists/{list_ids[-1]}/move", {"json": {"after": list_ids[0]}, "headers": headers}
    refused = user.problem(503, "unavailable", "POST", path, **sent)
    assert "rearranged" in refused["detail"]
    assert _order(user) == list_ids
    moved = user.expect(200, "POST", path, **sent)
    assert moved["version"] > 30
    assert _order(user) == [list_ids[0], list_ids[-1], *list_ids[1:-1]]


def _order(user: Api, sort: str = "position", **query: Any) -> list[int]:
    """The IDs of the lists, read in pages, in the order of their positions."""
    query |= {"sort": sort, "limit": 3}
    lists: list[dict[str, Any]] = []
    for page in user.pages("/lists", **query):
        lists += page["lists"]
    keys = [(one["position"], one["id"]) for one in lists]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    return [one["id"] for one in lists]


def test_the_inbox_is_first_and_new_lists_are_last(user: Api) -> None:
    first, second = _list(user), _list(user)
    assert _order(user) == [user.user_id, first, second]
    _move(user, first)
    _move(user, user.user_id)
    third = _list(user)
    assert _order(user) == [second, first, user.user_id, third]


def test_a_list_moves_after_another_or_to_the_beginning_or_the_end(user: Api) -> None:
    inbox, a, b, c = user.user_id, *(_list(user) for _ in range(3))
    _move(user, c, after=inbox)
    assert _order(user) == [inbox, c, a, b]
    _move(user, b, after=None)
    assert _order(user) == [b, inbox, c, a]
    _move(user, inbox)
    assert _order(user) == [b, c, a, inbox]
    _move(user, b, after=a)
    assert _order(user) == [c, a, b, inbox]
    assert _order(user, "-position") == [inbox, b, a, c]


def test_a_move_changes_only_position_and_version(user: Api) -> None:
    created = user.expect(201, "POST", "/lists", json={"name": "a", "color": "#2e7d32"})
    inbox = user.expect(200, "GET", f"/lists/{user.user_id}")
    moved = _move(user, created["id"], after=None)
    changes = {name: moved[name] for name in ("position", "version", "updated_at")}
    assert moved == created | changes
    assert moved["position"] < inbox["position"] < created["position"]
    assert user.expect(200, "GET", f"/lists/{user.user_id}") == inbox


def test_archived_lists_keep_their_position_and_can_be_left_out(user: Api) -> None:
    a, b, c = (_list(user) for _ in range(3))
    user.expect(200, "PATCH", f"/lists/{a}", json={"is_archived": True})
    _move(user, c, after=a)
    assert _order(user) == [user.user_id, a, c, b]
    assert _order(user, is_archived="false") == [user.user_id, c, b]


@pytest.mark.parametrize("which", ["itself", "nowhere", "theirs", "their inbox"])
def test_after_must_reference_another_list_of_the_caller(
    user: Api, stranger: Api, which: str
) -> None:
    moved = _list(user)
    after = {
        "itself": lambda: moved,
        "nowhere": lambda: 2**53 - 1,
        "theirs": lambda: _list(stranger),
        "their inbox": lambda: stranger.user_id,
    }[which]()
    tag = user.send("GET", "/lists").headers["ETag"]
    path = f"/lists/{moved}/move"
    (error,) = user.problem(400, "invalid_input", "POST", path, json={"after": after})["errors"]
    assert (error["pointer"], error["code"]) == ("/after", "not_a_sibling")
    assert user.send("GET", "/lists").headers["ETag"] == tag


def test_a_move_of_an_outdated_version_returns_412(user: Api) -> None:
    created = user.expect(201, "POST", "/lists", json={"name": "a"})
    sent = {"json": {}, "headers": {"If-Match": '"0"'}}
    path = f"/lists/{created['id']}/move"
    assert user.problem(412, "precondition_failed", "POST", path, **sent)["list"] == created


def test_a_move_with_a_key_is_performed_once(user: Api) -> None:
    first, _ = _list(user), _list(user)
    sent = {"json": {}, "headers": {"Idempotency-Key": "once"}}
    responses = [user.expect(200, "POST", f"/lists/{first}/move", **sent) for _ in range(2)]
    assert responses[0] == responses[1]


def test_moves_give_the_expected_order(user: Api) -> None:
    chance = random.Random(7)
    order = [user.user_id, *(_list(user) for _ in range(7))]
    for _ in range(60):
        list_id = chance.choice(order)
        order.remove(list_id)
        after = chance.choice([None, *order])
        order.insert(order.index(after) + 1 if after else 0, list_id)
        _move(user, list_id, after=after)
    assert _order(user) == order


def test_repeated_moves_to_one_position(user: Api) -> None:
    a, b, last = (_list(user) for _ in range(3))
    for n in range(150):
        _move(user, (a, b)[n % 2], after=user.user_id)
    assert _order(user) == [user.user_id, b, a, last]


def test_a_hundred_concurrent_moves(user: Api) -> None:
    ids = [_list(user) for _ in range(100)]

    def move(list_id: int) -> int:
        return int(_move(user, list_id, after=user.user_id)["version"])

    with ThreadPoolExecutor(20) as threads:
        versions = dict(zip(ids, threads.map(move, ids), strict=True))
    assert len(set(versions.values())) == 100
    # Each was moved after the first, so the last one moved is the nearest.
    assert _order(user) == [user.user_id, *sorted(ids, key=lambda one: -versions[one])]
