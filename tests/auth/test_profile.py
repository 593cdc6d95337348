"""The profile of an account, and its time zone as the default of other requests."""

from __future__ import annotations

from typing import Any

import pytest
from support.api import Api

EMPTY = {"name": None, "timezone": None, "locale": None, "week_start": None}
ADA = {
    "name": "Ada Lovelace",
    "timezone": "Europe/London",
    "locale": "en-GB",
    "week_start": "sunday",
}
TOKYO = {"timezone": "Asia/Tokyo"}


def _profile(user: Api) -> dict[str, Any]:
    account = user.expect(200, "GET", "/auth/me")
    return {name: account[name] for name in EMPTY}


def _set(user: Api, **changes: Any) -> dict[str, Any]:
    return user.expect(200, "PATCH", "/auth/me", json=changes)


def test_a_profile_is_empty_until_it_is_set_and_null_clears_a_field(
    user: Api, stranger: Api
) -> None:
    assert _profile(user) == EMPTY
    changed = _set(user, **ADA)
    assert changed == user.expect(200, "GET", "/auth/me")
    assert _profile(user) == ADA
    assert _set(user) == changed
    _set(user, timezone=None, week_start="monday")
    assert _profile(user) == ADA | {"timezone": None, "week_start": "monday"}
    assert _profile(stranger) == EMPTY


def test_a_client_can_send_back_the_account_and_changes_only_its_profile(
    user: Api, stranger: Api
) -> None:
    account = user.expect(200, "GET", "/auth/me")
    changed = account | {"id": stranger.user_id, "email": "other@example.com", "name": " Ada "}
    assert _set(user, **changed) == account | {"name": "Ada"}
    headers = {"Content-Type": "application/merge-patch+json"}
    user.expect(200, "PATCH", "/auth/me", data='{"name": null}', headers=headers)
    assert user.expect(200, "GET", "/auth/me") == account


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("de", "de"),
        ("EN-us", "en-US"),
        ("zh-hANT-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-DE-U-CO-PHONEBK", "de-DE-u-co-phonebk"),
        ("sl-rozaj-biske", "sl-rozaj-biske"),
    ],
)
def test_a_locale_has_the_usual_case(user: Api, sent: str, stored: str) -> None:
    assert _set(user, locale=sent)["locale"] == stored


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", "", "length"),
        ("name", " ", "length"),
        ("name", "a" * 256, "length"),
        ("name", 1, "not_a_string"),
        ("timezone", "Berlin", "not_a_zone"),
        ("timezone", "../etc/passwd", "not_a_zone"),
        ("timezone", "europe/berlin", "not_a_zone"),
        ("locale", "", "not_a_locale"),
        ("locale", "de_DE", "not_a_locale"),
        ("locale", "de-", "not_a_locale"),
        ("locale", "a" * 9, "not_a_locale"),
        ("locale", "de" + "-1234" * 7, "not_a_locale"),
        ("locale", ["de"], "not_a_locale"),
        ("week_start", "Monday", "not_a_choice"),
        ("week_start", 1, "not_a_choice"),
        ("hashed_password", "x", "unknown_field"),
        ("is_active", True, "unknown_field"),
    ],
)
def test_an_invalid_field_changes_nothing(user: Api, field: str, value: Any, code: str) -> None:
    _set(user, **ADA)
    body = {"week_start": "friday"} | {field: value}
    problem = user.problem(400, "invalid_input", "PATCH", "/auth/me", json=body)
    (error,) = problem["errors"]
    assert error["pointer"] == f"/{field}"
    assert error["code"] in (code, "invalid")
    assert _profile(user) == ADA


def test_a_due_without_a_time_zone_has_that_of_the_account(user: Api) -> None:
    _set(user, **TOKYO)
    due = {"datetime": "2030-01-05T09:00:00"}
    expected = {**due, **TOKYO, "at": "2030-01-05T00:00:00Z"}
    task = user.task(due=due, start=due | {"timezone": None})
    assert (task["due"], task["start"]) == (expected, expected)
    address = f"/tasks/{task['id']}"
    instant = {"datetime": "2030-01-06T00:00:00Z"}
    later = {"datetime": "2030-01-06T09:00:00", **TOKYO, "at": "2030-01-06T00:00:00Z"}
    assert user.expect(200, "PUT", address, json={"due": instant})["due"] == later


def test_a_due_keeps_its_time_zone_unless_that_is_cleared(user: Api) -> None:
    _set(user, **TOKYO)
    task = user.task(due={"datetime": "2030-01-05T09:00:00", "timezone": "Europe/Berlin"})
    address = f"/tasks/{task['id']}"
    patched = user.expect(200, "PATCH", address, json={"due": {"datetime": "2030-01-06T09:00:00"}})
    assert patched["due"]["timezone"] == "Europe/Berlin"
    patched = user.expect(200, "PATCH", address, json={"due": {"timezone": None}})
    assert patched["due"]["timezone"] == "Asia/Tokyo"
    user.expect(200, "PATCH", address, json={"due": {"date": "2030-01-07"}})
    patched = user.expect(200, "PATCH", address, json={"due": {"datetime": "2030-01-07T09:00:00"}})
    assert patched["due"]["timezone"] == "Asia/Tokyo"


def test_a_change_of_the_time_zone_changes_no_task(user: Api) -> None:
    _set(user, **TOKYO)
    task = user.task(due={"datetime": "2030-01-05T09:00:00"})
    _set(user, timezone="Europe/Berlin")
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task


@pytest.mark.parametrize("name", ["due", "start"])
def test_a_due_needs_a_time_zone_if_the_account_has_none(user: Api, name: str) -> None:
    time = {"datetime": "2030-01-05T09:00:00"}
    body = {"title": "a", name: time}
    problem = user.problem(400, "invalid_input", "POST", "/tasks", json=body)
    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == (f"/{name}/timezone", "required")
    address = f"/tasks/{user.task()['id']}"
    for method in ("PUT", "PATCH"):
        assert user.problem(400, "invalid_input", method, address, json={name: time})["errors"] == [
            error
        ]


@pytest.mark.parametrize("timezone", ["Asia/Tokyo", "Etc/GMT+12"])
def test_a_due_outside_the_supported_years_is_invalid_in_the_default_time_zone(
    user: Api, timezone: str
) -> None:
    _set(user, timezone=timezone)
    edge = "1970-01-01T00:00:00" if timezone == "Asia/Tokyo" else "2199-12-31T23:59:59"
    body = {"title": "a", "due": {"datetime": edge}}
    problem = user.problem(400, "invalid_input", "POST", "/tasks", json=body)
    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == ("/due/datetime", "out_of_range")


def test_a_recurrence_by_date_has_the_time_zone_of_the_account_or_utc(user: Api) -> None:
    weekly = {"due": {"date": "2030-01-05"}, "recurrence": {"rrule": "FREQ=WEEKLY"}}
    assert user.task(**weekly)["recurrence"]["timezone"] == "UTC"
    _set(user, **TOKYO)
    task = user.task(**weekly)
    assert task["recurrence"]["timezone"] == "Asia/Tokyo"
    berlin = {"recurrence": {"timezone": "Europe/Berlin"}}
    address = f"/tasks/{task['id']}"
    patched = user.expect(200, "PATCH", address, json=berlin)
    assert patched["recurrence"]["timezone"] == "Europe/Berlin"
    patched = user.expect(200, "PATCH", address, json={"recurrence": {"timezone": None}})
    assert patched["recurrence"]["timezone"] == "Asia/Tokyo"


def test_a_preview_has_the_time_zone_of_the_account(user: Api) -> None:
    body = {"rrule": "FREQ=DAILY", "due": {"datetime": "2030-01-05T09:00:00"}, "count": 1}
    problem = user.problem(400, "invalid_input", "POST", "/recurrence/preview", json=body)
    assert problem["errors"][0]["pointer"] == "/due/timezone"
    _set(user, **TOKYO)
    (due,) = user.expect(200, "POST", "/recurrence/preview", json=body)["occurrences"]
    assert due == {"datetime": "2030-01-05T09:00:00", **TOKYO, "at": "2030-01-05T00:00:00Z"}
    until = {"rrule": "FREQ=DAILY;UNTIL=20300105", "due": {"date": "2030-01-05"}}
    user.expect(200, "POST", "/recurrence/preview", json=until)


def _found(user: Api, **query: Any) -> bool:
    return bool(user.expect(200, "GET", "/tasks", query_string=query)["tasks"])


def test_days_in_filters_are_those_of_the_accounts_time_zone(user: Api) -> None:
    user.task(title="water", due={"datetime": "2030-01-04T20:00:00", "timezone": "UTC"})
    saved = user.filter(query="due = 2030-01-05")["id"]
    queries = [
        {"filter": "due = 2030-01-05"},
        {"due_from": "2030-01-05", "due_before": "2030-01-06"},
        {"filter_id": saved},
    ]
    for query in queries:
        assert not _found(user, **query)
    _set(user, **TOKYO)
    for query in queries:
        assert _found(user, **query)
        assert not _found(user, **query, timezone="UTC")
    search = {"text": "water", "due_from": "2030-01-05"}
    assert user.expect(200, "GET", "/search", query_string=search)["results"]


def test_results_in_the_default_time_zone_have_no_etag(user: Api) -> None:
    user.task(due={"datetime": "2030-01-04T20:00:00", "timezone": "UTC"})
    query = {"due_from": "2030-01-05"}
    first = user.send("GET", "/tasks", query_string=query)
    assert "ETag" not in first.headers
    _set(user, **TOKYO)
    known = {"If-None-Match": user.send("GET", "/tasks").headers["ETag"]}
    again = user.send("GET", "/tasks", query_string=query, headers=known)
    assert (again.status_code, len(again.get_json()["tasks"])) == (200, 1)
    explicit = query | {"timezone": "Asia/Tokyo"}
    assert "ETag" in user.send("GET", "/tasks", query_string=explicit).headers
