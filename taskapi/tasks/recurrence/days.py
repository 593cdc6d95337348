"""The days of a rule, as sets of days. Each day is a bit of an integer.

The years 1970 to 2199 have about 84,000 days, so a set is an integer of 10 KB. Union, intersection
and shift take microseconds. All days of a rule are computed at once, by intersecting the sets that
its parts allow. The cost is the same for many days, few or none. There are 14 kinds of years and 28
kinds of months, so a part is evaluated for these only.

The days follow RFC 5545 section 3.3.10. Its table distinguishes parts that expand from parts that
limit. For sets both are intersections, once missing parts are taken from the start. The RFC does
not define to which year a week belongs. Here it is the year that numbers the week: with BYWEEKNO,
INTERVAL and BYSETPOS use these years.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from taskapi.tasks.recurrence.rules import Day, Frequency, Rule, Skip, Weekday

LAST_DAY = date(2199, 12, 31)

# A Monday before the first weeks of 1970, for each first day of the week.
_EPOCH = date(1968, 12, 23)
_WEEK = 0b1111111


class _Span(NamedTuple):
    """Consecutive days: the first one, in days since the epoch, and their number."""

    first: int
    length: int

    @property
    def weekday(self) -> int:
        return self.first % 7


def _number(day: date) -> int:
    return (day - _EPOCH).days


def _span(first: date, following: date) -> _Span:
    return _Span(_number(first), (following - first).days)


_YEARS = [_span(date(year, 1, 1), date(year + 1, 1, 1)) for year in range(1969, 2201)]
_MONTHS = [
    _span(date(year, month, 1), date(year + month // 12, month % 12 + 1, 1))
    for year in range(1969, 2201)
    for month in range(1, 13)
]
_MONTHS_OF = {year: _MONTHS[12 * n : 12 * n + 12] for n, year in enumerate(_YEARS)}
_SIZE = _number(LAST_DAY) + 1
_ALL = (1 << _SIZE) - 1


class Days:
    """A set of days, in order."""

    def __init__(self, bits: int) -> None:
        self._bits = bits & _ALL

    def __contains__(self, day: date) -> bool:
        return bool(self._bits >> _number(day) & 1)

    def __len__(self) -> int:
        return self._bits.bit_count()

    def since(self, day: date) -> Days:
        """The days from a day on."""
        number = max(0, _number(day))
        return Days(self._bits >> number << number)

    def until(self, day: date) -> Days:
        """The days up to and including a day."""
        return Days(self._bits & ((1 << max(0, _number(day) + 1)) - 1))

    def __iter__(self) -> Iterator[date]:
        text = f"{self._bits:b}"[::-1]
        number = text.find("1")
        while number >= 0:
            yield _EPOCH + timedelta(number)
            number = text.find("1", number + 1)


def days_of(rule: Rule, start: date, *, is_shortened: bool = False) -> Days:
    """The days of a rule from its start (DTSTART) on, without regard to COUNT and UNTIL.

    The start is one of them only if it matches the rule.

    Args:
        is_shortened: if the rule has no SKIP and the day of the month is that of the start,
            shorter months use their last day instead of none, as with SKIP=BACKWARD.
    """
    if start > LAST_DAY:
        return Days(0)
    whole = _completed(rule, start)
    if is_shortened and rule.skip is None and takes_day_from_start(rule):
        whole = replace(whole, skip=Skip.BACKWARD)
    if whole.freq is Frequency.DAILY:  # no day is derived from its month
        whole = replace(whole, skip=None)
    found = _in_years(whole)
    if whole.by_week_no:
        found &= _in_weeks(whole)
    if whole.by_set_pos:
        found = _picked(found, whole, start)
    intervals = _in_intervals(whole, start) if whole.interval > 1 else _ALL
    found &= intervals
    if whole.skip is Skip.FORWARD and whole.by_month_day:
        found |= (_short_months(whole) & intervals) << 1 & _on_any_weekday(whole)
    return Days(found).since(start)


def takes_day_from_start(rule: Rule) -> bool:
    """Whether the day of the month is that of the start."""
    return rule.freq in (Frequency.MONTHLY, Frequency.YEARLY) and not rule.names_days


def _completed(rule: Rule, start: date) -> Rule:
    """The rule with its missing parts taken from the start, as the RFC requires."""
    if takes_day_from_start(rule):
        is_yearly = rule.freq is Frequency.YEARLY
        months = rule.by_month or ((start.month,) if is_yearly else ())
        return replace(rule, by_month_day=(start.day,), by_month=months)
    has_days = rule.by_day or rule.by_month_day or rule.by_year_day
    if not has_days and (rule.freq is Frequency.WEEKLY or rule.by_week_no):
        return replace(rule, by_day=(Day(None, Weekday(start.weekday())),))
    return rule


def _short_months(rule: Rule) -> int:
    """The last days of months that lack a day of BYMONTHDAY."""
    last = replace(rule, by_month_day=(-1,), by_day=(), skip=None)
    longest = max(rule.by_month_day)

    def in_month(month: _Span) -> int:
        return 1 << month.length - 1 if longest > month.length else 0

    return _years_of(last, in_month)


def _on_any_weekday(rule: Rule) -> int:
    """The days on the weekdays of BYDAY, without regard to its ordinals; all days without it."""
    if not rule.by_day:
        return _ALL
    plain = tuple(Day(None, weekday) for _, weekday in rule.by_day)
    return _on_weekdays(plain, _Span(0, _SIZE))


def _in_years(rule: Rule) -> int:
    """The days that all parts except BYWEEKNO and INTERVAL allow."""
    return _years_of(rule, lambda month: _in_month(rule, month))


def _years_of(rule: Rule, days_in: Callable[[_Span], int]) -> int:
    in_month = _once_each_kind(days_in)
    in_year = _once_each_kind(lambda year: _in_year(rule, year, in_month))
    found = 0
    for year in _YEARS:
        found |= in_year(year) << year.first
    return found


def _once_each_kind(make: Callable[[_Span], int]) -> Callable[[_Span], int]:
    """Caches the set for all spans of the same length that begin on the same day of the week."""
    cache: dict[tuple[int, int], int] = {}

    def cached(span: _Span) -> int:
        kind = (span.length, span.weekday)
        if kind not in cache:
            cache[kind] = make(span)
        return cache[kind]

    return cached


def _in_year(rule: Rule, year: _Span, in_month: Callable[[_Span], int]) -> int:
    """The days in one year, whose first day is bit 0."""
    found = 0
    for month, span in enumerate(_MONTHS_OF[year], 1):
        if not rule.by_month or month in rule.by_month:
            found |= in_month(span) << span.first - year.first
    if rule.by_year_day:
        found &= _nth(rule.by_year_day, year.length)
    if rule.by_day and _counts_days_in_years(rule):
        found &= _on_weekdays(rule.by_day, year)
    return found


def _in_month(rule: Rule, month: _Span) -> int:
    """The days in one month, whose first day is bit 0."""
    found = (1 << month.length) - 1
    if rule.by_month_day:
        wanted = rule.by_month_day
        if rule.skip is Skip.BACKWARD:
            wanted = tuple(min(day, month.length) for day in wanted)
        found &= _nth(wanted, month.length)
    if rule.by_day and not _counts_days_in_years(rule):
        found &= _on_weekdays(rule.by_day, month)
    return found


def _counts_days_in_years(rule: Rule) -> bool:
    """Whether ordinals of BYDAY count within the year instead of the month."""
    return rule.freq is Frequency.YEARLY and not rule.by_month


def _nth(ordinals: tuple[int, ...], length: int) -> int:
    """The bits of the first (1), the last (-1) and so on of `length` items."""
    found = 0
    for n in ordinals:
        index = n - 1 if n > 0 else length + n
        if 0 <= index < length:
            found |= 1 << index
    return found


def _on_weekdays(wanted: tuple[Day, ...], span: _Span) -> int:
    """The days of a span that BYDAY allows."""
    found = 0
    for ordinal, weekday in wanted:
        indexes = range((weekday - span.weekday) % 7, span.length, 7)
        if ordinal is None:
            found |= sum(1 << index for index in indexes)
        elif abs(ordinal) <= len(indexes):
            found |= 1 << indexes[ordinal - 1 if ordinal > 0 else ordinal]
    return found


def _weeks_of_years(wkst: Weekday) -> list[_Span]:
    """The numbered weeks of each year, as one span. The first has four days of the year or more."""
    begins = []
    for year in _YEARS:
        into_week = (year.weekday - wkst) % 7
        begins.append(year.first - into_week + (7 if into_week > 3 else 0))
    return [_Span(a, b - a) for a, b in pairwise(begins)]


def _in_weeks(rule: Rule) -> int:
    """The days that BYWEEKNO allows."""
    found = 0
    of_length = {7 * weeks: _weeks(rule.by_week_no, weeks) for weeks in (52, 53)}
    for year in _weeks_of_years(rule.wkst):
        found |= of_length[year.length] << year.first
    return found


def _weeks(numbers: tuple[int, ...], weeks: int) -> int:
    """The days of the weeks with these numbers, in a year with so many weeks."""
    chosen = _nth(numbers, weeks)
    return sum(_WEEK << 7 * week for week in range(weeks) if chosen >> week & 1)


def _in_intervals(rule: Rule, start: date) -> int:
    """The days of every nth interval, from the start's on."""
    if rule.freq in (Frequency.DAILY, Frequency.WEEKLY):
        length = 1 if rule.freq is Frequency.DAILY else 7
        first = _number(start) - (_into_week(rule, start) if length == 7 else 0)
        gap = min(length * (rule.interval - 1), _SIZE)
        period = "1" * length + "0" * gap
        text = period * (_SIZE // len(period) + 1)
        return _set_of(text[: _SIZE - first]) << first
    spans = _spans(rule, start)[:: rule.interval]
    pieces, end = [], 0
    for first, length in spans:
        pieces.append("0" * (first - end) + "1" * length)
        end = first + length
    return _set_of("".join(pieces))


def _spans(rule: Rule, start: date) -> list[_Span]:
    """The months or years from the start's on."""
    if rule.by_week_no:
        spans = _weeks_of_years(rule.wkst)
    else:
        spans = _MONTHS if rule.freq is Frequency.MONTHLY else _YEARS
    number = _number(start)
    return spans[bisect(spans, number, key=lambda span: span.first) - 1 :]


def _into_week(rule: Rule, day: date) -> int:
    return (day.weekday() - rule.wkst) % 7


def _picked(found: int, rule: Rule, start: date) -> int:
    """The days at the positions of BYSETPOS in each interval."""
    if rule.freq is Frequency.DAILY:
        return found if {1, -1} & set(rule.by_set_pos) else 0
    # The last week and the last year of numbered weeks may end after the last day.
    text = f"{found:0{_SIZE + 7}b}"[::-1]
    if rule.freq is Frequency.WEEKLY:
        begin = _number(start) - _into_week(rule, start)
        intervals = [text[first : first + 7] for first in range(begin, _SIZE, 7)]
    else:
        spans = _spans(rule, start)
        begin = spans[0].first
        intervals = [text[first : first + length] for first, length in spans]
    picked = {days: _pick(days, rule.by_set_pos) for days in set(intervals)}
    return _set_of("".join(map(picked.__getitem__, intervals))) << begin


def _pick(days: str, positions: tuple[int, ...]) -> str:
    indexes = [index for index, bit in enumerate(days) if bit == "1"]
    bits = _nth(positions, len(indexes))
    chosen = {index for n, index in enumerate(indexes) if bits >> n & 1}
    return "".join("1" if index in chosen else "0" for index in range(len(days)))


def _set_of(text: str) -> int:
    """The set with these bits, the first day first. Parsing base 2 takes linear time."""
    return int(text[::-1] or "0", 2)
