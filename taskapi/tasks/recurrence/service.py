"""Use cases of recurrence. Those without a caller are pure functions.

RFC 5545 (section 3.8.5.3) requires that the start matches the rule, and leaves undefined what
happens otherwise. Here a due that does not match its rule is where the rule starts, but it is no
occurrence: COUNT does not count it, and lists do not contain it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any, NamedTuple

from taskapi.db.tenancy import require_access
from taskapi.http.timezones import (
    FIRST_INSTANT,
    LAST_INSTANT,
    instant_of,
    is_known,
    local_time_of,
)
from taskapi.identity import Caller
from taskapi.problems import InvalidInput
from taskapi.tasks.default_timezone import UTC, timezone_or_utc, with_zones
from taskapi.tasks.dues import DateDue, Due, TimedDue, starts_in_time
from taskapi.tasks.recurrence.days import LAST_DAY, Days, days_of, takes_day_from_start
from taskapi.tasks.recurrence.rules import (
    Anchor,
    Frequency,
    GivenRecurrence,
    Rule,
    RuleError,
    Skip,
    parse,
)

__all__ = [
    "Anchor",
    "Following",
    "GivenRecurrence",
    "Preview",
    "Recurrence",
    "Rule",
    "RuleError",
    "check",
    "moved_by",
    "moved_start",
    "next_due",
    "occurrences",
    "parse",
    "preview",
    "recurrence_for_due",
]


DEFAULT_COUNT = 10
"""The number of occurrences of a preview."""

_ONE_DAY = timedelta(1)


@dataclass(frozen=True)
class Recurrence:
    """A rule, its anchor, and the time zone in which it is evaluated.

    A timed due in another time zone is converted before the rule is applied.
    """

    rule: Rule
    anchor: Anchor
    timezone: str


class Following(NamedTuple):
    """The next due, None if there is none, and how many occurrences were omitted before it.

    `occurred` is the number of occurrences so far, for COUNT. It includes this due and the omitted
    ones. `days` is the number of days from the current due, in the recurrence's time zone.
    """

    due: Due | None
    skipped: int
    occurred: int
    days: int


class Preview(NamedTuple):
    """The first occurrences, and whether more follow."""

    occurrences: list[Due]
    has_more: bool


def check(recurrence: Recurrence, due: Due) -> None:
    """Check that UNTIL has a type that the due allows (RFC 5545 section 3.3.10).

    It is a date if the due is a date. For a timed due it is an instant in UTC, or, unlike in the
    RFC, a local time in the recurrence's time zone, or a date, which means the end of that day.

    Raises:
        RuleError: it has a time, and the due has none.
    """
    if isinstance(recurrence.rule.until, datetime) and isinstance(due, DateDue):
        message = "UNTIL must be a date, like 20261224, because the due is a date."
        raise RuleError(message, "until_type")


def occurrences(
    recurrence: Recurrence, due: Due, *, completed_at: datetime | None = None
) -> Iterator[Due]:
    """The occurrences in order, including the due if it matches the rule.

    With the anchor COMPLETION, each occurrence counts as completed on its due date, and the first
    one at `completed_at` if that is given. If that is early, later occurrences may precede the due.

    Raises:
        RuleError: see `check`.
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
) -> Following:
    """The next occurrence after the current due.

    The rule starts at the current due, so a changed due moves the later occurrences. With the
    anchor COMPLETION, it starts on the day of completion, at the due's time of day. The next
    occurrence is then on a later day, which can precede the due if the task was completed early and
    the rule names no days.

    Args:
        completed_at: for the anchor COMPLETION, when the occurrence was completed. None if it is
            skipped, which counts from the due.
        after: without `completed_at`, omit occurrences that have passed at this instant: times up
            to it, and days before its day.
        occurred: the number of occurrences so far, including the current one, for COUNT. None
            means that the current one is the first, or no occurrence if it does not match the rule.

    Raises:
        RuleError: see `check`.
    """
    check(recurrence, due)
    start = current = _localized(recurrence, due)
    if completed_at:
        start = _moved(current, local_time_of(completed_at, recurrence.timezone).date())
    later = _days(recurrence, start).since(_first_later(recurrence, current, start))
    wanted = later.since(_first_not_passed(start, after, recurrence.timezone)) if after else later
    skipped = len(later) - len(wanted)
    if occurred is None:
        occurred = int(current.date in _days(recurrence, current))
    count = recurrence.rule.count
    if count is not None:
        skipped = min(skipped, max(0, count - occurred))
    occurred += skipped
    has_ended = count is not None and occurred >= count
    day = None if has_ended else next(iter(wanted), None)
    if day is None:
        return Following(None, skipped, occurred, 0)
    return Following(_moved(start, day), skipped, occurred + 1, (day - current.date).days)


def _first_later(recurrence: Recurrence, current: Due, start: Due) -> date:
    """The first day on which the next occurrence can be.

    What was just completed is not due again: if the rule names days, it is after the current due.
    """
    names_days = recurrence.rule.names_days
    return (max(current.date, start.date) if names_days else start.date) + _ONE_DAY


def recurrence_for_due(
    caller: Caller, given: GivenRecurrence | Recurrence, due: Due | None, *, pointer: str = ""
) -> Recurrence:
    """The recurrence of a due, checked against it.

    Without a time zone it gets that of the due, or of the account if the due is a date.

    Args:
        pointer: the JSON Pointer of the recurrence in the body.

    Raises:
        InvalidInput: there is no due, or it has no time and UNTIL has one.
        SessionEnded: the caller's session has ended.
    """
    if due is None:
        raise InvalidInput.at("/due", "Required, because the task recurs.", "due_required")
    default = due.timezone if isinstance(due, TimedDue) else UTC
    recurrence = Recurrence(given.rule, given.anchor, given.timezone or default)
    try:
        check(recurrence, due)
        day = _localized(recurrence, due).date
        recurrence = replace(recurrence, rule=_with_days(given.rule, day))
    except RuleError as error:
        raise InvalidInput.at(f"{pointer}/rrule", error.message, error.code) from None
    if given.timezone is None and isinstance(due, DateDue):
        # Nothing above depends on the time zone of a date, so invalid rules need no query.
        return replace(recurrence, timezone=timezone_or_utc(caller))
    return recurrence


def _with_days(rule: Rule, day: date) -> Rule:
    """The rule with the day of the due, which a shorter month would change for good."""
    if rule.skip in (None, Skip.OMIT) or not takes_day_from_start(rule):
        return rule
    month = f";BYMONTH={day.month}" if rule.freq is Frequency.YEARLY and not rule.by_month else ""
    return parse(f"{rule.text};BYMONTHDAY={day.day}{month}")


def preview(caller: Caller, values: Mapping[str, Any]) -> Preview:
    """The first occurrences of a rule.

    Args:
        values: the validated fields of `NewRecurrencePreview`.

    Raises:
        InvalidInput: see `recurrence_for_due`; or `completed_at` is given with the anchor DUE.
        SessionEnded: the caller's session has ended.
    """
    anchor, completed_at = values.get("anchor", Anchor.DUE), values.get("completed_at")
    if completed_at and anchor is not Anchor.COMPLETION:
        message = "Requires the anchor completion."
        raise InvalidInput.at("/completed_at", message, "not_together")
    due = with_zones(caller, {"due": values["due"]})["due"]
    given = GivenRecurrence(values["rrule"], anchor, values.get("timezone"))
    recurrence = recurrence_for_due(caller, given, due)
    found = occurrences(recurrence, due, completed_at=completed_at)
    require_access(caller)
    first = list(islice(found, values.get("count", DEFAULT_COUNT)))
    return Preview(first, has_more=next(found, None) is not None)


def _localized(recurrence: Recurrence, due: Due) -> Due:
    """The due in the recurrence's time zone."""
    return due.in_zone(recurrence.timezone) if isinstance(due, TimedDue) else due


def moved_by(due: Due, days: int) -> Due:
    """The due so many days later, or itself if that is not in the supported years."""
    moved = _moved(due, due.date + timedelta(days))
    if isinstance(moved, TimedDue):
        return moved if is_known(moved.at) else due
    return moved if FIRST_INSTANT.date() <= moved.date <= LAST_DAY else due


def moved_start(start: Due | None, due: Due | None, days: int) -> Due | None:
    """The start so many days later, or the due if it would be after that."""
    moved = start and moved_by(start, days)
    return moved if starts_in_time(moved, due) else due


def _moved(due: Due, day: date) -> Due:
    """The due on another day, at the same local time."""
    return _on(due, day) if isinstance(due, TimedDue) else DateDue(day)


def _on(due: TimedDue, day: date) -> TimedDue:
    """The due at its local time of another day, the first one if it occurs twice."""
    if day == due.date:
        return due
    return TimedDue(datetime.combine(day, due.local.time().replace(fold=0)), due.timezone)


def _days(recurrence: Recurrence, start: Due) -> Days:
    """The days of the rule from a start up to UNTIL, without regard to COUNT."""
    is_shortened = recurrence.anchor is Anchor.COMPLETION
    days = days_of(recurrence.rule, start.date, is_shortened=is_shortened)
    return days.until(_last_day(recurrence.rule.until, start))


def _last_day(until: date | datetime | None, start: Due) -> date:
    """The last day on which an occurrence is not after UNTIL and in the supported years."""
    if isinstance(start, DateDue):
        return until or LAST_DAY
    if until and until.year < FIRST_INSTANT.year:
        return date.min
    limit = LAST_INSTANT
    if until and until.year <= LAST_INSTANT.year:
        limit = min(limit, _end(until, start.timezone))
    # One day more, because a date can occur twice if clocks go back at midnight.
    day = min(local_time_of(limit, start.timezone).date() + _ONE_DAY, LAST_DAY)
    while _at(start, day) > limit:
        day -= _ONE_DAY
    return day


def _end(until: date, timezone: str) -> datetime:
    """The instant of UNTIL; of a date, the end of that day."""
    if not isinstance(until, datetime):
        until = datetime.combine(until, time.max.replace(fold=1))
    return until if until.tzinfo else instant_of(until, timezone)


def _first_not_passed(start: Due, moment: datetime, timezone: str) -> date:
    """The first day on which an occurrence has not passed at an instant."""
    today = local_time_of(moment, timezone).date()
    if isinstance(start, DateDue):
        return today
    day = today - _ONE_DAY
    while _at(start, day) <= moment:
        day += _ONE_DAY
    return day


def _at(due: TimedDue, day: date) -> datetime:
    """The instant of a timed due on another day. It never decreases with the day."""
    return _on(due, day).at


def _each_completed(
    recurrence: Recurrence, due: Due, completed_at: datetime | None
) -> Iterator[Due]:
    """The due if it is an occurrence, and the next ones if each is completed on its due date."""
    start, days = due, _days(recurrence, due)
    if due.date in days:
        yield due
    if completed_at:
        start = _moved(due, local_time_of(completed_at, recurrence.timezone).date())
        days = _days(recurrence, start)
    first = _first_later(recurrence, due, start)
    while True:
        for day in days.since(first):
            yield _moved(due, day)
            # Restarting on an occurrence changes nothing, unless a short month moved its day. That
            # happens three times at most, from the 31st to the 28th.
            if takes_day_from_start(recurrence.rule) and day.day != start.date.day:
                start = _moved(due, day)
                first = day + _ONE_DAY
                days = _days(recurrence, start)
                break
        else:
            return
