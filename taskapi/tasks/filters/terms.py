"""The fields of filters, their types and operators, and the shapes of conditions.

A filter becomes a shape and a list of values. Filters that differ only in their values have the
same shape. Days become instants in the request's time zone, so that the database compares columns
with values and can use an index.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeVar

from taskapi.db.names import name_key
from taskapi.db.pages import ascii_lower
from taskapi.http.timezones import FIRST_INSTANT, LAST_INSTANT, instant_of, is_known, local_time_of
from taskapi.identity import MAX_ID
from taskapi.tasks.filters.conditions import Reference, Shape
from taskapi.tasks.filters.hints import hint
from taskapi.tasks.filters.nodes import (
    ASSIGNEE,
    ME,
    All,
    Comparison,
    Either,
    FilterError,
    IsNull,
    Kind,
    Moment,
    Node,
    Not,
    Value,
)
from taskapi.tasks.filters.numbers import NUMBERS
from taskapi.tasks.words import parse_search, tsquery

_DAY = timedelta(days=1)
_SECONDS = {"m": 60, "h": 3600}
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"mo": 1, "y": 12}

MAX_TEXT_CONDITIONS = 5
"""Of a request. Each reads texts of 10,000 characters, in the worst case those of all tasks."""

TOO_COSTLY: Final = "too_costly"

AnyDate = TypeVar("AnyDate", date, datetime)


class Field(NamedTuple):
    """The operators and types of a field."""

    operators: str
    kinds: tuple[Kind, ...]
    is_nullable: bool = False
    most: int = MAX_ID


_ORDERED = "= < <= > >="
_TIME = Field(_ORDERED, (Kind.TIME,))
_TIME_OR_NONE = _TIME._replace(is_nullable=True)
_FLAG = Field("=", (Kind.BOOLEAN,))

FIELDS = {
    "id": Field("=", (Kind.NUMBER,)),
    "title": Field("= ~", (Kind.TEXT,)),
    "description": Field("~", (Kind.TEXT,), is_nullable=True),
    "completed": _FLAG,
    "overdue": _FLAG,
    **{
        name: Field(_ORDERED, (Kind.NUMBER,), number.is_nullable, number.most)
        for name, number in NUMBERS.items()
    },
    "due": _TIME_OR_NONE,
    "start": _TIME_OR_NONE,
    "created": _TIME,
    "updated": _TIME,
    "completed_at": _TIME_OR_NONE,
    "list": Field("=", (Kind.TEXT, Kind.NUMBER)),
    "label": Field("=", (Kind.TEXT, Kind.NUMBER), is_nullable=True),
    "parent": Field("=", (Kind.NUMBER,), is_nullable=True),
    ASSIGNEE: Field("=", (Kind.NUMBER,), is_nullable=True),
    "text": Field("~", (Kind.TEXT,)),
}
ALIASES = {
    **{number.column: name for name, number in NUMBERS.items() if number.column != name},
    "is_completed": "completed",
    "created_at": "created",
    "updated_at": "updated",
    "list_id": "list",
    "parent_id": "parent",
    "assignee_id": ASSIGNEE,
}
"""Names of task fields that have a shorter name in filters."""

_REFERENCES = ("list", "label", "parent")


@dataclass(frozen=True)
class Clock:
    """The current time and the time zone of a filter's days.

    Args:
        zone: the time zone, or a function that returns it when it is needed.
    """

    now: datetime
    zone: str | Callable[[], str]

    @cached_property
    def timezone(self) -> str:
        return self.zone if isinstance(self.zone, str) else self.zone()

    def start_of(self, day: date) -> datetime:
        """The first instant of a day."""
        return instant_of(datetime.combine(day, time()), self.timezone)

    def day_of(self, instant: datetime) -> date:
        """The local date of an instant."""
        return local_time_of(instant, self.timezone).date()

    def time_of(self, moment: Moment) -> date | datetime:
        """The value of a moment now. Days and longer units are added in local time.

        Raises:
            OverflowError: the result is outside the supported years.
        """
        if not moment.has_time:
            day = self.day_of(self.now)
            for amount, unit in moment.steps:
                day = _moved(day, amount, unit)
            return day
        instant = self.now
        for amount, unit in moment.steps:
            if unit in _SECONDS:
                instant += timedelta(seconds=amount * _SECONDS[unit])
            else:
                local = _moved(local_time_of(instant, self.timezone), amount, unit)
                instant = instant_of(local, self.timezone)
            if not is_known(instant):
                raise OverflowError
        return instant


def _moved(local: AnyDate, amount: int, unit: str) -> AnyDate:
    if unit in _DAYS:
        moved = local + amount * _DAYS[unit] * _DAY
    else:
        months = local.year * 12 + local.month - 1 + amount * _MONTHS[unit]
        year, month = months // 12, months % 12 + 1
        if not FIRST_INSTANT.year <= year <= LAST_INSTANT.year:
            raise OverflowError
        # A shorter month ends on its last day.
        day = min(local.day, monthrange(year, month)[1])
        moved = local.replace(year=year, month=month, day=day)
    if not FIRST_INSTANT.year <= moved.year <= LAST_INSTANT.year:
        raise OverflowError
    return moved


class Resolver:
    """Converts nodes to shapes and collects their values and references.

    Args:
        workspace_id: the caller's workspace, whose ID is also the inbox's.
        user_id: the caller.
    """

    def __init__(self, clock: Clock, workspace_id: int, user_id: int) -> None:
        self._clock = clock
        self._workspace_id = workspace_id
        self._user_id = user_id
        self.values: list[Any] = []
        self.references: list[Reference] = []
        self.offsets: list[int | None] = []
        """The offset of each reference in its filter."""

        self.text_conditions = 0
        """How many conditions search in texts."""

        self.is_time_dependent = False
        """Whether the result depends on the current time."""

    def shape(self, node: Node) -> Shape:
        """The shape of a node.

        Raises:
            FilterError: a field is unknown, or does not support the operator or the value; or too
                many conditions search in texts.
        """
        if isinstance(node, All):
            return ("all", *map(self.shape, node.parts))
        if isinstance(node, Either):
            return ("either", *map(self.shape, node.parts))
        if isinstance(node, Not):
            return _negated(self.shape(node.part))
        name, field = _field(node)
        if isinstance(node, Comparison):
            return self._compared(node, name, field)
        if not field.is_nullable:
            raise FilterError(f"The field {name} is never null.", "not_nullable", node.offset)
        return _negated(f"has {name}")

    def _compared(self, node: Comparison, name: str, field: Field) -> Shape:
        value, operator = node.value, node.operator
        if name == ASSIGNEE and value.kind is Kind.TEXT and value.value.lower() == ME:
            value = Value(Kind.NUMBER, self._user_id, value.offset)
        _check(name, field, operator, value, node.offset)
        if operator == "~":
            self._count_text_condition(node.offset)
        if value.kind is Kind.TIME:
            return self._time(name, operator, value)
        if value.kind is Kind.BOOLEAN:
            flag = self._overdue() if name == "overdue" else name
            return flag if value.value else _negated(flag)
        if name == "text":
            return self._search(value.value)
        if name in _REFERENCES:
            return self._reference(name, value)
        given = ascii_lower(value.value) if operator == "~" else value.value
        return self._test(f"{name} {operator}", given)

    def _count_text_condition(self, offset: int | None) -> None:
        self.text_conditions += 1
        if self.text_conditions > MAX_TEXT_CONDITIONS:
            message = f"Must have at most {MAX_TEXT_CONDITIONS} conditions with ~."
            raise FilterError(message, TOO_COSTLY, offset)

    def _test(self, name: str, *values: Any) -> Shape:
        self.values += values
        return name

    def _search(self, text: str) -> Shape:
        search = parse_search(text)
        terms = [tsquery(self._workspace_id, word) for word in search.words]
        return self._test("text ~", " & ".join(terms) or None, list(search.substrings))

    def _reference(self, name: str, value: Value) -> Shape:
        if name == "list" and value.value == self._workspace_id:
            return "in inbox"
        noun = "task" if name == "parent" else name
        self.offsets.append(value.offset)
        if value.kind is Kind.NUMBER:
            self.references.append(Reference(noun, value.value, ""))
            return self._test(f"{name} id", value.value)
        folded = name_key(value.value)
        self.references.append(Reference(noun, 0, folded))
        return self._test(f"{name} name", folded)

    def _overdue(self) -> Shape:
        self.is_time_dependent = True
        return ("all", _negated("completed"), self._bound("due", "<", self._clock.now))

    def _time(self, name: str, operator: str, value: Value) -> Shape:
        found = value.value
        if isinstance(found, Moment):
            self.is_time_dependent = True
            try:
                found = self._clock.time_of(found)
            except OverflowError:
                message = "Must be in the years 1970 to 2199."
                raise FilterError(message, "out_of_range", value.offset) from None
        if operator == "=":
            last = "<=" if isinstance(found, datetime) else "<"
            until = found if isinstance(found, datetime) else found + _DAY
            return ("all", self._bound(name, ">=", found), self._bound(name, last, until))
        if operator in ("<=", ">") and not isinstance(found, datetime):
            return self._bound(name, "<" if operator == "<=" else ">=", found + _DAY)
        return self._bound(name, operator, found)

    def _bound(self, name: str, operator: str, found: date | datetime) -> Shape:
        """The comparison of a field with the start of a day or an instant.

        A date is due until the end of that day.
        """
        is_instant = isinstance(found, datetime)
        instant = found if is_instant else self._clock.start_of(found)
        if name not in ("due", "start"):
            return self._test(f"{name} {operator}", instant)
        return self._test(f"{name} {operator}", self._day(found), instant)

    def _day(self, found: date | datetime) -> date:
        return self._clock.day_of(found) if isinstance(found, datetime) else found


def _negated(shape: Shape) -> Shape:
    return shape[1] if shape[0] == "not" else ("not", shape)


def clock(zone: str | Callable[[], str]) -> Clock:
    """The current time in a time zone, as `Clock`."""
    return Clock(datetime.now(UTC), zone)


def _field(node: Comparison | IsNull) -> tuple[str, Field]:
    name = ALIASES.get(node.field, node.field)
    if name not in FIELDS:
        message = (
            f"Expected a field, found '{node.field[:30]}' at offset {node.offset}."
            f" Fields: {', '.join(FIELDS)}."
        )
        raise FilterError(message, "unknown_field", node.offset)
    return name, FIELDS[name]


def _wrong_type(name: str, field: Field, value: Value) -> str:
    """The message for a value of another type: what to write instead."""
    expected = " or ".join(kind.value for kind in field.kinds)
    if number := NUMBERS.get(name):
        expected += f" from {number.least:,} to {number.most:,}"
    if name == "priority":
        expected += " (highest)"
    if name == ASSIGNEE:
        expected = f"{ME} or the ID of a user"
    if Kind.TIME in field.kinds:
        if value.kind is Kind.TEXT and (advice := hint(value.value, 0)):
            return advice
        expected += ", like 2026-12-24, tomorrow, today+7d or now-2h"
    quotes = " Put a text in quotes." if Kind.TEXT in field.kinds else ""
    return f"The field {name} requires {expected}.{quotes}"


def _check(name: str, field: Field, operator: str, value: Value, offset: int | None) -> None:
    if operator not in field.operators.split():
        message = f"The operators of {name} are {' '.join(field.operators.split())}."
        raise FilterError(message, "operator", offset)
    if value.kind not in field.kinds:
        raise FilterError(_wrong_type(name, field, value), "wrong_type", value.offset)
    if value.kind is Kind.NUMBER and value.value > field.most:
        message = f"Must be a whole number up to {field.most:,}."
        raise FilterError(message, "out_of_range", value.offset)
