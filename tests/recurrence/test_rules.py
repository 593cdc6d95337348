"""Recurrence rules: syntax, the examples of the RFC, and the cost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime
from itertools import islice
from types import FrameType
from typing import Any

import pytest
from recurrence.nasty import NASTY

from taskapi.tasks.dues import DateDue, TimedDue
from taskapi.tasks.recurrence import rules as module
from taskapi.tasks.recurrence.service import (
    Anchor,
    Following,
    Recurrence,
    RuleError,
    next_due,
    occurrences,
    parse,
)

PACKAGE = module.__file__.rpartition("/")[0]
MOST_LINES = 30_000
"""The lines of Python that any rule may execute: about ten milliseconds."""


def _dates(text: str, start: str, most: int = 5, anchor: Anchor = Anchor.DUE) -> str:
    """The first dates of a rule as month and day, with the year where it changes."""
    recurrence = Recurrence(parse(text), anchor, "America/New_York")
    found = islice(occurrences(recurrence, DateDue(date.fromisoformat(start))), most)
    texts, year = [], ""
    for due in found:
        day = due.date.isoformat()
        texts.append(day[5:] if day[:4] == year else day)
        year = day[:4]
    return " ".join(texts)


RFC_EXAMPLES = [
    ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02", "1997-09-02 09-12 09-22 10-02 10-12"),
    ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", "1997-09-02", "1997-09-02 09-16 09-30 10-14 10-28"),
    (
        "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
        "1997-09-02",
        "1997-09-02 09-04 09-09 09-11 09-16",
    ),
    (
        "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224;WKST=SU;BYDAY=MO,WE,FR",
        "1997-09-01",
        "1997-09-01 09-03 09-05 09-15 09-17",
    ),
    ("FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "1997-09-05", "1997-09-05 10-03 11-07 12-05 1998-01-02"),
    (
        "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
        "1997-09-07",
        "1997-09-07 09-28 11-02 11-30 1998-01-04",
    ),
    ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "1997-09-22", "1997-09-22 10-20 11-17 12-22 1998-01-19"),
    ("FREQ=MONTHLY;BYMONTHDAY=-3", "1997-09-28", "1997-09-28 10-29 11-28 12-29 1998-01-29"),
    (
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
        "1997-09-30",
        "1997-09-30 10-01 10-31 11-01 11-30",
    ),
    (
        "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
        "1997-09-10",
        "1997-09-10 09-11 09-12 09-13 09-14",
    ),
    (
        "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
        "1997-06-10",
        "1997-06-10 07-10 1998-06-10 07-10 1999-06-10",
    ),
    (
        "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
        "1997-01-01",
        "1997-01-01 04-10 07-19 2000-01-01 04-09",
    ),
    (
        "FREQ=YEARLY;BYDAY=20MO",
        "1997-05-19",
        "1997-05-19 1998-05-18 1999-05-17 2000-05-15 2001-05-14",
    ),
    (
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
        "1997-05-12",
        "1997-05-12 1998-05-11 1999-05-17 2000-05-15 2001-05-14",
    ),
    (
        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
        "1997-09-02",
        "1998-02-13 03-13 11-13 1999-08-13 2000-10-13",
    ),
    (
        "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
        "1997-09-13",
        "1997-09-13 10-11 11-08 12-13 1998-01-10",
    ),
    (
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        "1996-11-05",
        "1996-11-05 2000-11-07 2004-11-02 2008-11-04 2012-11-06",
    ),
    (
        "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
        "1997-09-04",
        "1997-09-04 10-07 11-06",
    ),
    (
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
        "1997-09-29",
        "1997-09-29 10-30 11-27 12-30 1998-01-29",
    ),
    (
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
        "1997-08-05",
        "1997-08-05 08-10 08-19 08-24",
    ),
    (
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
        "1997-08-05",
        "1997-08-05 08-17 08-19 08-31",
    ),
    ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007-01-15", "2007-01-15 01-30 02-15 03-15 03-30"),
]


@pytest.mark.parametrize(("text", "start", "expected"), RFC_EXAMPLES)
def test_the_examples_of_the_rfc(text: str, start: str, expected: str) -> None:
    assert _dates(text, start) == expected


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        # A start that does not match the rule is not an occurrence, and is not counted.
        ("FREQ=WEEKLY;BYDAY=MO;COUNT=2", "2026-11-25", "2026-11-30 12-07"),
        ("FREQ=WEEKLY;BYDAY=WE;COUNT=2", "2026-11-25", "2026-11-25 12-02"),
        # The set of BYSETPOS begins with the interval, even if the start is in its middle.
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2;COUNT=2", "2026-01-07", "2026-01-07 01-14"),
        # Missing parts come from the start: a weekday with BYWEEKNO, else a day of the month.
        ("FREQ=YEARLY;BYWEEKNO=20;COUNT=2", "2026-01-07", "2026-05-13 2027-05-19"),
        ("FREQ=MONTHLY;COUNT=4", "2026-01-31", "2026-01-31 03-31 05-31 07-31"),
        ("FREQ=YEARLY;COUNT=2", "2024-02-29", "2024-02-29 2028-02-29"),
        # A week belongs to the year that numbers it.
        (
            "FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=MO;COUNT=3",
            "2025-12-29",
            "2025-12-29 2028-01-03 2029-12-31",
        ),
        # Weeks begin on the day of WKST: their numbers, and the Sunday of each, differ.
        (
            "FREQ=YEARLY;BYWEEKNO=1;BYDAY=SU;WKST=MO;COUNT=3",
            "2026-01-01",
            "2026-01-04 2027-01-10 2028-01-09",
        ),
        (
            "FREQ=YEARLY;BYWEEKNO=1;BYDAY=SU;WKST=SU;COUNT=3",
            "2026-01-01",
            "2026-01-04 2027-01-03 2028-01-02",
        ),
        ("FREQ=YEARLY;BYWEEKNO=20;WKST=SU;COUNT=2", "2026-05-17", "2026-05-17 2027-05-16"),
        ("FREQ=YEARLY;BYWEEKNO=20;COUNT=2", "2026-05-17", "2026-05-17 2027-05-23"),
        ("FREQ=DAILY;UNTIL=20261127", "2026-11-26", "2026-11-26 11-27"),
        ("FREQ=DAILY;UNTIL=19691231", "2026-11-26", ""),
        ("FREQ=DAILY;UNTIL=99991231", "2199-12-30", "2199-12-30 12-31"),
        ("FREQ=YEARLY", "2198-03-01", "2198-03-01 2199-03-01"),
    ],
)
def test_cases_that_the_rfc_leaves_undefined(text: str, start: str, expected: str) -> None:
    assert _dates(text, start) == expected


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("FREQ=MONTHLY;COUNT=4", "2026-01-31", "2026-01-31 02-28 03-28 04-28"),
        ("FREQ=YEARLY;COUNT=3", "2024-02-29", "2024-02-29 2025-02-28 2026-02-28"),
        ("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3", "2026-01-31", "2026-01-31 03-31 05-31"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", "2026-01-31", "2026-01-31 02-28 03-31"),
    ],
)
def test_monthly_from_completion_never_skips_a_month(text: str, start: str, expected: str) -> None:
    assert _dates(text, start, anchor=Anchor.COMPLETION) == expected


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        # The examples of RFC 7529 section 4.2.
        ("FREQ=MONTHLY;SKIP=FORWARD;COUNT=4", "2014-01-31", "2014-01-31 03-01 03-31 05-01"),
        ("FREQ=YEARLY;SKIP=FORWARD;COUNT=3", "2012-02-29", "2012-02-29 2013-03-01 2014-03-01"),
        ("FREQ=MONTHLY;SKIP=BACKWARD;COUNT=4", "2014-01-31", "2014-01-31 02-28 03-31 04-30"),
        ("FREQ=MONTHLY;SKIP=OMIT;COUNT=3", "2014-01-31", "2014-01-31 03-31 05-31"),
        ("FREQ=MONTHLY;COUNT=3", "2014-01-31", "2014-01-31 03-31 05-31"),
        ("FREQ=MONTHLY;BYMONTHDAY=30;SKIP=FORWARD;COUNT=3", "2026-01-30", "2026-01-30 03-01 03-30"),
        (
            "FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=31;SKIP=FORWARD;COUNT=4",
            "2026-01-31",
            "2026-01-31 05-01 07-31 10-31",
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=31;BYDAY=FR;SKIP=FORWARD;COUNT=2",
            "2026-01-01",
            "2026-05-01 07-31",
        ),
        ("FREQ=DAILY;BYMONTHDAY=31;SKIP=BACKWARD;COUNT=2", "2026-01-31", "2026-01-31 03-31"),
    ],
)
def test_skip_says_which_day_replaces_a_missing_one(text: str, start: str, expected: str) -> None:
    assert _dates(f"RSCALE=GREGORIAN;{text}", start) == expected


REFUSED = {
    "": ("not_a_rule", "Must be a rule of RFC 5545, like FREQ=WEEKLY;BYDAY=MO,WE."),
    "RRULE:FREQ=DAILY": ("not_a_rule", "Must not begin with RRULE:."),
    "freq=daily": ("not_a_rule", "Must be in upper case."),
    "FREQ=DAILY;;": ("not_a_rule", None),
    "FREQ=DAILY; COUNT=1": ("not_a_rule", None),
    "FREQ=DAILY\n": ("not_a_rule", None),
    "FREQ=DAILY;COUNT=": ("not_a_rule", None),
    "FREQ=DAILY;COUNT=٣": ("not_a_rule", None),
    "FREQ=DAILY;" + "BYMONTH=1;" * 60 + "COUNT=1": ("length", "Must have at most 500 characters."),
    "COUNT=1": ("required", "FREQ is required."),
    "FREQ=HOURLY": ("not_supported", None),
    "FREQ=DAILY;BYHOUR=9": ("not_supported", None),
    "FREQ=FORTNIGHTLY": ("not_a_choice", "FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY."),
    "FREQ=DAILY;FREQ=DAILY": ("repeated", "FREQ must not be repeated."),
    "FREQ=DAILY;SKIP=OMIT": ("not_together", "SKIP requires RSCALE=GREGORIAN."),
    "RSCALE=GREGORIAN;FREQ=DAILY;SKIP=LATER": ("not_a_choice", None),
    "RSCALE=HEBREW;FREQ=DAILY": ("not_supported", "RSCALE must be GREGORIAN."),
    "RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=FORWARD;BYMONTHDAY=31;BYSETPOS=1": ("not_together", None),
    "FREQ=MONTHLY;TT_SKIP=WEEKEND": ("unknown_part", "Unknown part TT_SKIP."),
    "FREQ=MONTHLY;X-FOO=1": ("unknown_part", "Unknown part X-FOO."),
    "FREQ=DAILY;DTSTART=20260101": ("unknown_part", None),
    "FREQ=DAILY;INTERVAL=0": ("out_of_range", "INTERVAL must be a positive whole number."),
    "FREQ=DAILY;INTERVAL=-1": ("out_of_range", None),
    "FREQ=DAILY;COUNT=0": ("out_of_range", None),
    "FREQ=DAILY;COUNT=1,2": ("out_of_range", None),
    "FREQ=DAILY;BYMONTH=13": (
        "out_of_range",
        "BYMONTH must be whole numbers from 1 to 12, separated by commas.",
    ),
    "FREQ=DAILY;BYMONTH=-1": ("out_of_range", None),
    "FREQ=DAILY;BYMONTHDAY=0": ("out_of_range", None),
    "FREQ=DAILY;BYMONTHDAY=1,,2": ("out_of_range", None),
    "FREQ=DAILY;BYMONTHDAY=-32": (
        "out_of_range",
        "BYMONTHDAY must be whole numbers from 1 to 31 or -31 to -1, separated by commas.",
    ),
    "FREQ=YEARLY;BYWEEKNO=54": ("out_of_range", None),
    "FREQ=YEARLY;BYYEARDAY=367": ("out_of_range", None),
    "FREQ=DAILY;BYMONTH=1;BYSETPOS=367": ("out_of_range", None),
    "FREQ=MONTHLY;BYDAY=0MO": ("not_a_day", None),
    "FREQ=MONTHLY;BYDAY=54MO": ("not_a_day", None),
    "FREQ=MONTHLY;BYDAY=MON": ("not_a_day", None),
    "FREQ=WEEKLY;WKST=1MO": ("not_a_choice", None),
    "FREQ=DAILY;UNTIL=20260230": ("not_a_date", None),
    "FREQ=DAILY;UNTIL=00000101": ("not_a_date", None),
    "FREQ=DAILY;UNTIL=2026-01-01": ("not_a_date", None),
    "FREQ=DAILY;UNTIL=20260101T240000Z": ("not_a_date", None),
    "FREQ=DAILY;UNTIL=20260101T000000+0100": ("not_a_date", None),
    "FREQ=DAILY;COUNT=1;UNTIL=20260101": ("not_together", "COUNT cannot be combined with UNTIL."),
    "FREQ=WEEKLY;BYMONTHDAY=1": (
        "not_together",
        "BYMONTHDAY cannot be combined with FREQ=WEEKLY.",
    ),
    "FREQ=MONTHLY;BYYEARDAY=1": ("not_together", None),
    "FREQ=MONTHLY;BYWEEKNO=1": ("not_together", None),
    "FREQ=WEEKLY;BYDAY=1MO": ("not_together", None),
    "FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO": ("not_together", None),
    "FREQ=DAILY;BYSETPOS=1": ("not_together", None),
}


@pytest.mark.parametrize("text", REFUSED)
def test_an_invalid_rule_is_rejected(text: str) -> None:
    code, message = REFUSED[text]
    with pytest.raises(RuleError) as refused:
        parse(text)
    assert refused.value.code == code
    if message:
        assert refused.value.message == message


@pytest.mark.parametrize(
    "text",
    ["BYDAY=MO;INTERVAL=02;FREQ=WEEKLY", "FREQ=MONTHLY;BYDAY=+1MO,1MO,-1MO;BYMONTHDAY=+01,-31"],
)
def test_every_form_of_the_grammar_is_accepted(text: str) -> None:
    assert parse(text)


WEEKLY = Recurrence(parse("FREQ=WEEKLY;COUNT=4"), Anchor.DUE, "Europe/Berlin")
DUE = DateDue(date(2026, 11, 2))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_count_includes_earlier_occurrences() -> None:
    assert next_due(WEEKLY, DUE) == Following(DateDue(date(2026, 11, 9)), 0, 2, 7)
    assert next_due(WEEKLY, DUE, occurred=3) == Following(DateDue(date(2026, 11, 9)), 0, 4, 7)
    assert next_due(WEEKLY, DUE, occurred=4) == Following(None, 0, 4, 0)
    # Occurrences that are left out count too.
    later = _time("2026-11-20T12:00:00Z")
    assert next_due(WEEKLY, DUE, after=later, occurred=1) == (DateDue(date(2026, 11, 23)), 2, 4, 21)
    assert next_due(WEEKLY, DUE, after=later, occurred=2) == (None, 2, 4, 0)
    assert next_due(WEEKLY, DUE, after=later, occurred=3) == (None, 1, 4, 0)


def test_a_day_ends_in_the_time_zone_of_the_recurrence() -> None:
    before, behind = _time("2026-11-09T22:59:59Z"), _time("2026-11-09T23:00:00Z")
    assert next_due(WEEKLY, DUE, after=before) == (DateDue(date(2026, 11, 9)), 0, 2, 7)
    assert next_due(WEEKLY, DUE, after=behind) == (DateDue(date(2026, 11, 16)), 1, 3, 14)


def test_the_day_of_completion_is_in_the_time_zone_of_the_recurrence() -> None:
    rule = parse("FREQ=DAILY;INTERVAL=3")
    due = TimedDue(_time("2026-11-02T18:00:00"), "Europe/Berlin")
    late = _time("2026-11-10T23:30:00Z")
    for zone, day in (("Europe/Berlin", 14), ("UTC", 13)):
        found = next_due(Recurrence(rule, Anchor.COMPLETION, zone), due, completed_at=late)
        assert found.due
        assert found.due.date == date(2026, 11, day)
    # Completion may be early or late.
    early = _time("2026-10-20T08:00:00Z")
    found = next_due(Recurrence(rule, Anchor.COMPLETION, due.timezone), due, completed_at=early)
    assert found == (TimedDue(_time("2026-10-23T18:00:00"), "Europe/Berlin"), 0, 2, -10)


@pytest.mark.parametrize("name", NASTY)
def test_no_rule_executes_many_lines(
    name: str, record_property: Callable[[str, Any], None]
) -> None:
    due = TimedDue(_time("1970-01-31T18:00:00"), "Europe/Berlin")
    for anchor in Anchor:
        lines = _lines_of(lambda anchor=anchor: _first_hundred(NASTY[name], anchor, due))
        record_property("lines", lines)
        assert lines < MOST_LINES


@pytest.mark.parametrize("name", NASTY)
def test_leaving_many_occurrences_out_costs_no_more(name: str) -> None:
    due = TimedDue(_time("1970-01-31T18:00:00"), "Europe/Berlin")
    moment = _time("2199-12-01T00:00:00Z")
    recurrence = Recurrence(parse(NASTY[name]), Anchor.DUE, "Asia/Kathmandu")
    assert _lines_of(lambda: next_due(recurrence, due, after=moment)) < 2 * MOST_LINES


def _first_hundred(text: str, anchor: Anchor, due: TimedDue) -> None:
    recurrence = Recurrence(parse(text), anchor, "Europe/Berlin")
    for found in islice(occurrences(recurrence, due), 101):
        found.represent()


def _lines_of(work: Callable[[], object]) -> int:
    """The number of executed lines of the package, including repetitions."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines
