"""The SQL of subtasks, and the manual order of a list's tasks.

The caller must have locked the workspace (`tenancy.locked`), so that no row changes in between.
"""

from __future__ import annotations

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    SmallInteger,
    Update,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)

from taskapi.db.manual_order import ManualOrder
from taskapi.db.statement import Statement
from taskapi.db.tenancy import ID, WORKSPACE_ID, increment_version, locked_workspace
from taskapi.extensions import table_of
from taskapi.tasks.models import Task
from taskapi.tasks.queries import DELETED_TOTALS, list_column, removed_totals, text_bytes

_tasks = table_of(Task)

_PARENT_ID = bindparam("parent_id", type_=BigInteger)
_LIST_ID = bindparam("list_id", type_=BigInteger)
_NO_TASK = literal_column("0", BigInteger)
"""Used instead of null, with which Citus cannot prune shards of a recursive query."""

_DEEPER = bindparam("deeper", type_=SmallInteger)

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


def _new_completion(*, is_completed: bool) -> Statement:
    workspace = locked_workspace(["completed_task_count"])
    since = workspace.c.moment if is_completed else null()
    after = (
        _written(workspace)
        .values(is_completed=is_completed, completed_at=since)
        .where(_tasks.c.is_completed.is_(not is_completed))
        .returning(_tasks.c.id, _tasks.c.workspace_id)
        .cte("after")
    )
    every = select(func.count()).select_from(after).scalar_subquery()
    counted = increment_version(
        workspace, after, {"completed_task_count": every if is_completed else -every}
    )
    return Statement(select(after.c.id).add_cte(counted), writes=True)


def _new_relocation() -> Statement:
    workspace = locked_workspace()
    changed = _written(workspace).values(list_id=_LIST_ID, depth=_tasks.c.depth + _DEEPER)
    after = changed.returning(_tasks.c.id, _tasks.c.workspace_id).cte("after")
    return Statement(
        select(after.c.id).add_cte(increment_version(workspace, after, {})), writes=True
    )


def _written(workspace: CTE) -> Update:
    """An update of all subtasks of a task."""
    return (
        update(_tasks)
        .values(version=workspace.c.next_version, updated_at=workspace.c.moment)
        .where(_tasks.c.workspace_id == workspace.c.id, _IN_WORKSPACE)
        .where(_is_in(_below()))
    )


COMPLETION = _new_completion(is_completed=True)
"""Completes all subtasks of a task, at any depth."""

REOPENING = _new_completion(is_completed=False)
"""Reopens all subtasks of a task, at any depth."""

RELOCATION = _new_relocation()
"""Moves all subtasks of a task, at any depth, into a list, and changes their depths."""


def _new_deletion() -> Statement:
    workspace = locked_workspace(DELETED_TOTALS)
    gone = (
        delete(_tasks)
        .where(_tasks.c.workspace_id == workspace.c.id, _IN_WORKSPACE)
        .where(_is_in(_tree(_tasks.c.id == ID)))
        .returning(
            _tasks.c.id,
            _tasks.c.workspace_id,
            _tasks.c.is_completed,
            text_bytes(_tasks).label("text_bytes"),
        )
        .cte("gone")
    )
    return Statement(
        select(gone.c.id).add_cte(increment_version(workspace, gone, removed_totals(gone))),
        writes=True,
    )


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
