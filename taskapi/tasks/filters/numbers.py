"""The numeric fields of filters: the fields of a task with the metadata `filter`, except IDs."""

from __future__ import annotations

from typing import NamedTuple

from taskapi.http.fields import WholeNumber
from taskapi.http.representation import declared_fields
from taskapi.identity import MAX_ID
from taskapi.tasks.schemas import Task


class NumberField(NamedTuple):
    """A numeric field of filters, and its column."""

    column: str
    least: int
    most: int
    is_nullable: bool


NUMBERS = {
    str(field.metadata["filter"]): NumberField(
        name, field.least, field.most, bool(field.allow_none)
    )
    for name, field in declared_fields(Task).items()
    if isinstance(field, WholeNumber) and "filter" in field.metadata and field.most < MAX_ID
}
"""By name in the filter language."""
