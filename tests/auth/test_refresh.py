"""Refresh: tokens rotate, a repeated request works for ten seconds, reuse ends the session."""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from typing import Any

import pytest
from flask import Flask
from support.api import Api
from support.contract import Contract
from support.databases import KEY
from support.world import at_once, person, sql, worker

from config import Settings

OTHER_KEY = "another key for tests, as long as the first one"
IDS, FAMILY, SECRET = slice(0, 16), slice(16, 34), slice(34, 66)


def _refresh(api: Api, token: str | None = None) -> dict[str, Any]:
    """Refresh with a token, by default the client's own, and return the response."""
    body = {"refresh_token": token or api.login["refresh_token"]}
    return api.expect(200, "POST", "/auth/refresh", json=body)


def _refused(api: Api, token: object, code: str = "session_ended") -> None:
    body = {"refresh_token": token}
    problem = api.problem(401, code, "POST", "/auth/refresh", json=body)
    assert problem["detail"] == "Invalid token"


def _lives(api: Api) -> bool:
    return api.send("GET", "/auth/me").status_code == 200


def _pass_the_grace(settings: Settings, api: Api) -> None:
    _pass(settings, api, seconds=11)


def _pass(settings: Settings, api: Api, seconds: int) -> None:
    """Move the times of all refreshes into the past."""
    sql(
        settings,
        "UPDATE sessions SET last_used_at = last_used_at - %s * interval '1 second',"
        " previous_uses = ARRAY(SELECT t - %s * interval '1 second' FROM unnest(previous_uses)"
        " WITH ORDINALITY AS one (t, n) ORDER BY n) WHERE user_id = %s",
        seconds,
        seconds,
        api.user_id,
    )


def _with(api: Api, login: dict[str, Any]) -> Api:
    """A client with another token."""
    other = Api(api.client, api.contract)
    other.login = login
    return other


def _bytes(token: str) -> bytes:
    return base64.urlsafe_b64decode(token.removeprefix("tr_"))


def _token(packed: bytes) -> str:
    return "tr_" + base64.urlsafe_b64encode(packed).decode()


def test_a_refresh_gives_new_tokens_of_the_same_session(user: Api) -> None:
    answer = _refresh(user)
    assert set(answer) == set(user.login)
    assert answer["user"] == user.login["user"]
    assert answer["refresh_token"] != user.login["refresh_token"]
    assert answer["access_token"] != user.login["access_token"]
    sessions = user.expect(200, "GET", "/auth/sessions")
    assert sessions["total"] == 1
    user.login = answer
    assert user.expect(200, "GET", "/auth/sessions") == sessions


def test_tokens_rotate_any_number_of_times(user: Api) -> None:
    seen = {user.login["refresh_token"]}
    for _ in range(5):
        user.login = _refresh(user)
        seen.add(user.login["refresh_token"])
    assert len(seen) == 6
    assert _lives(user)


def test_the_access_token_is_ignored(user: Api) -> None:
    body = {"refresh_token": user.login["refresh_token"]}
    headers = {"Authorization": "Bearer expired"}
    user.expect(200, "POST", "/auth/refresh", json=body, headers=headers)
    _refresh(Api(user.client, user.contract), body["refresh_token"])


def test_a_repeat_within_the_grace_gets_the_same_successor(user: Api) -> None:
    first, second = _refresh(user), _refresh(user)
    assert first["refresh_token"] == second["refresh_token"]
    for answer in (first, second):
        user.login = answer
        assert _lives(user)


def test_twenty_refreshes_at_once_get_the_same_successor(
    app: Flask, settings: Settings, user: Api, contract: Contract
) -> None:
    with worker(settings) as other:
        apis = [person(one, contract, user) for one in (app, other) * 10]
        answers = at_once([partial(_refresh, api) for api in apis])
    assert len({answer["refresh_token"] for answer in answers}) == 1
    user.login = answers[0]
    assert _lives(user)
    user.login = _refresh(user)
    assert _lives(user)


def test_a_reuse_after_the_grace_ends_the_session_and_is_logged(
    settings: Settings, user: Api, caplog: pytest.LogCaptureFixture
) -> None:
    stolen = user.login["refresh_token"]
    other = user.again()
    user.login = _refresh(user)
    _pass_the_grace(settings, user)
    caplog.clear()
    _refused(user, stolen)
    assert not _lives(user)
    _refused(user, user.login["refresh_token"])
    assert _lives(other)
    reused = [record for record in caplog.records if record.msg == "refresh_token_reused"]
    assert len(reused) == 1
    fields = vars(reused[0])
    assert (fields["user_id"], fields["levelname"]) == (user.user_id, "WARNING")
    assert fields["session_id"] == int.from_bytes(_bytes(stolen)[8:16], "big")
    assert stolen not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("generations", [2, 3, 8])
def test_each_token_used_within_the_grace_gets_the_current_one(user: Api, generations: int) -> None:
    used = []
    for _ in range(generations):
        used.append(user.login["refresh_token"])
        user.login = _refresh(user)
    for token in [*used, *reversed(used)]:
        again = _refresh(user, token)
        assert again["refresh_token"] == user.login["refresh_token"]
        assert _lives(_with(user, again))
    user.login = _refresh(user)
    assert _lives(user)


@pytest.mark.parametrize("later", [0, 1, 2])
def test_a_token_used_before_the_grace_ends_the_session_even_after_recent_refreshes(
    settings: Settings, user: Api, later: int
) -> None:
    stolen = user.login["refresh_token"]
    for _ in range(2):
        user.login = _refresh(user)
    _pass_the_grace(settings, user)
    for _ in range(later):
        user.login = _refresh(user)
    _refused(user, stolen)
    assert not _lives(user)
    _refused(user, user.login["refresh_token"])


def test_the_grace_is_counted_from_the_use_of_each_token(settings: Settings, user: Api) -> None:
    """Three refreshes, six seconds apart: the first token was used twelve seconds ago."""
    used = []
    for _ in range(3):
        used.append(user.login["refresh_token"])
        user.login = _refresh(user)
        _pass(settings, user, seconds=6)
    user.login = _refresh(user, used[2])
    _refused(user, used[0])
    assert not _lives(user)


def test_the_grace_applies_to_eight_tokens(user: Api) -> None:
    oldest = user.login["refresh_token"]
    for _ in range(9):
        user.login = _refresh(user)
    _refused(user, oldest)
    assert not _lives(user)


def test_the_current_token_does_not_expire_with_the_grace_period(
    settings: Settings, user: Api
) -> None:
    user.login = _refresh(user)
    _pass_the_grace(settings, user)
    user.login = _refresh(user)
    assert _lives(user)


def _changed(part: slice) -> Any:
    """The token with one bit changed, once for each byte of a part."""

    def change(token: str) -> list[str]:
        packed = _bytes(token)
        changed = []
        for place in range(part.start, part.stop):
            turned = bytearray(packed)
            turned[place] ^= 1
            changed.append(_token(bytes(turned)))
        return changed

    return change


@pytest.mark.parametrize(
    "garble",
    [
        _changed(IDS),
        _changed(FAMILY),
        lambda token: [token[:length] for length in range(1, len(token))],
        lambda token: [token + more for more in ("A", "AAAA", "=", " ", "\n", ".", "🔑")],
        lambda token: [token.removeprefix("tr_"), token.upper(), token.lower(), f" {token}"],
        lambda token: [token.replace("tr_", prefix) for prefix in ("tr-", "TR_", "tr_tr_")],
        lambda token: [f"tr_{'A' * 88}", f"tr_{'_' * 88}", "tr_", "x", "tr_" + "é" * 88],
        lambda token: [_token(bytes(66)), _token(b"\xff" * 66), _token(_bytes(token) + b"x")],
        lambda token: [_token(bytes(16) + _bytes(token)[16:]), _token(_bytes(token)[16:])],
    ],
    ids=["ids", "family", "cut", "longer", "spelled", "prefix", "made up", "packed", "moved"],
)
def test_a_forged_token_does_not_end_a_session(user: Api, garble: Any) -> None:
    for token in garble(user.login["refresh_token"]):
        _refused(user, token, "token_invalid")
    assert _lives(user)
    user.login = _refresh(user)
    assert _lives(user)


def test_a_token_combined_from_two_sessions_ends_neither(user: Api, stranger: Api) -> None:
    mine, theirs = (_bytes(api.login["refresh_token"]) for api in (user, stranger))
    _refused(user, _token(theirs[IDS] + mine[FAMILY] + mine[SECRET]), "token_invalid")
    _refused(user, _token(mine[IDS] + theirs[FAMILY] + theirs[SECRET]), "token_invalid")
    _refused(user, _token(mine[IDS] + theirs[FAMILY] + mine[SECRET]), "token_invalid")
    for api in (user, stranger):
        assert _lives(api)
        _refresh(api)


def test_a_wrong_secret_of_the_right_family_counts_as_a_reuse(user: Api) -> None:
    """Only a holder of a genuine token knows the family, so it is treated as an old token."""
    packed = _bytes(user.login["refresh_token"])
    _refused(user, _token(packed[:-1] + bytes([packed[-1] ^ 1])))
    assert not _lives(user)


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, "null"), ("", "length"), ("x" * 256, "length"), (5, "not_a_string")],
)
def test_a_token_of_invalid_length_returns_400(anonymous: Api, token: object, code: str) -> None:
    body = {"refresh_token": token}
    problem = anonymous.problem(400, "invalid_input", "POST", "/auth/refresh", json=body)
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [("/refresh_token", code)]


def test_an_access_token_is_not_a_refresh_token(user: Api) -> None:
    token = user.login["access_token"]
    body = {"refresh_token": token}
    response = user.send("POST", "/auth/refresh", json=body)
    assert response.status_code in (400, 401)
    assert _lives(user)


def test_only_hashes_of_a_refresh_token_are_stored(settings: Settings, user: Api) -> None:
    before = _bytes(user.login["refresh_token"])
    after = _bytes(_refresh(user)["refresh_token"])
    row = sql(settings, "SELECT sessions::text FROM sessions WHERE user_id = %s", user.user_id)
    for part in (before[FAMILY], after[SECRET]):
        assert hashlib.sha256(part).hexdigest() in row[0][0]
        assert part.hex() not in row[0][0]
        assert base64.urlsafe_b64encode(part).decode() not in row[0][0]
    assert before[FAMILY] == after[FAMILY]
    assert before[SECRET] != after[SECRET]


def test_both_tokens_of_an_expired_session_are_invalid(settings: Settings, user: Api) -> None:
    sql(settings, "UPDATE sessions SET expires_at = now() WHERE user_id = %s", user.user_id)
    _refused(user, user.login["refresh_token"])
    assert not _lives(user)
    user.problem(401, "session_ended", "GET", "/tasks")


def test_a_refresh_extends_the_session(settings: Settings, user: Api) -> None:
    where = "WHERE user_id = %s"
    sql(
        settings,
        "UPDATE sessions SET expires_at = now() + interval '1 minute',"
        f" last_used_at = now() - interval '1 day' {where}",
        user.user_id,
    )
    _refresh(user)
    found = sql(
        settings,
        "SELECT expires_at - now() > interval '29.9 days', last_used_at > now() - interval '1 hour'"
        f" FROM sessions {where}",
        user.user_id,
    )
    assert found == [(True, True)]


def test_a_session_that_was_ended_is_not_refreshed(user: Api) -> None:
    token = user.login["refresh_token"]
    user.expect(200, "POST", "/auth/logout")
    _refused(user, token)


def test_an_ended_session_is_not_refreshed_within_the_grace_period(user: Api) -> None:
    token = user.login["refresh_token"]
    _refresh(user)
    user.expect(200, "POST", "/auth/logout")
    _refused(user, token)


def test_a_refresh_works_across_a_change_of_the_key(
    settings: Settings, user: Api, contract: Contract
) -> None:
    keys = {"jwt_secret_key": OTHER_KEY, "jwt_previous_secret_keys": (KEY,)}
    with worker(settings, **keys) as rotated:
        there = person(rotated, contract, user)
        there.login = _refresh(there)
        assert _lives(there)
        assert not _lives(_sent_to(user, there))
        there.login = _refresh(there)
        assert _lives(there)


def test_a_repeat_across_a_change_of_the_key_gets_the_same_successor(
    settings: Settings, user: Api, contract: Contract
) -> None:
    keys = {"jwt_secret_key": OTHER_KEY, "jwt_previous_secret_keys": (KEY,)}
    before = _refresh(user)["refresh_token"]
    with worker(settings, **keys) as rotated:
        there = person(rotated, contract, user)
        assert _refresh(there)["refresh_token"] == before
        assert _lives(there)


def test_a_refresh_does_not_need_the_removed_key(
    settings: Settings, user: Api, contract: Contract
) -> None:
    with worker(settings, jwt_secret_key=OTHER_KEY) as rotated:
        there = person(rotated, contract, user)
        assert not _lives(there)
        there.login = _refresh(there)
        assert _lives(there)


def _sent_to(here: Api, other: Api) -> Api:
    """The tokens of another client, sent to the application of this one."""
    api = Api(here.client, here.contract)
    api.login = other.login
    return api
