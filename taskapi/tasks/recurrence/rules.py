"""Parses recurrence rules: RECUR values of RFC 5545 section 3.3.10.

A rule is in upper case, like `FREQ=MONTHLY;BYDAY=-1FR`, without `RRULE:`, white space and folded
lines. RSCALE and SKIP are those of RFC 7529. Parts that the due already has are not supported:
DTSTART and times of day (FREQ=HOURLY and below, BYHOUR, BYMINUTE, BYSECOND).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, IntEnum
from typing import Any, NamedTuple

from taskapi.field_errors import FieldErrorCode

MAX_LENGTH = 500

_PART = "[A-Z0-9_-]+=[A-Z0-9,+-]+"
_FORM = re.compile(f"{_PART}(;{_PART})*;?", re.ASCII)
PATTERN = f"^{_FORM.pattern}$"


class RuleError(ValueError):
    """A rule is invalid. The message is for people, the code for programs."""

    def __init__(self, message: str, code: FieldErrorCode) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Anchor(Enum):
    """Where the next occurrence is calculated from: the due, or the day of completion."""

    DUE = "due"
    COMPLETION = "completion"


class Frequency(Enum):
    """The unit of a rule's interval."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


class Skip(Enum):
    """Which day replaces one that a month does not have (RFC 7529 section 4.1)."""

    OMIT = "OMIT"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"


class Weekday(IntEnum):
    """The days of a week, as `date.weekday` numbers them."""

    MO = 0
    TU = 1
    WE = 2
    TH = 3
    FR = 4
    SA = 5
    SU = 6


class Day(NamedTuple):
    """A value of BYDAY: every such weekday, or the nth one, from the end if negative."""

    ordinal: int | None
    weekday: Weekday


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A valid rule. Its parts have the RFC's names; those of `rscale` and `skip` are RFC 7529's.

    `until` is a date, an instant in UTC, or a local time. It is inclusive.
    """

    freq: Frequency
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    by_month: tuple[int, ...] = ()
    by_week_no: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_day: tuple[Day, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    wkst: Weekday = Weekday.MO
    rscale: str | None = None
    skip: Skip | None = None
    text: str = field(default="", compare=False)
    """The text that was parsed."""

    @property
    def names_days(self) -> bool:
        """Whether a part says which days they are, so that the start does not."""
        return bool(self.by_day or self.by_month_day or self.by_year_day or self.by_week_no)


class GivenRecurrence(NamedTuple):
    """A recurrence from a request, not yet checked against a due."""

    rule: Rule
    anchor: Anchor
    timezone: str | None


def parse(text: str) -> Rule:
    """Parse a rule.

    Raises:
        RuleError: it is invalid or not supported.
    """
    if len(text) > MAX_LENGTH:
        raise RuleError(f"Must have at most {MAX_LENGTH} characters.", "length")
    if not _FORM.fullmatch(text):
        raise RuleError(_form_error(text), "not_a_rule")
    parts: dict[str, str] = {}
    text = text.removesuffix(";")
    for part in text.split(";"):
        name, _, value = part.partition("=")
        if name in parts:
            raise RuleError(f"{name} must not be repeated.", "repeated")
        parts[name] = value
    if "FREQ" not in parts:
        raise RuleError("FREQ is required.", "required")
    rule = Rule(text=text, **dict(_read(name, value) for name, value in parts.items()))
    _check_together(rule)
    return rule


def _form_error(text: str) -> str:
    if text.startswith("RRULE:"):
        return "Must not begin with RRULE:."
    if text != text.upper() and _FORM.fullmatch(text.upper()):
        return "Must be in upper case."
    return "Must be a rule of RFC 5545, like FREQ=WEEKLY;BYDAY=MO,WE."


def _read(name: str, text: str) -> tuple[str, Any]:
    """A part as an argument of `Rule`."""
    if name in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        message = f"{name} is not supported. The due has the time of day."
        raise RuleError(message, "not_supported")
    if name == "DTSTART":
        raise RuleError("DTSTART is not supported. The rule starts at the due.", "unknown_part")
    if name not in _PARTS:
        raise RuleError(f"Unknown part {name[:20]}.", "unknown_part")
    argument, read = _PARTS[name]
    return argument, read(name, text)


def _frequency(name: str, text: str) -> Frequency:
    message = f"{name} must be DAILY, WEEKLY, MONTHLY or YEARLY."
    if text in ("HOURLY", "MINUTELY", "SECONDLY"):
        raise RuleError(message, "not_supported")
    if text not in Frequency.__members__:
        raise RuleError(message, "not_a_choice")
    return Frequency(text)


def _positive(name: str, text: str) -> int:
    if not text.isdigit() or not text.strip("0"):
        raise RuleError(f"{name} must be a positive whole number.", "out_of_range")
    return int(text)


def _numbers(most: int, *, from_end: bool) -> Callable[[str, str], tuple[int, ...]]:
    """A reader of a list of numbers from 1 to `most`; `from_end` allows negative numbers too."""
    limits = f"from 1 to {most}" + (f" or -{most} to -1" if from_end else "")
    pattern = re.compile(r"[+-]?[0-9]{1,3}" if from_end else r"[0-9]{1,3}", re.ASCII)

    def read(name: str, text: str) -> tuple[int, ...]:
        found = [int(n) if pattern.fullmatch(n) else 0 for n in text.split(",")]
        if not all(1 <= abs(n) <= most for n in found):
            message = f"{name} must be whole numbers {limits}, separated by commas."
            raise RuleError(message, "out_of_range")
        return tuple(sorted(set(found)))

    return read


_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)


def _days(name: str, text: str) -> tuple[Day, ...]:
    found = set()
    for one in text.split(","):
        match = _DAY.fullmatch(one)
        ordinal = int(match[1]) if match and match[1] else None
        if match is None or (ordinal is not None and not 1 <= abs(ordinal) <= 53):
            message = f"{name} must be days like MO, 1MO or -1MO (to 53), separated by commas."
            raise RuleError(message, "not_a_day")
        found.add(Day(ordinal, Weekday[match[2]]))
    return tuple(sorted(found, key=lambda day: (day.ordinal or 0, day.weekday)))


def _weekday(name: str, text: str) -> Weekday:
    if text not in Weekday.__members__:
        raise RuleError(f"{name} must be one of MO, TU, WE, TH, FR, SA, SU.", "not_a_choice")
    return Weekday[text]


def _calendar(name: str, text: str) -> str:
    if text != "GREGORIAN":
        raise RuleError(f"{name} must be GREGORIAN.", "not_supported")
    return text


def _skip(name: str, text: str) -> Skip:
    if text not in Skip.__members__:
        raise RuleError(f"{name} must be OMIT, BACKWARD or FORWARD.", "not_a_choice")
    return Skip(text)


_UNTIL = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z?))?", re.ASCII)


def _until(name: str, text: str) -> date | datetime:
    match = _UNTIL.fullmatch(text)
    try:
        if match and match[2]:
            moment = datetime.fromisoformat(f"{match[1]}T{match[2]}Z")
            return moment if match[3] else moment.replace(tzinfo=None)
        if match:
            return date.fromisoformat(match[1])
    except ValueError:
        pass  # such as February 30
    message = f"{name} must be like 20261224, 20261224T170000Z or 20261224T180000."
    raise RuleError(message, "not_a_date")


_PARTS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "FREQ": ("freq", _frequency),
    "INTERVAL": ("interval", _positive),
    "COUNT": ("count", _positive),
    "UNTIL": ("until", _until),
    "BYMONTH": ("by_month", _numbers(12, from_end=False)),
    "BYWEEKNO": ("by_week_no", _numbers(53, from_end=True)),
    "BYYEARDAY": ("by_year_day", _numbers(366, from_end=True)),
    "BYMONTHDAY": ("by_month_day", _numbers(31, from_end=True)),
    "BYDAY": ("by_day", _days),
    "BYSETPOS": ("by_set_pos", _numbers(366, from_end=True)),
    "WKST": ("wkst", _weekday),
    "RSCALE": ("rscale", _calendar),
    "SKIP": ("skip", _skip),
}
"""For each part, the argument of `Rule` and its reader."""


def _check_together(rule: Rule) -> None:
    """Check the combination of parts against the table of RFC 5545 section 3.3.10."""
    freq = rule.freq
    has_ordinals = any(day.ordinal for day in rule.by_day)
    by = (rule.by_month, rule.by_week_no, rule.by_year_day, rule.by_month_day, rule.by_day)
    forbidden = {
        "COUNT cannot be combined with UNTIL.": rule.count and rule.until,
        f"BYMONTHDAY cannot be combined with FREQ={freq.value}.": (
            rule.by_month_day and freq is Frequency.WEEKLY
        ),
        f"BYYEARDAY cannot be combined with FREQ={freq.value}.": (
            rule.by_year_day and freq is not Frequency.YEARLY
        ),
        f"BYWEEKNO cannot be combined with FREQ={freq.value}.": (
            rule.by_week_no and freq is not Frequency.YEARLY
        ),
        f"BYDAY must have no ordinals, like 1MO, with FREQ={freq.value}.": (
            has_ordinals and freq in (Frequency.DAILY, Frequency.WEEKLY)
        ),
        "BYDAY must have no ordinals, like 1MO, with BYWEEKNO.": has_ordinals and rule.by_week_no,
        "BYSETPOS requires another part that begins with BY.": (rule.by_set_pos and not any(by)),
        "BYSETPOS cannot be combined with SKIP=FORWARD.": (
            rule.by_set_pos and rule.skip is Skip.FORWARD
        ),
        "SKIP requires RSCALE=GREGORIAN.": rule.skip and not rule.rscale,
    }
    for message, is_violated in forbidden.items():
        if is_violated:
            raise RuleError(message, "not_together")
