"""The SQL of the occurrence history."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Column, String, bindparam, case, func, literal_column, select

from taskapi.db.content_sql import ContentStatements, Moment
from taskapi.db.content_table import ContentTable
from taskapi.db.pages import BY_CREATION, Ordering
from taskapi.db.statement import Statement
from taskapi.db.tenancy import ONE, visible
from taskapi.extensions import table_of
from taskapi.tasks.occurrences.models import Occurrence

COMPLETED = literal_column("'completed'", String)
"""The outcome of an occurrence that was not skipped."""

_occurrences = table_of(Occurrence)
_OF_TASK = _occurrences.c.task_id == bindparam("task_id", type_=BigInteger)


class OccurrenceStatements(ContentStatements):
    """The statements of occurrences, with completion times."""

    def initial(self, column: Column[Any], moment: Moment) -> Any:
        if column.name == "completed_at":
            is_completed = self.value("outcome") == COMPLETED
            return case((is_completed, func.coalesce(self.value("completed_at"), moment)))
        return super().initial(column, moment)


occurrences = ContentTable(
    Occurrence,
    "occurrence",
    OccurrenceStatements(Occurrence, {"occurrence_count": lambda rows: ONE}),
)

SORTS = {"created_at": BY_CREATION}

LAST = Statement(
    select(_occurrences)
    .where(visible(_occurrences), _OF_TASK)
    .order_by(_occurrences.c.id.desc())
    .limit(ONE)
)
"""The last completed or skipped occurrence of a task."""


@cache
def occurrence_page(ordering: Ordering) -> Statement:
    """A page of one task's occurrences. Its parameter is task_id."""
    return occurrences.page(ordering, parts=[_OF_TASK])
