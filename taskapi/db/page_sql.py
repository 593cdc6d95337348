"""The SQL of a page of a table of content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Table,
    Text,
    all_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from taskapi.db.pages import MAX_PAGE_BYTES, Ordering
from taskapi.db.statement import Statement
from taskapi.db.tenancy import WORKSPACE_ID, WORKSPACES, own_workspace, visible

_LIMIT = bindparam("limit", type_=BigInteger)
_KNOWN = bindparam("known", type_=ARRAY(BigInteger))
_ZERO = literal_column("0", BigInteger)
_MAX_PAGE_BYTES = literal_column(str(MAX_PAGE_BYTES), BigInteger)


def page_statement(
    table: Table,
    columns: Sequence[ColumnElement[Any]],
    ordering: Ordering,
    parts: Sequence[ColumnElement[bool]],
    totals: Sequence[ColumnElement[int]],
) -> Statement:
    """The statement of `ContentStatements.page`.

    Args:
        columns: the columns of the rows, with the names of the table's columns.
        parts: as in `ContentStatements.page`.
        totals: the total of the list; for filters, also the first reference to a missing row.
    """
    version = WORKSPACES.c.version.label("workspace_version")
    pages = [
        select(*columns)
        .where(table.c.workspace_id == WORKSPACE_ID, part, *conditions)
        .order_by(*order)
        .limit(_LIMIT)
        for part in parts
        for conditions, order in ordering.runs(table)
    ]
    merged = (union_all(*pages) if len(pages) > 1 else pages[0]).subquery("merged")
    page = (
        select(*merged.c, _bytes_before(merged, ordering).label("bytes_before"))
        .where(WORKSPACES.c.version != all_(_KNOWN))
        .order_by(*ordering.order(merged))
        .limit(_LIMIT)
        .lateral("page")
    )
    return Statement(
        select(version, *totals, *(page.c[column.name] for column in merged.c))
        .select_from(WORKSPACES.outerjoin(page, page.c.bytes_before <= _MAX_PAGE_BYTES))
        .where(own_workspace())
        .order_by(*ordering.order(page)),
        is_dynamic=len(totals) > 1,
    )


def number_of_rows(table: Table, parts: Sequence[ColumnElement[bool]]) -> ColumnElement[int]:
    """The number of rows on all pages, which is not counted if the client knows the version."""
    every = select(func.count()).where(visible(table), or_(*parts)).scalar_subquery()
    return case((WORKSPACES.c.version != all_(_KNOWN), every))


def _bytes_before(rows: FromClause, ordering: Ordering) -> ColumnElement[int]:
    """The size of the long texts in the preceding rows; 0 if a page is never too large."""
    texts = [column for column in rows.c if type(column.type) is Text]
    if not ordering.is_long or not texts:
        return _ZERO
    size = sum((func.octet_length(func.coalesce(text, "")) for text in texts), start=_ZERO)
    before = func.sum(size).over(order_by=ordering.order(rows), rows=(None, -1))
    return func.coalesce(before, _ZERO)
