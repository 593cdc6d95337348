"""How the ledger of occurrences is read and written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, bindparam, select

from taskapi.db.content_table import OwnedTable
from taskapi.db.pages import IN_ORDER_OF_CREATION, Reading
from taskapi.db.statement import Statement
from taskapi.db.tenancy import ONE, owned
from taskapi.extensions import table_of
from taskapi.tasks.due_columns import shown_due
from taskapi.tasks.occurrences.models import Occurrence

_occurrences = table_of(Occurrence)
_OF_TASK = _occurrences.c.task_id == bindparam("task_id", type_=BigInteger)


def _shown(rows: FromClause) -> Sequence[ColumnElement[Any]]:
    names = ("id", "user_id", "task_id", "outcome", "missed")
    due = shown_due(rows, "due").label("due")
    return [*(rows.c[name] for name in names), due, rows.c.version, rows.c.created_at]


occurrences = OwnedTable(_occurrences, "occurrence", shown=_shown)

SORTS = {"created_at": IN_ORDER_OF_CREATION}

LAST = Statement(
    select(*_shown(_occurrences), _occurrences.c.occurred)
    .where(owned(_occurrences), _OF_TASK)
    .order_by(_occurrences.c.id.desc())
    .limit(ONE)
)
"""A task's last occurrence that is over, and what had been counted before it."""


@cache
def occurrence_page(reading: Reading) -> Statement:
    """The statement of a page of one task's occurrences. Its parameter is task_id."""
    return occurrences.page(reading, parts=[_OF_TASK])
