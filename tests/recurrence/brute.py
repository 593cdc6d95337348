"""A second implementation of recurrence rules: slow, and close to the text of RFC 5545.

It shares no code with the service. A rule is a dictionary of its parts, each day is checked
against each part (the table of section 3.3.10), and intervals are counted one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import count, groupby
from zoneinfo import ZoneInfo

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
DAY = timedelta(1)

Parts = dict[str, str]


def parts_of(text: str) -> Parts:
    return dict(part.split("=") for part in text.split(";"))


def _numbers(parts: Parts, name: str) -> tuple[int, ...]:
    return _split(parts[name])


@cache
def _split(value: str) -> tuple[int, ...]:
    return tuple(int(number) for number in value.split(","))


@cache
def _length_of_month(day: date) -> int:
    following = (day.replace(day=1) + 32 * DAY).replace(day=1)
    return (following - DAY).day


@cache
def _length_of_year(day: date) -> int:
    return (date(day.year, 12, 31) - date(day.year, 1, 1)).days + 1


@cache
def begin_of_week(day: date, wkst: str) -> date:
    while WEEKDAYS[day.weekday()] != wkst:
        day -= DAY
    return day


@cache
def year_of_week(day: date, wkst: str) -> int:
    """The year that numbers the week of a day: the one with at least four of its days."""
    return (begin_of_week(day, wkst) + 3 * DAY).year


@cache
def _week_numbers(week: date, wkst: str) -> tuple[int, int]:
    """The numbers of the week that begins on a day, from the beginning and the end of its year."""
    year = year_of_week(week, wkst)
    number = 1
    while year_of_week(week - number * 7 * DAY, wkst) == year:
        number += 1
    last = 1
    while year_of_week(week + last * 7 * DAY, wkst) == year:
        last += 1
    return number, -last


@cache
def interval_of(day: date, freq: str, wkst: str, *, has_weeks: bool) -> tuple[int, ...]:
    """A comparable value for the interval of a rule that contains a day."""
    if freq == "DAILY":
        return (day.toordinal(),)
    if freq == "WEEKLY":
        return (begin_of_week(day, wkst).toordinal(),)
    if freq == "MONTHLY":
        return (day.year, day.month)
    return (year_of_week(day, wkst) if has_weeks else day.year,)


def _matches_by_day(day: date, parts: Parts) -> bool:
    is_in_month = parts["FREQ"] == "MONTHLY" or "BYMONTH" in parts
    place = day.day if is_in_month else day.timetuple().tm_yday
    length = _length_of_month(day) if is_in_month else _length_of_year(day)
    name = WEEKDAYS[day.weekday()]
    forwards, backwards = (place + 6) // 7, -((length - place) // 7 + 1)
    accepted = {name, f"{forwards}{name}", f"+{forwards}{name}", f"{backwards}{name}"}
    return any(value in accepted for value in parts["BYDAY"].split(","))


def _matches(day: date, parts: Parts) -> bool:
    wkst = parts.get("WKST", "MO")
    if "BYMONTH" in parts and day.month not in _numbers(parts, "BYMONTH"):
        return False
    if "BYWEEKNO" in parts:
        numbers = _week_numbers(begin_of_week(day, wkst), wkst)
        if not any(number in numbers for number in _numbers(parts, "BYWEEKNO")):
            return False
    if "BYYEARDAY" in parts:
        place = day.timetuple().tm_yday
        numbers = (place, place - _length_of_year(day) - 1)
        if not any(number in numbers for number in _numbers(parts, "BYYEARDAY")):
            return False
    if "BYMONTHDAY" in parts:
        numbers = (day.day, day.day - _length_of_month(day) - 1)
        if not any(number in numbers for number in _numbers(parts, "BYMONTHDAY")):
            return False
    return "BYDAY" not in parts or _matches_by_day(day, parts)


def with_start(parts: Parts, start: date) -> Parts:
    """Adds the missing parts of a rule from the start."""
    freq, weekday = parts["FREQ"], WEEKDAYS[start.weekday()]
    if any(name in parts for name in ("BYDAY", "BYMONTHDAY", "BYYEARDAY")):
        return parts
    if freq == "WEEKLY" or "BYWEEKNO" in parts:
        return parts | {"BYDAY": weekday}
    if freq == "MONTHLY" or (freq == "YEARLY" and "BYMONTH" in parts):
        return parts | {"BYMONTHDAY": str(start.day)}
    if freq == "YEARLY":
        return parts | {"BYMONTHDAY": str(start.day), "BYMONTH": str(start.month)}
    return parts


def days(text: str, start: date, end: date) -> Iterator[date]:
    """The days of a rule up to one, without regard to COUNT and UNTIL."""
    parts = with_start(parts_of(text), start)
    freq, wkst, has_weeks = parts["FREQ"], parts.get("WKST", "MO"), "BYWEEKNO" in parts
    every = int(parts.get("INTERVAL", "1"))
    positions = _numbers(parts, "BYSETPOS") if "BYSETPOS" in parts else None

    def interval(day: date) -> tuple[int, ...]:
        return interval_of(day, freq, wkst, has_weeks=has_weeks)

    day = start
    while interval(day - DAY) == interval(start):
        day -= DAY
    ahead = (day + DAY * n for n in count())
    for number, (_, members) in enumerate(groupby(ahead, interval)):
        whole = list(members)
        if whole[0] > end:
            return
        if number % every:
            continue
        found = [one for one in whole if _matches(one, parts)]
        if positions is not None:
            chosen = {place - 1 if place > 0 else len(found) + place for place in positions}
            found = [one for place, one in enumerate(found) if place in chosen]
        yield from (one for one in found if start <= one <= end)


def occurrences(text: str, start: date, end: date) -> list[date]:
    """The days of a rule with its COUNT, and its UNTIL where that is a date."""
    found = list(days(text, start, end))
    parts = parts_of(text)
    if "COUNT" in parts:
        found = found[: int(parts["COUNT"])]
    if "UNTIL" in parts:
        until = date.fromisoformat(parts["UNTIL"])
        found = [day for day in found if day <= until]
    return found


def instant_of(wall: datetime, zone: str) -> datetime:
    """The instant of a local time, found by searching.

    Steps of a quarter of an hour suffice for the offsets of these time zones.
    """
    clock, step = ZoneInfo(zone), timedelta(minutes=15)
    instant = wall.replace(tzinfo=UTC) - timedelta(hours=26)
    offset = instant.astimezone(clock).utcoffset()
    while (local := instant.astimezone(clock)).replace(tzinfo=None) < wall:
        offset = local.utcoffset()
        instant += step
    # Either it is this local time for the first time, or it was just skipped.
    assert offset is not None
    return instant if local.replace(tzinfo=None) == wall else wall.replace(tzinfo=UTC) - offset
