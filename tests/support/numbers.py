"""The whole numbers of a task, by the OpenAPI document, so that tests cover a new one unchanged."""

from __future__ import annotations

from typing import Any, NamedTuple

from support.calls import BY_NAME

from taskapi.identity import MAX_ID
from taskapi.tasks.filters.numbers import NUMBERS as FILTERED


class Number(NamedTuple):
    """A field of a task with a range of whole numbers."""

    name: str
    least: int
    most: int
    is_nullable: bool

    @property
    def default(self) -> int | None:
        """What a task has if the field is not given."""
        return None if self.is_nullable else self.least

    def invalid(self) -> list[Any]:
        """Values that it does not accept."""
        return [self.least - 1, self.most + 1, str(self.most), self.least + 0.5, True, 2**70]

    def valid(self) -> list[int | None]:
        """The least and the greatest value, and null if it is nullable."""
        return [self.least, self.most, *([None] if self.is_nullable else [])]

    def few(self) -> list[int | None]:
        """The values above, and some that are close to each other."""
        return [*range(self.least, min(self.least + 4, self.most)), *self.valid()]


def _numbers() -> list[Number]:
    returned = BY_NAME["get_task"].response()
    return [
        Number(name, schema["minimum"], schema["maximum"], "null" in schema["type"])
        for name, schema in returned["properties"].items()
        if schema.get("maximum", MAX_ID) != MAX_ID
    ]


NUMBERS = _numbers()
SORTS: list[str] = BY_NAME["list_tasks"].parameters("query")["sort"]["enum"]
"""The values of the parameter `sort` of tasks."""

SORTED = [number for number in NUMBERS if number.name in SORTS]
FILTER_NAMES = {field.column: name for name, field in FILTERED.items()}
"""By the field's name, its name in filters."""
