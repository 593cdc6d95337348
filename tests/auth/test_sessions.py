"""Sessions: logging out, listing where one is logged in, ending sessions at once everywhere."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.api import PASSWORD, Api
from support.contract import Contract
from support.databases import KEY
from support.world import person, sql, worker

from config import Settings


@pytest.fixture
def elsewhere(settings: Settings, contract: Contract) -> Iterator[Api]:
    """Another worker on the same database, as a function of the tokens to use."""
    with worker(settings) as app:
        yield person(app, contract)


def _session_id(api: Api) -> int:
    current = [s for s in _list(api)["sessions"] if s["is_current"]]
    assert len(current) == 1
    return current[0]["id"]


def _list(api: Api, query: str = "") -> dict[str, Any]:
    return api.expect(200, "GET", f"/auth/sessions{query}")


def _is_dead(api: Api) -> bool:
    """Whether both tokens are rejected with the same error."""
    access = api.send("GET", "/tasks")
    body = {"refresh_token": api.login["refresh_token"]}
    refresh = api.send("POST", "/auth/refresh", json=body)
    codes = {answer.get_json().get("code") for answer in (access, refresh)}
    assert len(codes) == 1
    return codes == {"session_ended"}


def _expired(api: Api) -> dict[str, str]:
    """The header with the client's access token, expired."""
    header, claims, _ = api.login["access_token"].split(".")
    known = json.loads(base64.urlsafe_b64decode(claims + "=="))
    aged = json.dumps(known | {"exp": int(time.time()) - 10}).encode()
    signed = f"{header}.{base64.urlsafe_b64encode(aged).rstrip(b'=').decode()}"
    signature = base64.urlsafe_b64encode(hmac.digest(KEY.encode(), signed.encode(), "sha256"))
    return {"Authorization": f"Bearer {signed}.{signature.rstrip(b'=').decode()}"}


def test_a_login_beyond_the_quota_ends_the_session_unused_for_longest(
    settings: Settings, contract: Contract, user: Api
) -> None:
    with worker(settings, quota_sessions=2) as app:
        body = {"email": user.email, "password": PASSWORD}
        second, third = person(app, contract), person(app, contract)
        second.login = second.expect(200, "POST", "/auth/login", json=body)
        user.expect(200, "GET", "/auth/me")
        third.login = third.expect(200, "POST", "/auth/login", json=body)
        assert third.expect(200, "GET", "/auth/sessions")["total"] == 2
        second.expect(200, "GET", "/auth/me")
    user.problem(401, "session_ended", "GET", "/auth/me")


def test_a_logout_ends_the_session_at_once_at_every_worker(user: Api, elsewhere: Api) -> None:
    elsewhere.login = user.login
    other = user.again()
    elsewhere.expect(200, "GET", "/tasks")
    assert user.expect(200, "POST", "/auth/logout") == {"message": "Logged out"}
    assert _is_dead(user)
    assert _is_dead(elsewhere)
    other.expect(200, "GET", "/tasks")


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic dTpw"])
def test_a_logout_without_a_token_succeeds(user: Api, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    bare = Api(user.client, user.contract)
    answer = bare.expect(200, "POST", "/auth/logout", headers=headers)
    assert answer == {"message": "Logged out"}
    user.expect(200, "GET", "/auth/me")


def test_an_expired_token_can_log_out(user: Api) -> None:
    headers = _expired(user)
    user.problem(401, "token_expired", "GET", "/auth/me", headers=headers)
    user.expect(200, "POST", "/auth/logout", headers=headers)
    assert _is_dead(user)


def test_a_repeated_logout_succeeds(user: Api) -> None:
    for _ in range(2):
        assert user.expect(200, "POST", "/auth/logout") == {"message": "Logged out"}


def test_a_forged_token_does_not_log_out(user: Api) -> None:
    head, _, signature = user.login["access_token"].rpartition(".")
    headers = {"Authorization": f"Bearer {head}.{signature[::-1]}"}
    problem = user.problem(401, "token_invalid", "POST", "/auth/logout", headers=headers)
    assert problem["detail"] == "Invalid token"
    user.expect(200, "GET", "/auth/me")


def test_a_session_contains_its_user_agent_and_address(settings: Settings, user: Api) -> None:
    address = {"REMOTE_ADDR": "203.0.113.7"}
    body = {"email": user.email, "password": PASSWORD}
    headers = {"User-Agent": "phone/1.0"}
    user.expect(200, "POST", "/auth/login", json=body, headers=headers, environ_overrides=address)
    listed = _list(user)
    assert set(listed) == {"sessions", "total", "next_cursor"}
    assert (listed["total"], listed["next_cursor"]) == (2, None)
    phone, own = listed["sessions"]
    assert list(phone) == [
        *["id", "created_at", "last_used_at", "expires_at", "user_agent", "address", "is_current"]
    ]
    assert (phone["user_agent"], phone["address"]) == ("phone/1.0", "203.0.113.7")
    assert (phone["is_current"], own["is_current"]) == (False, True)
    assert own["address"] == "127.0.0.1"
    assert phone["id"] > own["id"]
    assert phone["created_at"] == phone["last_used_at"] < phone["expires_at"]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:5678", "203.0.113.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("203.0.113.7:http", None),
        ("unix:", None),
        ("", None),
    ],
)
def test_addresses_of_all_forms_are_accepted(user: Api, sent: str, shown: str | None) -> None:
    body = {"email": user.email, "password": PASSWORD}
    user.expect(200, "POST", "/auth/login", json=body, environ_overrides={"REMOTE_ADDR": sent})
    assert _list(user)["sessions"][0]["address"] == shown


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("x" * 300, "x" * 255),
        ("Ünïcode", "Ünïcode"),
        ("<script>alert(1)</script>",) * 2,
        ("", None),
    ],
)
def test_user_agents_of_all_forms_are_accepted(user: Api, sent: str, shown: str | None) -> None:
    body = {"email": user.email, "password": PASSWORD}
    environ = {"HTTP_USER_AGENT": sent}
    user.expect(200, "POST", "/auth/login", json=body, environ_overrides=environ)
    assert _list(user)["sessions"][0]["user_agent"] == shown


def test_the_list_contains_the_callers_live_sessions(
    settings: Settings, user: Api, stranger: Api
) -> None:
    ended, expired, live = (user.again() for _ in range(3))
    expired_id, live_id = _session_id(expired), _session_id(live)
    ended.expect(200, "POST", "/auth/logout")
    sql(settings, "UPDATE sessions SET expires_at = now() WHERE id = %s", expired_id)
    listed = _list(user)
    assert listed["total"] == 2
    assert [session["id"] for session in listed["sessions"]] == [live_id, _session_id(user)]
    assert _list(stranger)["total"] == 1


def test_pages_contain_each_session_once(user: Api) -> None:
    for _ in range(4):
        user.again()
    everything = [session["id"] for session in _list(user)["sessions"]]
    seen, query = [], "?limit=2"
    for size in (2, 2, 1):
        page = _list(user, query)
        assert (page["total"], len(page["sessions"])) == (5, size)
        seen += [session["id"] for session in page["sessions"]]
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == everything == sorted(everything, reverse=True)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?limit=x", "limit"),
        ("?cursor=x", "cursor"),
        ("?cursor=bnVsbA", "cursor"),
        ("?sort=id", "sort"),
        ("?limit=1&limit=2", "limit"),
    ],
)
def test_an_invalid_page_is_rejected(user: Api, query: str, name: str) -> None:
    problem = user.problem(400, "invalid_input", "GET", f"/auth/sessions{query}")
    assert [error["pointer"] for error in problem["errors"]] == [name]


def test_the_cursor_of_another_user_does_not_reveal_their_sessions(
    user: Api, stranger: Api
) -> None:
    user.again()
    stranger.again()
    cursor = _list(stranger, "?limit=1")["next_cursor"]
    own = {session["id"] for session in _list(user)["sessions"]}
    assert {s["id"] for s in _list(user, f"?cursor={cursor}")["sessions"]} <= own


def test_one_session_is_ended_at_once_at_every_worker(user: Api, elsewhere: Api) -> None:
    lost = user.again()
    elsewhere.login = lost.login
    elsewhere.expect(200, "GET", "/tasks")
    path = f"/auth/sessions/{_session_id(lost)}"
    assert user.expect(204, "DELETE", path) is None
    assert _is_dead(lost)
    assert _is_dead(elsewhere)
    user.expect(200, "GET", "/tasks")
    problem = user.problem(404, "not_found", "DELETE", path)
    assert problem["detail"] == "Session not found"


def test_ending_the_current_session_logs_out(user: Api) -> None:
    path = f"/auth/sessions/{_session_id(user)}"
    user.expect(204, "DELETE", path)
    assert _is_dead(user)
    user.problem(401, "session_ended", "DELETE", path)


def test_all_other_sessions_are_ended(user: Api, stranger: Api, elsewhere: Api) -> None:
    others = [user.again() for _ in range(3)]
    elsewhere.login = others[0].login
    elsewhere.expect(200, "GET", "/tasks")
    assert user.expect(200, "DELETE", "/auth/sessions") == {"ended": 3}
    assert all(_is_dead(other) for other in [*others, elsewhere])
    assert _list(user)["total"] == 1
    assert user.expect(200, "DELETE", "/auth/sessions") == {"ended": 0}
    stranger.expect(200, "GET", "/tasks")


def test_another_users_session_returns_404_and_stays(
    settings: Settings, user: Api, stranger: Api
) -> None:
    row = "SELECT sessions::text FROM sessions WHERE user_id = %s"
    before = sql(settings, row, stranger.user_id)
    theirs = user.problem(404, "not_found", "DELETE", f"/auth/sessions/{_session_id(stranger)}")
    nobodys = user.problem(404, "not_found", "DELETE", "/auth/sessions/9007199254740991")
    assert theirs["detail"] == nobodys["detail"] == "Session not found"
    assert sql(settings, row, stranger.user_id) == before
    stranger.expect(200, "GET", "/tasks")


@pytest.mark.parametrize("path_id", ["0", "-1", "x", "1e3", "99999999999999999999", "%00", "٣"])
def test_an_invalid_id_returns_404(user: Api, path_id: str) -> None:
    user.problem(404, "not_found", "DELETE", f"/auth/sessions/{path_id}")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/me"),
        ("GET", "/auth/sessions"),
        ("DELETE", "/auth/sessions"),
        ("DELETE", "/auth/sessions/{}"),
        ("POST", "/auth/password"),
        ("POST", "/auth/delete"),
    ],
)
def test_an_ended_session_cannot_be_used(
    settings: Settings, user: Api, method: str, path: str
) -> None:
    other = user.again()
    path = path.format(_session_id(other))
    body = {
        "/auth/password": {"current_password": PASSWORD, "new_password": "another password"},
        "/auth/delete": {"password": PASSWORD},
    }.get(path)
    user.expect(200, "POST", "/auth/logout")
    user.problem(401, "session_ended", method, path, json=body)
    other.expect(200, "GET", "/auth/me")
    user.again()
