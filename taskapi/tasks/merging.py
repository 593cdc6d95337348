"""Applies merge patches to the dues and the recurrence of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.http.merging import Patch
from taskapi.http.schemas import Input, load
from taskapi.tasks.due_columns import due_representation
from taskapi.tasks.dues import DueField, merged_due
from taskapi.tasks.models import Task
from taskapi.tasks.recurrence.fields import RecurrenceField
from taskapi.tasks.values import MOMENTS, represent_recurrence


class _Whole(Input):
    """The fields that are objects."""

    due = DueField()
    start = DueField()
    recurrence = RecurrenceField()


_WHOLE = _Whole()
_DUES = {name: due_representation(name) for name in MOMENTS}


def is_partial(values: Mapping[str, Any]) -> bool:
    """Whether any field is a patch, which depends on the task."""
    return any(isinstance(value, Patch) for value in values.values())


def merged(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with patches applied to the task.

    Raises:
        InvalidInput: a result is invalid.
    """
    patches = {name: value for name, value in values.items() if isinstance(value, Patch)}
    whole = {name: _merged(task, name, patch.changes) for name, patch in patches.items()}
    return {**values, **load(_WHOLE, whole)}


def _merged(task: Task, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    if name in _DUES:
        return merged_due(_DUES[name](task), changes)
    return {**(represent_recurrence(task) or {}), **changes}
