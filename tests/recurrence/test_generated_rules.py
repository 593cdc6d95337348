"""The service's rules compared with a second implementation that checks each day."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import islice, takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recurrence import brute
from recurrence.rules import HORIZON, rules, rules_of_dates
from support.examples import examples

from taskapi.tasks.dues import DateDue, Due, TimedDue
from taskapi.tasks.recurrence.service import Anchor, Recurrence, next_due, occurrences, parse

EXAMPLES = 1_000

CHANGES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "America/Sao_Paulo": (date(2016, 10, 16), date(2017, 2, 19)),
    "Asia/Kathmandu": (date(1986, 1, 1),),
    "Pacific/Apia": (date(2011, 12, 30),),
    "America/St_Johns": (date(2006, 10, 29),),
}
"""For each time zone, days on which daylight saving time begins or ends."""

_OFTEN = rules("DAILY", "WEEKLY")
TIMES = st.sampled_from(
    # `fold` is 0 unless a local time occurs twice.
    [time(0), time(0, 0, 30), time(0, 1), time(1, 45), time(2), time(2, 30), time(18), time(23, 30)]
) | st.times().map(lambda at: at.replace(microsecond=0, fold=0))


@examples(EXAMPLES)
@given(case=rules_of_dates())
def test_the_dates_of_a_rule_are_those_that_its_parts_allow(case: tuple[str, date, date]) -> None:
    text, start, end = case
    recurrence = Recurrence(parse(text), Anchor.DUE, "UTC")
    found = [due.date for due in takewhile_until(recurrence, DateDue(start), end)]
    assert found == brute.occurrences(text, start, end)


def takewhile_until(recurrence: Recurrence, due: Due, end: date) -> list[Any]:
    return list(takewhile(lambda one: one.date <= end, occurrences(recurrence, due)))


@pytest.mark.parametrize("zone", CHANGES)
@examples(EXAMPLES // 30)
@given(data=st.data())
def test_a_local_time_stays_the_same_when_daylight_saving_changes(
    zone: str, data: st.DataObject
) -> None:
    text = data.draw(_OFTEN)
    change = data.draw(st.sampled_from(CHANGES[zone]))
    start = change - timedelta(data.draw(st.integers(0, 30)))
    wall = datetime.combine(start, data.draw(TIMES))
    recurrence = Recurrence(parse(text), Anchor.DUE, zone)
    end = change + timedelta(20)
    found = takewhile_until(recurrence, TimedDue(wall, zone), end)
    walls = [datetime.combine(day, wall.time()) for day in brute.days(text, start, end)]
    assert [due.local for due in found] == walls
    near = [due for due in found if abs(due.date - change) <= timedelta(1)]
    assert [due.at for due in near] == [brute.instant_of(due.local, zone) for due in near]


@examples(EXAMPLES // 5)
@given(data=st.data())
def test_until_of_a_timed_rule_is_the_last_instant(data: st.DataObject) -> None:
    zone = data.draw(st.sampled_from(list(CHANGES)))
    change = data.draw(st.sampled_from(CHANGES[zone]))
    wall = datetime.combine(change - timedelta(4), data.draw(TIMES))
    until = datetime.combine(change, time()) + timedelta(
        minutes=data.draw(st.integers(-3000, 3000))
    )
    rule = parse(f"FREQ=DAILY;UNTIL={until:%Y%m%dT%H%M%SZ}")
    found = occurrences(Recurrence(rule, Anchor.DUE, zone), TimedDue(wall, zone))
    every = [brute.instant_of(wall + timedelta(day), zone) for day in range(9)]
    assert [due.at for due in found] == [at for at in every if at.replace(tzinfo=None) <= until]


@examples(EXAMPLES // 5)
@given(data=st.data())
def test_the_next_due_is_the_next_of_the_list(data: st.DataObject) -> None:
    """Completes one occurrence after the other, and counts them."""
    text, start, _ = data.draw(rules_of_dates())
    anchor = data.draw(st.sampled_from(Anchor))
    recurrence = Recurrence(parse(text), anchor, "Europe/Berlin")
    listed = list(islice(occurrences(recurrence, DateDue(start)), 6))
    due, occurred = DateDue(start), int(DateDue(start) in listed[:1])
    for expected in listed[occurred:]:
        noon = None
        if anchor is Anchor.COMPLETION:
            noon = datetime.fromisoformat(f"{due.date}T12:00:00Z")
        found = next_due(recurrence, due, completed_at=noon, occurred=occurred)
        assert found == (expected, 0, occurred + 1, (expected.date - due.date).days)
        due, occurred = expected, occurred + 1
    if len(listed) < 6:
        noon = None
        if anchor is Anchor.COMPLETION:
            noon = datetime.fromisoformat(f"{due.date}T12:00:00Z")
        assert next_due(recurrence, due, completed_at=noon, occurred=occurred).due is None


@examples(EXAMPLES // 5)
@given(data=st.data())
def test_missed_occurrences_can_be_left_out(data: st.DataObject) -> None:
    text = data.draw(_OFTEN)
    zone = data.draw(st.sampled_from(list(CHANGES)))
    change = data.draw(st.sampled_from(CHANGES[zone]))
    due = TimedDue(datetime.combine(change - timedelta(20), data.draw(TIMES)), zone)
    moment = brute.instant_of(datetime.combine(change, time(12)), zone)
    moment += timedelta(minutes=data.draw(st.integers(-2000, 2000)))
    recurrence = Recurrence(parse(text), Anchor.DUE, zone)
    end = change + timedelta(HORIZON["WEEKLY"])
    later = [one for one in takewhile_until(recurrence, due, end) if one.date > due.date]
    missed = [one for one in later if one.at <= moment]
    found = next_due(recurrence, due, after=moment)
    if len(later) > len(missed):
        assert found
        assert found[:2] == (later[len(missed)], len(missed))
