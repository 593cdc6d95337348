"""The SQL of lists."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    and_,
    delete,
    exists,
    literal_column,
    null,
    select,
    true,
    update,
)

from taskapi.db.content_sql import ContentStatements
from taskapi.db.manual_order import ManualOrder
from taskapi.db.names import BY_NAME, NamedTable
from taskapi.db.pages import BY_CREATION, Ordering
from taskapi.db.positions import BY_POSITION
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ID,
    ONE,
    WORKSPACE_ID,
    increment_version,
    locked_workspace,
    version_matches,
)
from taskapi.extensions import table_of
from taskapi.problems import NameTaken
from taskapi.tasks.list_counts import completed_count, open_count
from taskapi.tasks.lists.models import List
from taskapi.tasks.models import Task
from taskapi.tasks.queries import DELETED_TOTALS, removed_columns, removed_totals
from taskapi.workspaces.models import NEXT_ID

_lists, _tasks = table_of(List), table_of(Task)


class ListExists(NameTaken):
    """Another list has this name."""

    code = "list_exists"
    title = "List exists"
    detail = "Another list has this name."


class _ListStatements(ContentStatements):
    """The statements of lists, whose pages have the counts of the inbox."""

    def page_columns(self) -> list[ColumnElement[Any]]:
        counts = {"open_count": open_count(), "completed_count": completed_count()}
        return [counts.get(column.name, column) for column in self.table.c]


lists = NamedTable(
    List, "list", _ListStatements(List, {"list_count": lambda rows: ONE}), ListExists
)

manual_order = ManualOrder(
    _lists,
    next_id=literal_column(NEXT_ID.text, BigInteger),
    otherwise="Must be another list of the workspace.",
)

SORTS = {"created_at": BY_CREATION, "name": BY_NAME, "position": BY_POSITION}


@cache
def list_page(ordering: Ordering, *, is_archived: bool | None) -> Statement:
    """A page of the workspace's lists.

    Args:
        is_archived: the state of the lists; None for all.
    """
    part = true() if is_archived is None else _lists.c.is_archived.is_(is_archived)
    return lists.page(ordering, parts=[part])


@cache
def deletion(tasks: str | None) -> Statement:
    """Deletes a list other than the inbox, and moves or deletes its tasks in the same write.

    Args:
        tasks: `move` them to the inbox, or `delete` them; None deletes an empty list only.
    """
    totals = DELETED_TOTALS if tasks == "delete" else ()
    workspace = locked_workspace(["list_count", *totals])
    doomed = _doomed(workspace)
    # Compared with the parameter, so that an index can be used, and not with the list's row.
    inside = and_(_tasks.c.workspace_id == WORKSPACE_ID, _tasks.c.list_id == ID)
    is_doomed = exists().where(doomed.c.id == ID)
    gone = delete(_lists).where(_lists.c.workspace_id == WORKSPACE_ID, _lists.c.id == doomed.c.id)
    written: list[CTE] = []
    change: dict[str, ColumnElement[int]] = {"list_count": -ONE}
    if tasks == "move":
        changed = {"version": workspace.c.next_version, "updated_at": workspace.c.moment}
        moved = update(_tasks).values(list_id=null(), **changed).where(inside, is_doomed)
        written = [moved.cte("moved")]
    elif tasks == "delete":
        ended = delete(_tasks).where(inside, is_doomed)
        change |= removed_totals(ended.returning(*removed_columns(_tasks)).cte("ended"))
    else:
        gone = gone.where(~exists().where(inside))
    removed = gone.returning(_lists.c.id, _lists.c.workspace_id).cte("gone")
    written.append(increment_version(workspace, removed, change))
    return Statement(select(removed.c.id).add_cte(*written), writes=True)


def _doomed(workspace: CTE) -> CTE:
    return (
        select(_lists.c.id)
        .join(workspace, _lists.c.workspace_id == workspace.c.id)
        .where(_lists.c.workspace_id == WORKSPACE_ID, _lists.c.id == ID)
        .where(_lists.c.id != WORKSPACE_ID, version_matches(_lists))
        .with_for_update(of=_lists)
        .cte("doomed")
    )
