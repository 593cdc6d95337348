"""Reads a page of a workspace's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from taskapi.db.pages import PageRequest, is_known
from taskapi.db.replicas import page_rows
from taskapi.db.statement import Statement
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.problems import SessionEnded

M = TypeVar("M")
R_co = TypeVar("R_co", covariant=True)


class RowFactory(Protocol[R_co]):
    """Makes rows from the values that a statement returns, like `ContentTable`."""

    def row(self, values: Sequence[Any]) -> R_co:
        """Make a row."""


class Page(NamedTuple, Generic[M]):
    """A page of rows.

    `rows` is None if the client has this version of the list. `total` is None if the rows are not
    counted. `version` is None if the result depends on the current time. `cursor_after` returns the
    cursor of a page that begins after a row.
    """

    rows: list[M] | None
    total: int | None
    next_cursor: str | None
    version: int | None
    cursor_after: Callable[[M], str]


class ReferenceNotFound(Exception):
    """A filter references a row that does not exist. References are numbered from one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def read_page(
    caller: Caller,
    table: RowFactory[M],
    statement: Statement,
    request: PageRequest,
    *,
    known: list[int] | None,
    **parameters: Any,
) -> Page[M]:
    """The page that a statement of `ContentTable.page` returns.

    Args:
        known: versions of the list that the client has; None stands for all.
        parameters: those of the statement's conditions.

    Raises:
        SessionEnded: the caller's session has ended.
        ReferenceNotFound: as it says.
    """
    values = {**request.parameters(), **scope(caller), **parameters}
    rows = page_rows(statement, known=known, **values)
    if not rows:
        raise SessionEnded
    first = statement.columns.index("workspace_id")
    version, total, *missing = rows[0][:first]
    if any(missing):
        raise ReferenceNotFound(missing[0])
    if is_known(version, known):
        return Page(None, total, None, version, request.cursor_after)
    found = [table.row(row[first:]) for row in rows if row[first] is not None]
    page, next_cursor = request.split(found)
    return Page(page, total, next_cursor, version, request.cursor_after)
