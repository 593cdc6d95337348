"""Converts the fields of a task to the values of its columns, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.tasks.due_columns import due_columns
from taskapi.tasks.models import Task
from taskapi.tasks.recurrence.service import Anchor, GivenRecurrence, Recurrence, parse

MOMENTS = ("due", "start")


def column_values(workspace_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of columns for the given fields. The inbox and an empty label list are null.

    A completion time without a completion is ignored.
    """
    columns = {
        name: value for name, value in values.items() if name not in (*MOMENTS, "recurrence")
    }
    if columns.get("list_id") == workspace_id:
        columns["list_id"] = None
    if columns.get("label_ids") == []:
        columns["label_ids"] = None
    if not (columns.get("is_completed") and columns.get("completed_at")):
        columns.pop("completed_at", None)
    for name in MOMENTS:
        if name in values:
            columns |= due_columns(name, values[name])
    if "recurrence" in values:
        columns |= _recurrence_columns(values["recurrence"])
    return columns


def _recurrence_columns(recurrence: GivenRecurrence | None) -> dict[str, Any]:
    return {
        "rrule": recurrence and recurrence.rule.text,
        "recurrence_anchor": recurrence and recurrence.anchor.value,
        "recurrence_timezone": recurrence and recurrence.timezone,
    }


def recurrence_of(task: Task) -> Recurrence | None:
    """The recurrence of a task; None without one."""
    if task.rrule is None:
        return None
    assert task.recurrence_anchor, "see `RULES`"
    assert task.recurrence_timezone, "see `RULES`"
    return Recurrence(parse(task.rrule), Anchor(task.recurrence_anchor), task.recurrence_timezone)


def represent_recurrence(task: Task) -> dict[str, Any] | None:
    """The JSON of a task's recurrence."""
    if task.rrule is None:
        return None
    return {
        "rrule": task.rrule,
        "anchor": task.recurrence_anchor,
        "timezone": task.recurrence_timezone,
        "occurred": task.occurred,
    }


def list_of(task: Task) -> int:
    """The ID of a task's list. The inbox has the workspace's ID."""
    return task.list_id or task.workspace_id
