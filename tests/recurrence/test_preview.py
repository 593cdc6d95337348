"""The preview of a recurrence, and the forms of a due."""

from __future__ import annotations

from typing import Any

import pytest
from hostile.values import VALUES
from recurrence.nasty import NASTY
from support.api import Api

DAY = {"date": "2026-12-24"}


def _body(rrule: str = "FREQ=DAILY", due: Any = None, **rest: Any) -> dict[str, Any]:
    return {"rrule": rrule, "due": due or DAY} | rest


def _timed(wall: str, timezone: str = "Europe/Berlin") -> dict[str, str]:
    return {"datetime": wall, "timezone": timezone}


def _preview(user: Api, *arguments: Any, **rest: Any) -> Any:
    return user.expect(200, "POST", "/recurrence/preview", json=_body(*arguments, **rest))


def _error(user: Api, *arguments: Any, **rest: Any) -> tuple[str, str]:
    """The pointer and the code of the only error."""
    body = _body(*arguments, **rest)
    problem = user.problem(400, "invalid_input", "POST", "/recurrence/preview", json=body)
    (error,) = problem["errors"]
    return error["pointer"], error["code"]


def test_the_default_count_is_ten(user: Api) -> None:
    result = _preview(user)
    assert len(result["occurrences"]) == 10
    assert result["occurrences"][:2] == [{"date": "2026-12-24"}, {"date": "2026-12-25"}]
    assert result["has_more"] is True
    assert len(_preview(user, count=100)["occurrences"]) == 100


@pytest.mark.parametrize(
    ("rrule", "number", "has_more"),
    [
        ("FREQ=DAILY;COUNT=3", 3, False),
        ("FREQ=DAILY;COUNT=4", 3, True),
        ("FREQ=DAILY;UNTIL=20261226", 3, False),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", 0, False),
    ],
)
def test_has_more_is_false_at_the_end(user: Api, rrule: str, number: int, has_more: bool) -> None:
    result = _preview(user, rrule, count=3)
    assert (len(result["occurrences"]), result["has_more"]) == (number, has_more)


def test_a_local_time_stays_the_same(user: Api) -> None:
    result = _preview(user, "FREQ=DAILY;COUNT=3", _timed("2026-10-24T18:00:00"))["occurrences"]
    assert result == [
        _timed("2026-10-24T18:00:00") | {"at": "2026-10-24T16:00:00Z"},
        _timed("2026-10-25T18:00:00") | {"at": "2026-10-25T17:00:00Z"},
        _timed("2026-10-26T18:00:00") | {"at": "2026-10-26T17:00:00Z"},
    ]


def test_a_due_in_another_time_zone_is_converted(user: Api) -> None:
    due = _timed("2026-10-24T12:00:00", "America/New_York")
    result = _preview(user, "FREQ=DAILY;COUNT=2", due, timezone="Europe/Berlin")["occurrences"]
    assert [one["datetime"] for one in result] == ["2026-10-24T18:00:00", "2026-10-25T18:00:00"]


@pytest.mark.parametrize(
    ("wall", "at"),
    [
        ("2026-10-24T20:30:00", "2026-10-25T00:30:00Z"),
        ("2026-10-24T21:30:00", "2026-10-25T01:30:00Z"),
    ],
)
def test_both_of_two_equal_local_times_can_be_stored(user: Api, wall: str, at: str) -> None:
    due = _timed(wall, "America/New_York")
    result = _preview(user, "FREQ=DAILY;COUNT=2", due, timezone="Europe/Berlin")["occurrences"]
    assert result == [
        _timed("2026-10-25T02:30:00") | {"at": at},
        _timed("2026-10-26T02:30:00") | {"at": "2026-10-26T01:30:00Z"},
    ]


@pytest.mark.parametrize(
    ("sent", "at"),
    [
        ({"datetime": "2026-10-25T01:30:00Z"}, "2026-10-25T01:30:00Z"),
        ({"datetime": "2026-10-25T02:30:00", "at": "2026-10-25T01:30:00Z"}, "2026-10-25T01:30:00Z"),
        ({"datetime": "2026-10-25T02:30:00", "at": "2026-10-25T00:30:00Z"}, "2026-10-25T00:30:00Z"),
        ({"datetime": "2026-10-25T02:30:00", "at": "2026-10-25T03:30:00Z"}, "2026-10-25T00:30:00Z"),
        ({"datetime": "2026-10-25T02:30:00", "at": 7}, "2026-10-25T00:30:00Z"),
        ({"datetime": "2026-03-29T02:30:00", "at": "2026-03-29T00:30:00Z"}, "2026-03-29T01:30:00Z"),
    ],
)
def test_at_chooses_one_of_two_equal_local_times(user: Api, sent: dict[str, Any], at: str) -> None:
    due = {"timezone": "Europe/Berlin"} | sent
    assert _preview(user, "FREQ=DAILY", due, count=1)["occurrences"][0]["at"] == at


@pytest.mark.parametrize(
    ("wall", "timezone", "at"),
    [
        # Skipped: the offset before the gap (RFC 5545 section 3.3.5).
        ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30:00Z"),
        ("2026-03-08T02:30:00", "America/New_York", "2026-03-08T07:30:00Z"),
        ("2026-10-04T02:15:00", "Australia/Lord_Howe", "2026-10-03T15:45:00Z"),
        ("2016-10-16T00:30:00", "America/Sao_Paulo", "2016-10-16T03:30:00Z"),
        ("1986-01-01T00:10:00", "Asia/Kathmandu", "1985-12-31T18:40:00Z"),
        # Twice: the first.
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00Z"),
        ("2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00Z"),
        ("2026-04-05T01:45:00", "Australia/Lord_Howe", "2026-04-04T14:45:00Z"),
        ("2017-02-18T23:30:00", "America/Sao_Paulo", "2017-02-19T01:30:00Z"),
        ("2026-01-01T00:00:00", "Asia/Kathmandu", "2025-12-31T18:15:00Z"),
    ],
)
def test_each_local_time_has_one_instant(user: Api, wall: str, timezone: str, at: str) -> None:
    result = _preview(user, "FREQ=DAILY;COUNT=1", _timed(wall, timezone))
    assert result == {"occurrences": [_timed(wall, timezone) | {"at": at}], "has_more": False}


@pytest.mark.parametrize(
    ("given", "wall"),
    [
        ("2026-12-24T17:00:00Z", "2026-12-24T18:00:00"),
        ("2026-12-24T17:00:00-00:00", "2026-12-24T18:00:00"),
        ("2026-12-24T23:30:00+05:45", "2026-12-24T18:45:00"),
        ("2026-10-25T00:30:00Z", "2026-10-25T02:30:00"),
        ("2026-12-24T17:00:00.000Z", "2026-12-24T18:00:00"),
        ("2026-12-24T16:59:59.999999999999Z", "2026-12-24T17:59:59"),
        ("2026-12-24t17:00:00z", "2026-12-24T18:00:00"),
        ("2026-12-24T18:00", "2026-12-24T18:00:00"),
        ("2026-12-24T18:00:00.5", "2026-12-24T18:00:00"),
    ],
)
def test_an_instant_is_converted_to_local_time(user: Api, given: str, wall: str) -> None:
    due = _timed(given)
    assert _preview(user, "FREQ=DAILY", due, count=1)["occurrences"][0]["datetime"] == wall


def test_a_due_of_a_response_can_be_sent_back(user: Api) -> None:
    result = _preview(user, due=_timed("2026-12-24T18:00:00"))["occurrences"]
    assert _preview(user, due=result[0])["occurrences"] == result


@pytest.mark.parametrize(
    ("due", "pointer", "code"),
    [
        ("2026-12-24", "/due", "not_an_object"),
        ([DAY], "/due", "not_an_object"),
        ({"day": "2026-12-24"}, "/due", "not_a_due"),
        (DAY | _timed("2026-12-24T18:00:00"), "/due", "not_a_due"),
        (DAY | {"timezone": "Europe/Berlin"}, "/due/timezone", "not_together"),
        (DAY | {"a/b~": 1}, "/due/a~1b~0", "unknown_field"),
        ({"date": None}, "/due", "not_a_due"),
        ({"date": 20261224}, "/due/date", "not_a_date"),
        ({"date": "2026-02-29"}, "/due/date", "not_a_date"),
        ({"date": "2026-2-9"}, "/due/date", "not_a_date"),
        ({"date": "1969-12-31"}, "/due/date", "out_of_range"),
        ({"date": "2200-01-01"}, "/due/date", "out_of_range"),
        ({"datetime": "2026-12-24T18:00:00"}, "/due/timezone", "required"),
        (_timed("2026-12-24"), "/due/datetime", "not_a_time"),
        (_timed("2026-12-24T18"), "/due/datetime", "not_a_time"),
        (_timed("2026-12-24 18:00:00"), "/due/datetime", "not_a_time"),
        (_timed("2026-12-24T18:00:00,5"), "/due/datetime", "not_a_time"),
        (_timed("2026-12-24T18:00:60"), "/due/datetime", "not_a_time"),
        (_timed("2026-12-24T24:00:00"), "/due/datetime", "not_a_time"),
        (_timed("2026-02-30T18:00:00"), "/due/datetime", "not_a_time"),
        (_timed("0001-01-01T00:00:00+14:00"), "/due/datetime", "out_of_range"),
        (_timed("9999-12-31T23:59:59-12:00"), "/due/datetime", "out_of_range"),
        (_timed("1970-01-01T00:59:59"), "/due/datetime", "out_of_range"),
        (_timed("2199-12-31T19:00:00", "America/New_York"), "/due/datetime", "out_of_range"),
        (_timed("2026-12-24T18:00:00", "europe/berlin"), "/due/timezone", "not_a_zone"),
        (_timed("2026-12-24T18:00:00", "Europe/Atlantis"), "/due/timezone", "not_a_zone"),
        (_timed("2026-12-24T18:00:00", "../zones"), "/due/timezone", "not_a_zone"),
        (_timed("2026-12-24T18:00:00", "localtime"), "/due/timezone", "not_a_zone"),
        (_timed("2026-12-24T18:00:00", "Factory"), "/due/timezone", "not_a_zone"),
        (_timed("2026-12-24T18:00:00", ""), "/due/timezone", "not_a_zone"),
    ],
    ids=str,
)
def test_an_invalid_due_is_reported_with_its_pointer(
    user: Api, due: Any, pointer: str, code: str
) -> None:
    assert _error(user, "FREQ=DAILY", due) == (pointer, code)


@pytest.mark.parametrize("due", [{"date": "2026-02-30"}, _timed("2026-02-30T10:00")])
def test_a_day_that_does_not_exist_is_named(user: Api, due: Any) -> None:
    body = {"rrule": "FREQ=DAILY", "due": due}
    problem = user.problem(400, "invalid_input", "POST", "/recurrence/preview", json=body)
    assert [error["message"] for error in problem["errors"]] == ["There is no such day."]


@pytest.mark.parametrize("name", ["date", "datetime", "timezone"])
def test_invalid_values_are_rejected_in_each_field_of_a_due(user: Api, name: str) -> None:
    whole = DAY if name == "date" else _timed("2026-12-24T18:00:00")
    for value in VALUES:
        due = b", ".join(
            [f'"{other}": "{kept}"'.encode() for other, kept in whole.items() if other != name]
            + [f'"{name}": '.encode() + value]
        )
        body = b'{"rrule": "FREQ=DAILY", "due": {' + due + b"}}"
        sent = {"data": body, "content_type": "application/json"}
        response = user.send("POST", "/recurrence/preview", **sent)
        assert response.status_code in (200, 400), value
        if response.status_code == 400:
            pointers = {error["pointer"] for error in response.get_json()["errors"]}
            is_missing = value == b"null" and name != "timezone"
            assert pointers == {"/due" if is_missing else f"/due/{name}"}


@pytest.mark.parametrize(
    ("rest", "pointer", "code"),
    [
        ({"rrule": None}, "/rrule", "null"),
        ({"rrule": ["FREQ=DAILY"]}, "/rrule", "not_a_string"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "/rrule", "out_of_range"),
        ({"rrule": "FREQ=DAILY;UNTIL=20261224T170000Z"}, "/rrule", "until_type"),
        ({"rrule": "FREQ=DAILY;UNTIL=20261224T170000"}, "/rrule", "until_type"),
        ({"anchor": "Due"}, "/anchor", "not_a_choice"),
        ({"anchor": ["due"]}, "/anchor", "not_a_choice"),
        ({"timezone": ["UTC"]}, "/timezone", "not_a_zone"),
        ({"count": 0}, "/count", "out_of_range"),
        ({"count": 101}, "/count", "out_of_range"),
        ({"count": "10"}, "/count", "wrong_type"),
        ({"completed_at": "2026-12-24T17:00:00Z"}, "/completed_at", "not_together"),
        ({"completed_at": "2026-12-24T17:00:00"}, "/completed_at", "not_an_instant"),
        ({"completed_at": "2200-01-01T00:00:00+00:01"}, "/completed_at", None),
        ({"until": "2026-12-24"}, "/until", "unknown_field"),
    ],
    ids=str,
)
def test_other_invalid_fields_are_reported(
    user: Api, rest: dict[str, Any], pointer: str, code: str | None
) -> None:
    found = _error(user, **({"rrule": "FREQ=DAILY"} | rest))
    assert found == (pointer, code or found[1])


def test_until_is_a_time_or_the_end_of_a_day(user: Api) -> None:
    due = _timed("2026-12-24T18:00:00")
    assert _error(user, "FREQ=DAILY;UNTIL=20261225T170000Z", DAY) == ("/rrule", "until_type")
    for until in ("20261225", "20261225T170000Z", "20261225T180000"):
        assert len(_preview(user, f"FREQ=DAILY;UNTIL={until}", due)["occurrences"]) == 2
    for until in ("20261225T165959Z", "20261225T175959"):
        assert len(_preview(user, f"FREQ=DAILY;UNTIL={until}", due)["occurrences"]) == 1
    late = _timed("2026-12-24T23:59:59")
    assert len(_preview(user, "FREQ=DAILY;UNTIL=20261225;", late)["occurrences"]) == 2
    for until in ("99991231", "99991231T235959Z", "99991231T235959", "00010101T000000"):
        number = len(_preview(user, f"FREQ=DAILY;UNTIL={until}", due)["occurrences"])
        assert number == (0 if until < "1" else 10)


def test_all_errors_are_reported(user: Api) -> None:
    body = {"rrule": "FREQ=NEVER", "due": {"date": "x", "y": 1}, "count": 0}
    problem = user.problem(400, "invalid_input", "POST", "/recurrence/preview", json=body)
    pointers = {error["pointer"] for error in problem["errors"]}
    assert pointers == {"/rrule", "/due/date", "/due/y", "/count"}


def test_many_unknown_names_in_a_due_return_a_short_error(user: Api) -> None:
    due = DAY | {f"name {number}": 0 for number in range(10_000)}
    problem = user.problem(400, "invalid_input", "POST", "/recurrence/preview", json=_body(due=due))
    assert len(problem["errors"]) == 10


def test_from_completion_the_rule_starts_again(user: Api) -> None:
    sent = {"anchor": "completion", "completed_at": "2026-12-30T22:59:59Z"}
    due = _timed("2026-12-24T18:00:00")
    result = _preview(user, "FREQ=WEEKLY;COUNT=3", due, **sent)["occurrences"]
    days = [one["datetime"][:10] for one in result]
    assert days == ["2026-12-24", "2027-01-06", "2027-01-13"]
    assert {one["datetime"][10:] for one in result} == {"T18:00:00"}


@pytest.mark.parametrize("anchor", ["due", "completion"])
@pytest.mark.parametrize("name", NASTY)
def test_no_rule_is_too_expensive(user: Api, name: str, anchor: str) -> None:
    for due in (DAY, _timed("1970-01-01T12:00:00"), _timed("2199-12-31T18:00:00", "Asia/Tokyo")):
        result = _preview(user, NASTY[name], due, anchor=anchor, count=100)
        assert len(result["occurrences"]) <= 100


def test_the_session_must_be_live(user: Api) -> None:
    user.expect(200, "POST", "/auth/logout")
    user.problem(401, "session_ended", "POST", "/recurrence/preview", json=_body())
