"""The SQL of the occurrence history."""

from __future__ import annotations

from functools import cache

from sqlalchemy import BigInteger, bindparam, select

from taskapi.db.content_sql import ContentStatements
from taskapi.db.content_table import ContentTable
from taskapi.db.pages import BY_CREATION, Ordering
from taskapi.db.statement import Statement
from taskapi.db.tenancy import ONE, visible
from taskapi.extensions import table_of
from taskapi.tasks.occurrences.models import Occurrence

_occurrences = table_of(Occurrence)
_OF_TASK = _occurrences.c.task_id == bindparam("task_id", type_=BigInteger)

occurrences = ContentTable(
    Occurrence,
    "occurrence",
    ContentStatements(Occurrence, {"occurrence_count": lambda rows: ONE}),
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
