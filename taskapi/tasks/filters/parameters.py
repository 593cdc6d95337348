"""Query parameters that filter tasks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any

from marshmallow import ValidationError

from taskapi.http.fields import Message, Messages, QueryBoolean, QueryInteger, Text, Value
from taskapi.http.schemas import Input
from taskapi.http.timezones import INSTANT, Timezone
from taskapi.identity import MAX_ID
from taskapi.tasks.filters import nodes
from taskapi.tasks.filters.grammar import DATE, MAX_CONDITIONS, MAX_LENGTH, time_of
from taskapi.tasks.filters.nodes import (
    ASSIGNEE,
    ME,
    All,
    Comparison,
    Either,
    IsNull,
    Kind,
    Node,
    Not,
)
from taskapi.tasks.models import MAX_PRIORITY

MAX_TEXT = 200
NOBODY = "none"
_ONE_ID = "[1-9][0-9]{0,15}"


class QueryIds(Value):
    """IDs in a query string, separated by commas."""

    default_error_messages: Messages = {
        "invalid": Message("Must be IDs, separated by commas.", "not_ids"),
        "length": Message(f"Must have at most {MAX_CONDITIONS} IDs.", "length"),
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


class Assignee(Value):
    """A user, or nobody, in a query string: an ID, `me` or `none`."""

    default_error_messages: Messages = {
        "invalid": Message("Must be me, none or the ID of a user.", "not_a_choice"),
    }

    def __init__(self) -> None:
        about = "Only tasks that are assigned to this user: `me`, an ID, or `none` for nobody."
        shape = {"type": "string", "pattern": f"^({ME}|{NOBODY}|{_ONE_ID})$"}
        super().__init__(metadata=shape | {"description": about})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | int:
        if value in (ME, NOBODY):
            return str(value)
        if not re.fullmatch(_ONE_ID, str(value), re.ASCII) or int(value) > MAX_ID:
            raise self.make_error("invalid")
        return int(value)


class DayOrInstant(Value):
    """A date, or an instant, deserialized in UTC."""

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


def _from(verb: str) -> DayOrInstant:
    return DayOrInstant(f"Only tasks {verb} at or after this date in `timezone`, or instant.")


def _before(verb: str) -> DayOrInstant:
    return DayOrInstant(f"Only tasks {verb} before this date in `timezone`, or instant.")


def search_text(about: str, *, required: bool = False) -> Text:
    """A parameter for words to search for."""
    return Text(least=1, most=MAX_TEXT, required=required, metadata={"description": about})


class FilterParameters(Input):
    """The parameters that filter tasks. A task must match all of them."""

    filter = Text(
        least=1,
        most=MAX_LENGTH,
        metadata={
            "description": "Only tasks that match this filter expression, like `priority >= 3 and"
            " due < today`. The guide to filters describes the language."
        },
    )
    filter_id = QueryInteger(
        least=1, most=MAX_ID, metadata={"description": "Only tasks that match this saved filter."}
    )
    timezone = Timezone(
        metadata={
            "description": "The IANA time zone of dates in filters and parameters. By default that"
            " of the account, or UTC. Results that depend on that default have no ETag."
        },
    )
    label = QueryIds("Only tasks with any of these labels: IDs, separated by commas.")
    label_all = QueryIds("Only tasks with all of these labels: IDs, separated by commas.")
    label_none = QueryIds("Only tasks with none of these labels: IDs, separated by commas.")
    priority = QueryInteger(
        least=0, most=MAX_PRIORITY, metadata={"description": "Only tasks with this priority."}
    )
    priority_min = QueryInteger(
        least=0,
        most=MAX_PRIORITY,
        metadata={"description": "Only tasks with this priority or a higher one."},
    )
    due_from, due_before = _from("due"), _before("due")
    created_from, created_before = _from("created"), _before("created")
    updated_from, updated_before = _from("updated"), _before("updated")
    completed_from, completed_before = _from("completed"), _before("completed")
    parent_id = QueryInteger(
        least=1, most=MAX_ID, metadata={"description": "Only direct subtasks of this task."}
    )
    assignee = Assignee()
    text = search_text("Only tasks that contain all of these words, or words that start with them.")
    is_overdue = QueryBoolean(
        metadata={"description": "Only open tasks whose due date has passed, or only other tasks."}
    )


def _compared(field: str, operator: str, kind: Kind, value: Any) -> Node:
    return Comparison(field, operator, nodes.Value(kind, value))


def _number(field: str, operator: str = "=") -> Callable[[Any], Node]:
    return partial(_compared, field, operator, Kind.NUMBER)


def _flag(field: str) -> Callable[[Any], Node]:
    return partial(_compared, field, "=", Kind.BOOLEAN)


def _times(field: str, name: str) -> dict[str, Callable[[Any], Node]]:
    operators = {f"{name}_from": ">=", f"{name}_before": "<"}
    return {
        parameter: partial(_compared, field, operator, Kind.TIME)
        for parameter, operator in operators.items()
    }


def _labels(ids: list[int]) -> tuple[Node, ...]:
    return tuple(_compared("label", "=", Kind.NUMBER, label_id) for label_id in ids)


def _assignee(user: str | int) -> Node:
    if user == NOBODY:
        return IsNull(ASSIGNEE)
    return _compared(ASSIGNEE, "=", Kind.TEXT if user == ME else Kind.NUMBER, user)


_PLAIN: dict[str, Callable[[Any], Node]] = {
    "list_id": _number("list"),
    "is_completed": _flag("completed"),
}
"""Parameters for which `tasks.pages.task_page` has statements without a filter."""

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
    "assignee": _assignee,
    "text": partial(_compared, "text", "~", Kind.TEXT),
    "is_overdue": _flag("overdue"),
}


def nodes_of(query: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    """The nodes of validated parameters, except for filters, with the parameters' names."""
    for name, node in {**_PLAIN, **_NODES}.items():
        if name in query:
            yield name, node(query[name])


def needs_filter(query: Mapping[str, Any]) -> bool:
    """Whether any parameter requires a filter statement."""
    return not query.keys().isdisjoint({"filter", "filter_id", *_NODES})
