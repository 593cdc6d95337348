"""The SQL of subtasks, and the manual order of a list's tasks.

The caller must have locked the workspace (`tenancy.locked`), so that no row changes in between.
"""

from __future__ import annotations

from datetime import datetime
from time import sleep

import orjson
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    SmallInteger,
    Text,
    Update,
    and_,
    any_,
    bindparam,
    cast,
    column,
    delete,
    exists,
    false,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from taskapi.db import database
from taskapi.db.manual_order import ManualOrder
from taskapi.db.quotas import exceeded, limits
from taskapi.db.rows import row_class
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ID,
    USAGE,
    USER_ID,
    WORKSPACE_ID,
    increment_version,
    locked_workspace,
    scope,
)
from taskapi.extensions import table_of
from taskapi.identity import Caller
from taskapi.tasks.due_columns import due_columns, due_of
from taskapi.tasks.list_counts import list_counts
from taskapi.tasks.models import Task
from taskapi.tasks.occurrences.models import Occurrence
from taskapi.tasks.occurrences.queries import COMPLETED
from taskapi.tasks.queries import DELETED_TOTALS, list_column, removed_columns, removed_totals
from taskapi.tasks.recurrence.service import moved_by, moved_start
from taskapi.tasks.values import MOMENTS

_tasks, _occurrences = table_of(Task), table_of(Occurrence)

_PARENT_ID = bindparam("parent_id", type_=BigInteger)
_LIST_ID = bindparam("list_id", type_=BigInteger)
_NO_TASK = literal_column("0", BigInteger)
"""Used instead of null, with which Citus cannot prune shards of a recursive query."""

_DEEPER = bindparam("deeper", type_=SmallInteger)
_COMPLETED_AT = bindparam("completed_at", type_=DateTime(timezone=True))

_IN_WORKSPACE = _tasks.c.workspace_id == WORKSPACE_ID


def _tree(root: ColumnElement[bool]) -> CTE:
    """The IDs and depths of tasks and all their subtasks."""
    first = select(_tasks.c.id, _tasks.c.depth).where(_IN_WORKSPACE, root)
    above = first.cte("tree", recursive=True)
    deeper = _tasks.alias("deeper")
    in_workspace = deeper.c.workspace_id == WORKSPACE_ID
    return above.union_all(
        select(deeper.c.id, deeper.c.depth).where(in_workspace, deeper.c.parent_id == above.c.id)
    )


def _below() -> CTE:
    return _tree(_tasks.c.parent_id == ID)


def _is_in(tree: CTE) -> ColumnElement[bool]:
    """An SQL condition for the tasks of a tree, by their IDs, since trees are small."""
    return _tasks.c.id == any_(func.array(select(tree.c.id).scalar_subquery()))


def _new_family() -> Statement:
    below, parents, own = _below(), _tasks.alias("parents"), _tasks.alias("own")
    requested = select(_PARENT_ID.label("parent_id")).subquery("requested")
    is_parent = and_(
        parents.c.workspace_id == WORKSPACE_ID,
        parents.c.id == func.coalesce(requested.c.parent_id, _NO_TASK),
    )
    own_depth = select(own.c.depth).where(own.c.workspace_id == WORKSPACE_ID, own.c.id == ID)
    return Statement(
        select(
            parents.c.id.label("parent_id"),
            parents.c.list_id,
            parents.c.depth,
            or_(_PARENT_ID == ID, exists().where(below.c.id == _PARENT_ID)).label("is_inside"),
            own_depth.scalar_subquery().label("own_depth"),
            select(func.max(below.c.depth)).scalar_subquery().label("deepest"),
        ).select_from(requested.outerjoin(parents, is_parent))
    )


FAMILY = _new_family()
"""For a task and a new parent: the ID (null if it does not exist), list and depth of the parent,
whether it is the task or one of its subtasks, and the depths of the task and its deepest subtask.
"""


def _new_completion() -> Statement:
    workspace = locked_workspace(["completed_task_count", "occurrence_count"])
    after = (
        _written(workspace)
        .values(is_completed=true(), completed_at=func.coalesce(_COMPLETED_AT, workspace.c.moment))
        .where(_tasks.c.is_completed.is_(false()))
        .returning(*_tasks.c)
        .cte("after")
    )
    due = [f"due_{part}" for part in ("date", "time", "timezone", "at")]
    names = ("completed_at", "occurred", *due)
    recorded = (
        insert(_occurrences)
        .from_select(
            [*names, "workspace_id", "user_id", "task_id", "outcome", "missed", "version"],
            select(
                *(after.c[name] for name in names),
                after.c.workspace_id,
                USER_ID,
                after.c.id,
                COMPLETED,
                literal_column("0", Integer),
                after.c.version,
            ).where(after.c.rrule.is_not(None)),
            include_defaults=False,
        )
        .returning(_occurrences.c.id)
        .cte("recorded")
    )
    every, recurring = (
        select(func.count()).select_from(rows).scalar_subquery() for rows in (after, recorded)
    )
    change = {"completed_task_count": every, "occurrence_count": recurring}
    counted = increment_version(workspace, after, change)
    lists = list_counts(_with_state(after, false()), after)
    return Statement(select(recorded.c.id).add_cte(counted, lists), writes=True)


def _new_reopening() -> Statement:
    workspace = locked_workspace(["completed_task_count"])
    after = (
        _written(workspace)
        .values(is_completed=false(), completed_at=null())
        .where(_tasks.c.is_completed.is_(true()))
        .returning(_tasks.c.id, _tasks.c.workspace_id, _tasks.c.list_id, _tasks.c.is_completed)
        .cte("after")
    )
    every = select(func.count()).select_from(after).scalar_subquery()
    counted = increment_version(workspace, after, {"completed_task_count": -every})
    lists = list_counts(_with_state(after, true()), after)
    return Statement(select(after.c.id).add_cte(counted, lists), writes=True)


def _with_state(rows: CTE, is_completed: ColumnElement[bool]) -> FromClause:
    """The lists of tasks, with their state before a write."""
    return select(rows.c.list_id, is_completed.label("is_completed")).subquery("before")


def _new_relocation() -> Statement:
    workspace = locked_workspace()
    changed = _written(workspace).values(list_id=_LIST_ID, depth=_tasks.c.depth + _DEEPER)
    columns = (_tasks.c.id, _tasks.c.workspace_id, _tasks.c.list_id, _tasks.c.is_completed)
    after = changed.returning(*columns).cte("after")
    # All of them were in the list of the task itself, which is moved afterwards.
    own = _tasks.alias("own")
    old_list = select(own.c.list_id).where(own.c.workspace_id == WORKSPACE_ID, own.c.id == ID)
    before = select(old_list.scalar_subquery().label("list_id"), after.c.is_completed)
    counted = increment_version(workspace, after, {})
    lists = list_counts(before.subquery("before"), after)
    return Statement(select(after.c.id).add_cte(counted, lists), writes=True)


def _written(workspace: CTE) -> Update:
    """An update of all subtasks of a task."""
    return (
        update(_tasks)
        .values(version=workspace.c.next_version, updated_at=workspace.c.moment)
        .where(_tasks.c.workspace_id == workspace.c.id, _IN_WORKSPACE)
        .where(_is_in(_below()))
    )


COMPLETION = _new_completion()
"""Completes all subtasks of a task, at any depth, and returns the occurrences of recurring ones."""

REOPENING = _new_reopening()
"""Reopens all subtasks of a task, at any depth."""

RELOCATION = _new_relocation()
"""Moves all subtasks of a task, at any depth, into a list, and changes their depths."""


_MOMENT_COLUMNS = [
    _tasks.c[f"{name}_{part}"] for name in MOMENTS for part in ("date", "time", "timezone", "at")
]

DATED = Statement(
    select(_tasks.c.id, *_MOMENT_COLUMNS)
    .where(_IN_WORKSPACE, _is_in(_below()))
    .where(or_(_tasks.c.due_date.is_not(None), _tasks.c.start_date.is_not(None)))
)
"""The dues and starts of all subtasks of a task, at any depth."""

_DatedRow = row_class("DatedRow", ["id", *(moment.name for moment in _MOMENT_COLUMNS)])


def _new_redating() -> Statement:
    workspace = locked_workspace()
    names = [moment.name for moment in _MOMENT_COLUMNS]
    rows = func.jsonb_to_recordset(cast(bindparam("moments", type_=Text), JSONB)).table_valued(
        column("id", BigInteger), *(column(name, _tasks.c[name].type) for name in names)
    )
    moved = rows.render_derived("moved", with_types=True)
    after = (
        update(_tasks)
        .values(
            version=workspace.c.next_version,
            updated_at=workspace.c.moment,
            **{name: moved.c[name] for name in names},
        )
        .where(_tasks.c.workspace_id == workspace.c.id, _IN_WORKSPACE, _tasks.c.id == moved.c.id)
        # Without this, the planner could read all tasks to find a few.
        .where(_tasks.c.id == any_(func.array(select(moved.c.id).scalar_subquery())))
        .returning(_tasks.c.id, _tasks.c.workspace_id)
        .cte("after")
    )
    return Statement(
        select(after.c.id).add_cte(increment_version(workspace, after, {})), writes=True
    )


REDATING = _new_redating()
"""Sets the dues and starts of tasks. Its parameter is `moments`, a JSON array."""


def complete_subtasks(caller: Caller, task_id: int, completed_at: datetime | None) -> None:
    """Complete all subtasks of a task, at any depth. Recurring ones get an occurrence.

    Args:
        completed_at: when they were completed; None for now.

    Raises:
        QuotaExceeded: as it says.
    """
    recorded = database.rows(COMPLETION, id=task_id, completed_at=completed_at, **scope(caller))
    if recorded:
        usage = database.row(USAGE, **scope(caller)) or {}
        if usage["occurrence_count"] > limits()["quota_occurrence_count"]:
            raise exceeded("occurrence_count")


_MOVED_AT_ONCE = 500
"""Subtasks whose dates are calculated before the worker serves others: this takes 10 ms."""


def move_dates(caller: Caller, task_id: int, days: int) -> None:
    """Move the dues and starts of all subtasks of a task, at any depth.

    Args:
        days: how many days later they are.
    """
    moments = []
    for values in database.rows(DATED, id=task_id, **scope(caller)):
        row = _DatedRow._make(values)
        due = due_of(row)
        due = due and moved_by(due, days)
        start = moved_start(due_of(row, "start"), due, days)
        moments.append({"id": row.id, **due_columns("due", due), **due_columns("start", start)})
        if not len(moments) % _MOVED_AT_ONCE:
            sleep(0)
    if moments:
        encoded = orjson.dumps(moments).decode()
        database.rows(REDATING, moments=encoded, **scope(caller))


def _new_deletion() -> Statement:
    workspace = locked_workspace(DELETED_TOTALS)
    gone = (
        delete(_tasks)
        .where(_tasks.c.workspace_id == workspace.c.id, _IN_WORKSPACE)
        .where(_is_in(_tree(_tasks.c.id == ID)))
        .returning(*removed_columns(_tasks), _tasks.c.workspace_id, _tasks.c.list_id)
        .cte("gone")
    )
    counted = increment_version(workspace, gone, removed_totals(gone))
    return Statement(select(gone.c.id).add_cte(counted, list_counts(gone, None)), writes=True)


DELETION = _new_deletion()
"""Deletes a task and all its subtasks."""


manual_order = ManualOrder(
    _tasks,
    next_id=literal_column("nextval(pg_get_serial_sequence('tasks', 'id'))", BigInteger),
    among=list_column(_tasks) == _LIST_ID,
    siblings=_tasks.c.parent_id.is_not_distinct_from(_PARENT_ID),
    otherwise="Must be another task in that list, with the same parent.",
)
"""The manual order of a list's tasks. Its parameters are list_id and parent_id."""
