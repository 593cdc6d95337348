"""Names that are unique in a workspace, whatever their case and their Unicode form.

Names are compared by their keys. Python makes the keys, so the locale of the database does not
matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from typing import Any, TypeVar
from unicodedata import normalize

from sqlalchemy import String, Text, bindparam, select

from taskapi.db import database
from taskapi.db.constraints import ValueTaken
from taskapi.db.content_sql import ContentStatements, Values
from taskapi.db.content_table import ContentTable
from taskapi.db.pages import Sort, text_from_cursor
from taskapi.db.statement import Statement
from taskapi.db.tenancy import scope, visible
from taskapi.extensions import Base
from taskapi.identity import Caller
from taskapi.problems import NameTaken, Problem

M = TypeVar("M", bound=Base)

_MAX_KEY_BYTES = 2_000
"""An entry of an index has at most 2,704 bytes."""

_BEGINNING = 400
"""In characters, of at most four bytes each."""

BY_NAME = Sort(
    key=lambda rows: rows.c.name_key,
    type=String(),
    value_of=lambda row: row.name_key,
    load=text_from_cursor,
)
"""By code points of the keys."""


def name_key(name: str) -> str:
    """The key of a name: full Unicode case folding, in NFC. Equal names have equal keys."""
    # Case folding needs decomposed input (Unicode, definition D145).
    key = normalize("NFC", normalize("NFD", name).casefold())
    encoded = key.encode()
    if len(encoded) <= _MAX_KEY_BYTES:
        return key
    return key[:_BEGINNING] + sha256(encoded).hexdigest()


class NamedTable(ContentTable[M]):
    """A table of content whose rows have unique names, and their keys in `name_key`.

    Args:
        taken: the problem for a name that another row has.
    """

    def __init__(
        self, model: type[M], noun: str, statements: ContentStatements, taken: type[NameTaken]
    ) -> None:
        super().__init__(model, noun, statements)
        self._taken = taken

    def create(self, caller: Caller, values: Values) -> M:
        """As `ContentTable.create`.

        Raises:
            NameTaken: another row has the name.
        """
        with self._unless_taken(caller, values):
            return super().create(caller, _with_key(values))

    def update(
        self,
        caller: Caller,
        row_id: int,
        values: Values,
        if_match: list[int] | None = None,
        **parent: Any,
    ) -> M:
        """As `ContentTable.update`.

        Raises:
            NameTaken: another row has the name.
        """
        with self._unless_taken(caller, values):
            return super().update(caller, row_id, _with_key(values), if_match, **parent)

    @cached_property
    def _with_name(self) -> Statement:
        rows = self.sql.table
        key = bindparam("name_key", type_=Text())
        return Statement(select(rows).where(visible(rows), rows.c.name_key == key))

    @contextmanager
    def _unless_taken(self, caller: Caller, values: Values) -> Iterator[None]:
        try:
            yield
        except ValueTaken as taken:
            if taken.constraint != f"uq_{self.sql.table.name}_name":
                raise
            name = values["name"]
            detail = f"Another {self._noun} has the name {name}."
            raise self._taken(detail, self._noun, lambda: self._named(caller, name)) from None

    def _named(self, caller: Caller, name: str) -> M | None:
        """The row with this name, unless it has gone or cannot be read now."""
        try:
            found = database.rows(self._with_name, name_key=name_key(name), **scope(caller))
        except Problem:
            return None
        return self.row(found[0]) if found else None


def _with_key(values: Values) -> dict[str, Any]:
    return {**values, "name_key": name_key(values["name"])} if "name" in values else {**values}
