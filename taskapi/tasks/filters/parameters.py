"""Parameters that find tasks, for the query of whichever list of tasks takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any

from marshmallow import ValidationError

from taskapi.http.fields import Message, Messages, QueryBoolean, QueryInteger, Text, Value
from taskapi.http.schemas import Input
from taskapi.identity import MAX_ID
from taskapi.tasks.filters import nodes
from taskapi.tasks.filters.grammar import DATE, INSTANT, MAX_CONDITIONS, MAX_LENGTH, time_of
from taskapi.tasks.filters.nodes import All, Comparison, Either, Kind, Node, Not
from taskapi.tasks.models import MAX_PRIORITY
from taskapi.tasks.timezones import Timezone

MAX_TEXT = 200
_ONE_ID = "[1-9][0-9]{0,15}"


class Ids(Value):
    """Ids in a query string, separated by commas."""

    default_error_messages: Messages = {
        "invalid": Message("Must be ids, separated by commas.", "not_ids"),
        "length": Message(f"Must be at most {MAX_CONDITIONS}.", "length"),
    }

    def __init__(self, about: str) -> None:
        shape = {"type": "string", "pattern": f"^{_ONE_ID}(,{_ONE_ID})*$"}
        super().__init__(metadata=shape | {"description": about})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[int]:
        parts = str(value).split(",", MAX_CONDITIONS)
        if len(parts) > MAX_CONDITIONS:
            raise self.make_error("length")
        if not all(re.fullmatch(_ONE_ID, part, re.ASCII) for part in parts):
            raise self.make_error("invalid")
        ids = [int(part) for part in parts]
        if max(ids) > MAX_ID:
            raise self.make_error("invalid")
        return ids


class DayOrInstant(Value):
    """A date, or an instant given in UTC."""

    def __init__(self, about: str) -> None:
        shape = {"type": "string", "pattern": f"^({DATE}|{INSTANT})$"}
        super().__init__(metadata=shape | {"description": about})

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> date | datetime:
        try:
            return time_of(str(value))
        except ValueError as error:
            raise ValidationError(error.args[0]) from None


def _from(what: str) -> DayOrInstant:
    return DayOrInstant(f"Only those {what} then or later: a date in `timezone`, or an instant.")


def _before(what: str) -> DayOrInstant:
    return DayOrInstant(f"Only those {what} before: a date in `timezone`, or an instant.")


def search_text(*, required: bool = False) -> Text:
    """The parameter for words that are searched for."""
    about = "Only those that have all of these words, or words that begin with them."
    return Text(least=1, most=MAX_TEXT, required=required, metadata={"description": about})


class FindingQuery(Input):
    """Which tasks to find; all of it must be so."""

    filter = Text(
        least=1,
        most=MAX_LENGTH,
        metadata={
            "description": "Only those of which it is so: a filter like `priority >= 3 and due <"
            " today`, in the language of the guide to filters."
        },
    )
    filter_id = QueryInteger(
        least=1, most=MAX_ID, metadata={"description": "The same, of a filter that was kept."}
    )
    timezone = Timezone(
        load_default="UTC",
        metadata={"description": "The IANA zone whose days and wall clock are meant."},
    )
    label = Ids("Only those with any of these labels: ids, separated by commas.")
    label_all = Ids("Only those with all of these labels.")
    label_none = Ids("Only those with none of these labels.")
    priority = QueryInteger(
        least=0, most=MAX_PRIORITY, metadata={"description": "Only those of this priority."}
    )
    priority_min = QueryInteger(
        least=0, most=MAX_PRIORITY, metadata={"description": "Only those of at least this one."}
    )
    due_from, due_before = _from("due"), _before("due")
    created_from, created_before = _from("added"), _before("added")
    updated_from, updated_before = _from("changed"), _before("changed")
    completed_from, completed_before = _from("completed"), _before("completed")
    parent_id = QueryInteger(
        least=1, most=MAX_ID, metadata={"description": "Only those right below this task."}
    )
    text = search_text()
    is_overdue = QueryBoolean(
        metadata={"description": "Only those that are open and were due before, or all others."}
    )


def _compared(field: str, operator: str, kind: Kind, given: Any) -> Node:
    return Comparison(field, operator, nodes.Value(kind, given))


def _number(field: str, operator: str = "=") -> Callable[[Any], Node]:
    return partial(_compared, field, operator, Kind.NUMBER)


def _flag(field: str) -> Callable[[Any], Node]:
    return partial(_compared, field, "=", Kind.BOOLEAN)


def _times(field: str, name: str) -> dict[str, Callable[[Any], Node]]:
    ways = {f"{name}_from": ">=", f"{name}_before": "<"}
    return {way: partial(_compared, field, by, Kind.TIME) for way, by in ways.items()}


def _labels(ids: list[int]) -> tuple[Node, ...]:
    return tuple(_compared("label", "=", Kind.NUMBER, label_id) for label_id in ids)


_USUAL: dict[str, Callable[[Any], Node]] = {
    "list_id": _number("list"),
    "is_completed": _flag("completed"),
}
"""Those that lists of tasks have ways of their own for."""

_NODES: dict[str, Callable[[Any], Node]] = {
    "label": lambda ids: Either(_labels(ids)),
    "label_all": lambda ids: All(_labels(ids)),
    "label_none": lambda ids: Not(Either(_labels(ids))),
    "priority": _number("priority"),
    "priority_min": _number("priority", ">="),
    **_times("due", "due"),
    **_times("created", "created"),
    **_times("updated", "updated"),
    **_times("completed_at", "completed"),
    "parent_id": _number("parent"),
    "text": partial(_compared, "text", "~", Kind.TEXT),
    "is_overdue": _flag("overdue"),
}


def nodes_of(query: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    """What loaded parameters ask, each by its name, the filters aside."""
    for name, node in {**_USUAL, **_NODES}.items():
        if name in query:
            yield name, node(query[name])


def needs_filter(query: Mapping[str, Any]) -> bool:
    """Whether any parameter is given that lists of tasks have no statement of their own for."""
    return not query.keys().isdisjoint({"filter", "filter_id", *_NODES})
