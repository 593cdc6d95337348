"""The SQL of search."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Double,
    Select,
    Text,
    all_,
    and_,
    bindparam,
    literal_column,
    select,
    text,
    true,
    tuple_,
)

from taskapi.db.pages import Ordering, Sort
from taskapi.db.rows import row_class
from taskapi.db.statement import Statement
from taskapi.db.tenancy import WORKSPACE_ID, WORKSPACES, own_workspace
from taskapi.extensions import table_of
from taskapi.tasks.filters.conditions import MISSING, Shape, condition
from taskapi.tasks.models import Task, TaskWords
from taskapi.tasks.pages import FILTER_STATEMENTS, UNCOUNTED

_tasks, _words = table_of(Task), table_of(TaskWords)

MAX_RANKED = 1_000
"""Only the newest matches are ranked, which limits the cost of a search for a single letter."""

_RANK = text(
    """
    SELECT avg(CASE
        WHEN newest.title_words @@ term.exact THEN 1.0
        WHEN newest.title_words @@ term.prefix THEN 0.8
        WHEN newest.description_words @@ term.exact THEN 0.5
        ELSE 0.4
    END)::double precision AS rank
    FROM unnest(CAST(:exact AS tsquery[]), CAST(:prefix AS tsquery[])) AS term (exact, prefix)
    """
).bindparams(bindparam("exact", type_=ARRAY(Text)), bindparam("prefix", type_=ARRAY(Text)))
"""The average over the words of the search. The title and whole words rank higher."""

_LIMIT = bindparam("limit", type_=BigInteger)
_KNOWN = bindparam("known", type_=ARRAY(BigInteger))
_AFTER = tuple_(bindparam("after_key", type_=Double()), bindparam("after_id", type_=BigInteger))

FoundTask = row_class("FoundTask", [*(c.name for c in _tasks.c), "rank"])


def _load(value: Any) -> float:
    if not isinstance(value, float) or not 0 <= value <= 1:
        raise ValueError("not a rank")
    return value


SORTS = {
    "rank": Sort(
        key=lambda rows: rows.c.rank, type=Double(), value_of=lambda found: found.rank, load=_load
    )
}

BEST_FIRST = "-rank"


@lru_cache(FILTER_STATEMENTS)
def search_page(ordering: Ordering, *, is_completed: bool | None, shape: Shape) -> Statement:
    """A page of the tasks that match a filter of this shape, which contains the search.

    Its parameters `exact` and `prefix` are the words of the search, for the rank.
    """
    state = true() if is_completed is None else _tasks.c.is_completed.is_(is_completed)
    newest = (
        select(*_tasks.c, _words.c.title_words, _words.c.description_words)
        .join(
            _words,
            and_(_words.c.workspace_id == _tasks.c.workspace_id, _words.c.task_id == _tasks.c.id),
        )
        .where(_tasks.c.workspace_id == WORKSPACE_ID, state, condition(shape))
        .order_by(_tasks.c.id.desc())
        .limit(literal_column(str(MAX_RANKED), BigInteger))
        .subquery("newest")
    )
    rank = _RANK.columns(rank=Double()).lateral("ranked")
    rows = [newest.c[column.name] for column in _tasks.c]
    page = _page(select(*rows, rank.c.rank).select_from(newest.join(rank, true())), ordering)
    leading = (
        WORKSPACES.c.version.label("workspace_version"),
        UNCOUNTED.label("total"),
        MISSING.label("missing"),
    )
    return Statement(
        select(*leading, *page.c)
        .select_from(WORKSPACES.outerjoin(page, true()))
        .where(own_workspace())
        .order_by(page.c.rank.desc(), page.c.id.desc()),
        is_dynamic=True,
    )


def _page(ranked: Select[Any], ordering: Ordering) -> Any:
    found = ranked.subquery("found")
    here: ColumnElement[Any] = tuple_(found.c.rank, found.c.id)
    return (
        select(*found.c)
        .where(WORKSPACES.c.version != all_(_KNOWN))
        .where(here < _AFTER if ordering.resumes else true())
        .order_by(found.c.rank.desc(), found.c.id.desc())
        .limit(_LIMIT)
        .lateral("page")
    )
