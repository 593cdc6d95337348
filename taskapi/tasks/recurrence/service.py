"""Use cases of recurrence. All but `preview` are pure: no clock, no database, no request.

A due that does not match its rule is no occurrence. RFC 5545 (section 3.8.5.3) wants the start to
match and leaves open what comes otherwise; here such a start only says where to begin, is not
counted by COUNT and comes up in no list.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from taskapi.db.tenancy import require_session
from taskapi.identity import Caller
from taskapi.problems import InvalidInput
from taskapi.tasks.dues import TWICE, AmbiguousTime, DateDue, Due, TimedDue
from taskapi.tasks.recurrence.days import LAST_DAY, Days, days_of, takes_day_from_start
from taskapi.tasks.recurrence.rules import Anchor, GivenRecurrence, Rule, RuleError, parse
from taskapi.tasks.timezones import FIRST_INSTANT, LAST_INSTANT, instant_of, wall_of

__all__ = [
    "Anchor",
    "Following",
    "GivenRecurrence",
    "Preview",
    "Recurrence",
    "Rule",
    "RuleError",
    "check",
    "fitting",
    "next_due",
    "occurrences",
    "parse",
    "preview",
]


_ONE_DAY = timedelta(1)


@dataclass(frozen=True)
class Recurrence:
    """A rule, what it is counted from, and the zone whose days and times it means.

    A timed due in another zone is turned into that zone's time before the rule is applied.
    """

    rule: Rule
    anchor: Anchor
    timezone: str


class Following(NamedTuple):
    """The due that comes next, and how many occurrences were left out on the way to it.

    `occurred` is how many there have been then, for COUNT, that one and those left out included.
    """

    due: Due
    skipped: int
    occurred: int


class Preview(NamedTuple):
    """The first occurrences, and whether there are others after them."""

    occurrences: list[Due]
    has_more: bool


def check(recurrence: Recurrence, due: Due) -> None:
    """See that a rule's UNTIL is of the type of the due, as RFC 5545 demands.

    It is a date where the due is one. Of a timed due it is a moment in UTC, or, which the RFC has
    only for times without a zone, a time on the clock of the recurrence's zone.

    Raises:
        RuleError: it is of the other.
    """
    until = recurrence.rule.until
    if until is None or isinstance(until, datetime) is isinstance(due, TimedDue):
        return
    if isinstance(due, TimedDue):
        message = "UNTIL must have a time, like 20261224T170000Z, as the due has one."
    else:
        message = "UNTIL must be a date, like 20261224, as the due is one."
    raise RuleError(message, "until_type")


def occurrences(
    recurrence: Recurrence, due: Due, *, completed_at: datetime | None = None
) -> Iterator[Due]:
    """The occurrences in order, the due itself among them where the rule gives it.

    With the anchor COMPLETION each is taken to be completed on its own day, but the first at
    `completed_at` if that is given. Where that was early, what follows may lie before the due.

    Raises:
        RuleError: see `check`.
        AmbiguousTime: the due has no time of its own in the recurrence's zone.
    """
    check(recurrence, due)
    start = _localized(recurrence, due)
    if recurrence.anchor is Anchor.COMPLETION:
        found = _each_completed(recurrence, start, completed_at)
    else:
        found = (_moved(start, day) for day in _days(recurrence, start))
    count = recurrence.rule.count
    return islice(found, None if count is None else min(count, sys.maxsize))


def next_due(
    recurrence: Recurrence,
    due: Due,
    *,
    completed_at: datetime | None = None,
    after: datetime | None = None,
    occurred: int | None = None,
) -> Following | None:
    """What is due after the present due; None when that was the last.

    With the anchor DUE, the rule starts with the present due, so that a due that was moved by hand
    moves what follows. With the anchor COMPLETION it starts on the day of completion, at the due's
    time, and the next occurrence is on a later day than that: where it was completed early, perhaps
    on the day of the present due or before it.

    Args:
        completed_at: for the anchor COMPLETION, when it was completed.
        after: for the anchor DUE, leave out what is over by this moment: times up to it, and days
            before the one that it lies in.
        occurred: how many occurrences there have been, the present one included, for COUNT. None:
            the present one is the first, or none where the rule does not give it.

    Raises:
        RuleError: see `check`.
        AmbiguousTime: the due has no time of its own in the recurrence's zone.
    """
    check(recurrence, due)
    start = present = _localized(recurrence, due)
    if recurrence.anchor is Anchor.COMPLETION:
        assert completed_at, "whoever anchors to completion says when that was"
        start = _moved(present, wall_of(completed_at, recurrence.timezone).date())
    later = _days(recurrence, start).since(start.date + _ONE_DAY)
    wanted = later.since(_first_not_over(start, after, recurrence.timezone)) if after else later
    skipped = len(later) - len(wanted)
    if occurred is None:
        occurred = int(present.date in _days(recurrence, present))
    occurred += skipped
    if recurrence.rule.count is not None and occurred >= recurrence.rule.count:
        return None
    day = next(iter(wanted), None)
    return Following(_moved(start, day), skipped, occurred + 1) if day else None


def fitting(
    rule: Rule, anchor: Anchor, timezone: str | None, due: Due | None, *, pointer: str = ""
) -> Recurrence:
    """The recurrence of a due, to which it must fit.

    Args:
        timezone: None for that of the due, and UTC for a date.
        pointer: where in a body the recurrence stands.

    Raises:
        InvalidInput: there is no due, the rule's UNTIL is not of its type, or it is the second of
            two equal times in the recurrence's zone.
    """
    if due is None:
        raise InvalidInput.at("/due", "Must be given, as it comes again.", "due_required")
    zone = timezone or (due.timezone if isinstance(due, TimedDue) else "UTC")
    recurrence = Recurrence(rule, anchor, zone)
    try:
        check(recurrence, due)
        _localized(recurrence, due)
    except RuleError as error:
        raise InvalidInput.at(f"{pointer}/rrule", error.message, error.code) from None
    except AmbiguousTime:
        raise InvalidInput.at("/due/datetime", TWICE, TWICE.code) from None
    return recurrence


def preview(  # noqa: PLR0913 - what the call takes, which is more than its use cases do
    caller: Caller,
    rrule: Rule,
    due: Due,
    *,
    anchor: Anchor = Anchor.DUE,
    timezone: str | None = None,
    count: int = 10,
    completed_at: datetime | None = None,
) -> Preview:
    """The first occurrences, for somebody who is logged in.

    Args:
        timezone: of the recurrence; None for that of the due, and UTC for a date.
        completed_at: see `occurrences`.

    Raises:
        InvalidInput: see `fitting`; or nothing is anchored to the completion.
        TokenInvalid: the caller's session is over.
    """
    if completed_at and anchor is not Anchor.COMPLETION:
        message = "Must be given with the anchor completion only."
        raise InvalidInput.at("/completed_at", message, "not_together")
    recurrence = fitting(rrule, anchor, timezone, due)
    found = occurrences(recurrence, due, completed_at=completed_at)
    require_session(caller)
    shown = list(islice(found, count))
    return Preview(shown, has_more=next(found, None) is not None)


def _localized(recurrence: Recurrence, due: Due) -> Due:
    """The due on the clock of the recurrence's zone."""
    return due.in_zone(recurrence.timezone) if isinstance(due, TimedDue) else due


def _moved(due: Due, day: date) -> Due:
    """The due on another day, at the same time on the wall."""
    if isinstance(due, TimedDue):
        return TimedDue(datetime.combine(day, due.wall.time()), due.timezone)
    return DateDue(day)


def _days(recurrence: Recurrence, start: Due) -> Days:
    """The days from a start on, up to UNTIL, without regard to COUNT."""
    is_shortened = recurrence.anchor is Anchor.COMPLETION
    days = days_of(recurrence.rule, start.date, is_shortened=is_shortened)
    return days.until(_last_day(recurrence.rule.until, start))


def _last_day(until: date | datetime | None, start: Due) -> date:
    """The last day on which an occurrence is neither after UNTIL nor out of the known years."""
    if isinstance(start, DateDue):
        return until or LAST_DAY
    assert until is None or isinstance(until, datetime), "`check` was called"
    if until and until.year < FIRST_INSTANT.year:
        return date.min
    limit = LAST_INSTANT
    if until and until.year <= LAST_INSTANT.year:
        limit = min(limit, until if until.tzinfo else instant_of(until, start.timezone))
    # A day later than the limit's own, as clocks that go back at midnight show a date twice.
    day = min(wall_of(limit, start.timezone).date() + _ONE_DAY, LAST_DAY)
    while _at(start, day) > limit:
        day -= _ONE_DAY
    return day


def _first_not_over(start: Due, moment: datetime, timezone: str) -> date:
    """The first day on which an occurrence is not over by a moment."""
    today = wall_of(moment, timezone).date()
    if isinstance(start, DateDue):
        return today
    day = today - _ONE_DAY
    while _at(start, day) <= moment:
        day += _ONE_DAY
    return day


def _at(due: TimedDue, day: date) -> datetime:
    """The instant of a timed due on another day. On a later one it is never an earlier instant."""
    return instant_of(datetime.combine(day, due.wall.time()), due.timezone)


def _each_completed(
    recurrence: Recurrence, due: Due, completed_at: datetime | None
) -> Iterator[Due]:
    """The due if it is an occurrence, and those that follow when each is completed on its day."""
    begun, days = due, _days(recurrence, due)
    if due.date in days:
        yield due
    if completed_at:
        begun = _moved(due, wall_of(completed_at, recurrence.timezone).date())
        days = _days(recurrence, begun)
    while True:
        for day in days.since(begun.date + _ONE_DAY):
            yield _moved(due, day)
            # To start again on an occurrence changes nothing, unless it was moved to the end of a
            # month that is too short; which happens three times at most, from the 31st to the 28th.
            if takes_day_from_start(recurrence.rule) and day.day != begun.date.day:
                begun = _moved(due, day)
                days = _days(recurrence, begun)
                break
        else:
            return
