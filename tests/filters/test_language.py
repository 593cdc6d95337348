"""The filter language: syntax, precedence, and the position of errors."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.api import Api
from support.numbers import FILTER_NAMES, NUMBERS

from taskapi.http.timezones import zone_names
from taskapi.tasks.filters.grammar import MAX_CONDITIONS, MAX_DEPTH, MAX_LENGTH, parse
from taskapi.tasks.filters.nodes import FilterError
from taskapi.tasks.filters.terms import FIELDS, Clock, Resolver

INBOX = 1
ME = 2
NOW = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
BERLIN = Clock(NOW, "Europe/Berlin")
OPEN = ("not", "completed")
OVERDUE = ("all", OPEN, "due <")


def read(text: str) -> tuple[Any, list[Any]]:
    """The shape of a filter, and its values."""
    resolver = Resolver(BERLIN, INBOX, ME)
    return resolver.shape(parse(text)), resolver.values


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("completed", "completed"),
        ("is_completed = true", "completed"),
        ("completed = FALSE", OPEN),
        ("completed != true", OPEN),
        ("not not completed", "completed"),
        ("not completed = true", OPEN),
        (
            "completed or overdue and completed",
            ("either", "completed", ("all", OVERDUE, "completed")),
        ),
        (
            "(completed or overdue) AND completed",
            ("all", ("either", "completed", OVERDUE), "completed"),
        ),
        ("not completed and completed", ("all", OPEN, "completed")),
        ("not(completed and completed)", ("not", ("all", "completed", "completed"))),
        ("completed\tAnd\r\ncompleted", ("all", "completed", "completed")),
        ("((((completed))))", "completed"),
        ("list = 1", "in inbox"),
        ("list_id = 2", "list id"),
        ('list = "1"', "list name"),
        ("list not in (a, 2)", ("not", ("either", "list name", "list id"))),
        ("not list in (a)", ("not", ("either", "list name"))),
        ("label all (a, 2)", ("all", "label name", "label id")),
        ("label none (a, 2)", ("not", ("either", "label name", "label id"))),
        ("label != a", ("not", "label name")),
        ("label is not null", "has label"),
        ("parent is null", ("not", "has parent")),
        ("created_at < today", "created <"),
        ("created = today", ("all", "created >=", "created <")),
        ("created = tomorrow", ("all", "created >=", "created <")),
        ("id in (7, 8)", ("either", "id =", "id =")),
        ("id != 7", ("not", "id =")),
        ("assignee = me", "assignee ="),
        ("assignee_id != ME", ("not", "assignee =")),
        ("assignee in (me, 7)", ("either", "assignee =", "assignee =")),
        ("assignee is null", ("not", "has assignee")),
        ("assignee IS NOT NULL", "has assignee"),
    ],
)
def test_operators_have_the_usual_precedence(text: str, shape: Any) -> None:
    assert read(text)[0] == shape


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("title = Milk", "Milk"),
        ("title = to-do", "to-do"),
        ("title = Grün", "Grün"),
        ("title = android", "android"),
        (r"title = 'it\'s \"fine\" \\'", 'it\'s "fine" \\'),
        ('title = "a\nb"', "a\nb"),
        ('title = "and (not) 7 \U0001f331"', "and (not) 7 \U0001f331"),
        ("title ~ ÄRZTE", "Ärzte"),
        ("priority = 3", 3),
        ("assignee = me", ME),
        ("assignee = 7", 7),
        ("title = me", "me"),
        ("created < 2026-10-25T02:30:00.5+02:00", datetime(2026, 10, 25, 0, 30, 0, 500_000, UTC)),
        ("created < 2026-10-25", datetime(2026, 10, 24, 22, tzinfo=UTC)),
        ("created <= 2026-10-25", datetime(2026, 10, 25, 23, tzinfo=UTC)),
        ("created > today", datetime(2026, 10, 25, 23, tzinfo=UTC)),
        ("created < now", NOW),
        ("created < NOW+2h-30m", NOW + timedelta(minutes=90)),
        ("created < now+1d", datetime(2026, 10, 26, 1, 30, tzinfo=UTC)),
        ("created < tomorrow", datetime(2026, 10, 25, 23, tzinfo=UTC)),
        ("created < Yesterday", datetime(2026, 10, 23, 22, tzinfo=UTC)),
        ("created < tomorrow+1w", datetime(2026, 11, 1, 23, tzinfo=UTC)),
        ("created < yesterday-1d", datetime(2026, 10, 22, 22, tzinfo=UTC)),
        ("created < today+1w", datetime(2026, 10, 31, 23, tzinfo=UTC)),
        ("created < today-8mo", datetime(2026, 2, 24, 23, tzinfo=UTC)),
        ("created < today+6d+4mo", datetime(2027, 2, 27, 23, tzinfo=UTC)),
        ("created < today+1y", datetime(2027, 10, 24, 22, tzinfo=UTC)),
    ],
)
def test_values_have_their_types(text: str, value: Any) -> None:
    assert read(text)[1] == [value]


FIRST = "Expected a field, found "


@pytest.mark.parametrize(
    ("text", "code", "offset", "part"),
    [
        (" ", "syntax", 1, FIRST + "the end at offset 1."),
        ("completed and", "syntax", 13, FIRST + "the end at offset 13."),
        (
            "completed and foo = 1",
            "unknown_field",
            14,
            FIRST + "'foo' at offset 14. Fields: id, title,",
        ),
        ("Priority = 1", "unknown_field", 0, FIRST + "'Priority'"),
        ("\U0001f331 = 1", "syntax", 0, FIRST + "'\U0001f331'"),
        ("title = '\U0001f331' and x", "unknown_field", 16, FIRST + "'x'"),
        ("completed completed", "syntax", 10, "Expected an operator, found 'completed'"),
        ("completed orcompleted", "syntax", 10, "Expected an operator"),
        ("completed)", "syntax", 9, "found ')'"),
        ("(completed", "syntax", 10, "Expected ), found the end"),
        ("priority = 1 priority = 2", "syntax", 13, "Expected 'and' or 'or'"),
        ("priority = and", "syntax", 11, "Expected a value, found 'and'"),
        ("priority in ()", "syntax", 13, "Expected a value, found ')'"),
        ("priority in 1", "syntax", 12, "Expected (, found '1'"),
        ("priority = 1.5", "syntax", 12, "'.5'"),
        ("priority = -1", "syntax", 11, "'-1'"),
        ("priority == 1", "syntax", 10, "'='"),
        ("priority is 1", "syntax", 12, "Expected null"),
        ("priority is null", "not_nullable", 0, "The field priority is never null."),
        ("priority = 5", "out_of_range", 11, "up to 4"),
        ("estimate < 99999999999999999999", "out_of_range", 11, "up to 525,600"),
        ("priority = high", "wrong_type", 11, "requires a whole number from 0 to 4 (highest)."),
        ("estimate < long", "wrong_type", 11, "a whole number from 1 to 525,600."),
        ("priority ~ 1", "operator", 0, "= < <= > >="),
        ("priority", "wrong_type", None, "a whole number"),
        ("completed > false", "operator", 0, "The operators of completed are =."),
        ("description = a", "operator", 0, "~"),
        ("list < 3", "operator", 0, "="),
        ("list = today", "wrong_type", 7, "a text or a whole number"),
        ("priority all (1, 2)", "operator", 0, "label"),
        ("title none (a)", "operator", 0, "label"),
        ('title = "abc', "syntax", 8, "The text that starts at offset 8 has no closing quote."),
        (r"title = 'a\n'", "syntax", 10, "A backslash must precede"),
        ("due = 2026-02-30", "not_a_time", 6, "There is no such day."),
        ("due = 2026-1-1", "not_a_time", 6, "digits: 2026-01-01."),
        ("completed and due < 2026-1-5", "not_a_time", 20, "digits: 2026-01-05."),
        ("due < 2026/12/24", "not_a_time", 10, "digits: 2026-12-24."),
        ("due < 24.12.2026", "not_a_time", 8, "Write dates with four, two and two digits"),
        ("due < 2026-13-5", "not_a_time", 6, "There is no such day."),
        ("due < now + 30d", "not_a_time", 10, "Write now+30d, without spaces."),
        ("due < today +1w-2d", "not_a_time", 12, "Write today+1w-2d, without spaces."),
        ("due < tomorrow- 1mo", "not_a_time", 16, "Write tomorrow-1mo, without spaces."),
        ("due < now + 3 days", "not_a_time", 10, "one of the units m (minutes), h (hours)"),
        ("due < now+30days", "not_a_time", 6, "d (days), w (weeks), mo (months)"),
        ("due < now-1mon", "wrong_type", 6, "mo (months) and y (years): now+30d."),
        ("due < now+1M", "not_a_time", 6, "Write mo for months and m for minutes"),
        ("due < today-2d+1M", "not_a_time", 6, "Write mo for months"),
        ("due < yesterday+2h", "not_a_time", 6, "The units of yesterday are d, w, mo and y."),
        ("due = 2026-01-01T10:00", "not_a_time", 6, "Must be a date like"),
        ("due = 2026-01-01T10:00:00", "not_a_time", 6, "an instant like"),
        ("due = 2026-01-01T24:00:00Z", "not_a_time", 6, "Must be"),
        ("due = 1969-12-31", "out_of_range", 6, "1970 to 2199"),
        ("due = 9999-12-31T23:59:59-12:00", "out_of_range", 6, "1970 to 2199"),
        ("due = 0001-01-01T00:00:00+14:00", "out_of_range", 6, "1970 to 2199"),
        ("due < today+9999y", "out_of_range", 6, "1970 to 2199"),
        ("due < now+9999y-9999y", "out_of_range", 6, "1970 to 2199"),
        ("due < today-3000mo", "out_of_range", 6, "1970 to 2199"),
        ("due < today+99999d", "not_a_time", 6, "A number has up to four digits"),
        ("due < today+2h", "not_a_time", 6, "Use now for hours"),
        ("due < today 7d", "syntax", 12, "'7d'"),
        ("due < friday", "wrong_type", 6, "a date or an instant, like 2026-12-24, tomorrow"),
        ("due < 5", "wrong_type", 6, "a date or an instant"),
        ("title = tomorrow", "wrong_type", 8, "Put a text in quotes."),
        ("id = a", "wrong_type", 5, "The field id requires a whole number."),
        ("id < 3", "operator", 0, "The operators of id are =."),
        ("id is null", "not_nullable", 0, "The field id is never null."),
        ('text = "words"', "operator", 0, "~"),
        ("assignee = nobody", "wrong_type", 11, "requires me or the ID of a user."),
        ("assignee = 'a@example.com'", "wrong_type", 11, "me or the ID of a user."),
        ("assignee < 3", "operator", 0, "The operators of assignee are =."),
        ("assignee = 9007199254740992", "out_of_range", 11, "up to"),
    ],
)
def test_a_syntax_error_is_reported_with_its_offset(
    user: Api, text: str, code: str, offset: int | None, part: str
) -> None:
    problem = user.problem(400, "invalid_input", "GET", "/tasks", query_string={"filter": text})
    (error,) = problem["errors"]
    assert (error["pointer"], error["code"], error.get("offset")) == ("filter", code, offset)
    assert part in error["message"]
    assert problem["detail"] == f"filter: {error['message']}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(" * 21 + "completed" + ")" * 21, "too_deep"),
        ("(" * 1_999, "too_deep"),
        ("completed or (" * 140, "too_deep"),
        (" or ".join(["completed"] * 101), "too_many"),
        (f"priority in ({', '.join('1' * 101)})", "too_many"),
        ("a" * (MAX_LENGTH + 1), "length"),
        ("'" + "\\" * 1_990, "syntax"),
        ("priority = " + "9" * 1_980, "out_of_range"),
        ("title = \x01", "syntax"),
        ("title = '\0'", "syntax"),
        ("title = '\\\0'", "syntax"),
        ("not " * 499, "syntax"),
        ("due < now" + "+1d" * 600 + "x", "not_a_time"),
        ("due < now" + " +1d" * 400 + " x", "not_a_time"),
        ("due < " + "now + " * 300, "syntax"),
        ("due < " + "1-1-" * 400, "syntax"),
        ("\u0130\u1e9e = 1", "unknown_field"),
        ("priority = \u0663", "syntax"),
        ("due = \u0662\u0660\u0662\u0666-01-05", "syntax"),
        ("completed\u2028and completed", "syntax"),
    ],
)
def test_hostile_filters_are_rejected_quickly(user: Api, text: str, code: str) -> None:
    parse("completed")
    began = time.process_time()
    with pytest.raises(FilterError) as refused:
        read(text)
    assert time.process_time() - began < 5  # a filter that backtracks takes minutes
    assert refused.value.code == code
    user.problem(400, "invalid_input", "GET", "/tasks", query_string={"filter": text})


@pytest.mark.parametrize("raw", ["title=%00", "title='%00'", "title=%ED%A0%80", ""])
def test_a_filter_that_is_not_text_returns_400(user: Api, raw: str) -> None:
    user.problem(400, "invalid_input", "GET", f"/tasks?filter={raw}")


def test_the_largest_filters_work(user: Api) -> None:
    deep = "(" * MAX_DEPTH + "not not completed" + ")" * MAX_DEPTH
    mixed = "completed or (not completed and (" * 10 + "completed" + ")" * 20
    wide = " or ".join(["completed"] * MAX_CONDITIONS)
    long = "title = '" + "\U0001f331" * (MAX_LENGTH - 10) + "'"
    for text in (deep, mixed, wide, long, "not " * 498 + "overdue"):
        assert len(text) <= MAX_LENGTH
        user.expect(200, "GET", "/tasks", query_string={"filter": text})


@pytest.mark.parametrize(
    "title", ["' OR '1'='1", "'); DROP TABLE tasks; --", ":filter_0 $1 %s {0} \\", '"']
)
def test_strings_are_only_values(user: Api, title: str) -> None:
    user.task(title="another")
    task = user.task(title=title)
    quoted = title.replace("\\", "\\\\").replace("'", "\\'")
    for operator in ("=", "~"):
        query = {"filter": f"title {operator} '{quoted}'"}
        assert user.expect(200, "GET", "/tasks", query_string=query)["tasks"] == [task]


def test_random_text_is_valid_or_returns_400(user: Api) -> None:
    noise, offsets = random.Random(3), []
    words = [
        *FIELDS,
        *"()(),=~<>",
        "!=",
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
        "'a'",
        "7",
        "today",
    ]
    for _ in range(300):
        text = noise.choice((" ", "")).join(noise.choices(words, k=noise.randint(1, 12)))
        try:
            read(text)
        except FilterError as refused:
            offsets.append((refused.offset or 0, len(text)))
    assert len(offsets) > 100
    assert all(0 <= offset <= length for offset, length in offsets)


def test_a_day_begins_at_its_first_instant_in_every_time_zone() -> None:
    for zone in zone_names():
        clock = Clock(NOW, zone)
        for month in range(1, 13):
            for number in (1, 8, 15, 25, 29):
                day = datetime(2026, month, min(number, 28), tzinfo=UTC).date()
                start = clock.start_of(day)
                assert clock.day_of(start) == day
                assert clock.day_of(start - timedelta(microseconds=1)) < day


def test_filters_accept_the_values_of_tasks() -> None:
    accepted = {name: FIELDS[short].most for name, short in FILTER_NAMES.items()}
    assert accepted == {number.name: number.most for number in NUMBERS if number.name in accepted}
    assert {"priority", "estimate_minutes"} <= accepted.keys()
