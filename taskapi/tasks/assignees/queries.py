"""The SQL of assignees."""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    BigInteger,
    any_,
    bindparam,
    exists,
    func,
    literal_column,
    null,
    select,
    true,
    union_all,
    update,
)

from taskapi.db.pages import BY_CREATION, Ordering
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ONE,
    USER_ID,
    WORKSPACE_ID,
    has_live_session,
    increment_version,
    locked_workspace,
    visible_in_any_workspace,
)
from taskapi.extensions import table_of
from taskapi.tasks.models import Task
from taskapi.workspaces.models import Membership

_tasks, _members = table_of(Task), table_of(Membership)
_ASSIGNEE_ID = bindparam("assignee_id", type_=BigInteger)
_LIMIT = bindparam("limit", type_=BigInteger)

SORTS = {"created_at": BY_CREATION}

PIECE = 1_000
"""The tasks that one step of `unassignment` changes."""


@cache
def assigned_page(ordering: Ordering, *, is_completed: bool | None) -> Statement:
    """A page of the tasks that are assigned to the caller, in all workspaces.

    A page without tasks has one row of nulls. There is no row if the session has ended.

    Args:
        is_completed: the state of the tasks; None for all.
    """
    # One part for each state, because the index has the state before the ID.
    states = (True, False) if is_completed is None else (is_completed,)
    parts = [
        select(*_tasks.c)
        .where(_tasks.c.assignee_id == USER_ID, _tasks.c.is_completed.is_(state))
        .where(visible_in_any_workspace(_tasks), *conditions)
        .order_by(*order)
        .limit(_LIMIT)
        for state in states
        for conditions, order in ordering.runs(_tasks)
    ]
    merged = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery("merged")
    page = select(*merged.c).order_by(*ordering.order(merged)).limit(_LIMIT).subquery("page")
    live = select(ONE.label("one")).where(has_live_session()).subquery("live")
    rows = select(*page.c).select_from(live.outerjoin(page, true()))
    return Statement(rows.order_by(*ordering.order(page)))


def _unassignment() -> Statement:
    """Removes the assignee from some of the workspace's tasks, and returns their number."""
    workspace = locked_workspace(checks_caller=False)
    # A job may find that the member has joined again.
    is_member = exists().where(
        _members.c.workspace_id == WORKSPACE_ID, _members.c.user_id == _ASSIGNEE_ID
    )
    some = (
        select(_tasks.c.id)
        .where(_tasks.c.workspace_id == WORKSPACE_ID, _tasks.c.assignee_id == _ASSIGNEE_ID)
        .where(~is_member)
        .limit(literal_column(str(PIECE), BigInteger))
        .scalar_subquery()
    )
    after = (
        update(_tasks)
        .values(
            assignee_id=null(),
            version=workspace.c.next_version,
            updated_at=workspace.c.moment,
        )
        .where(_tasks.c.workspace_id == WORKSPACE_ID, _tasks.c.id == any_(func.array(some)))
        # Another transaction may have changed it while this one waited for the lock.
        .where(_tasks.c.assignee_id == _ASSIGNEE_ID, workspace.c.id == WORKSPACE_ID)
        .returning(_tasks.c.workspace_id)
        .cte("after")
    )
    one = select(after.c.workspace_id).limit(ONE).cte("one")
    number = select(func.count().label("number")).select_from(after)
    return Statement(number.add_cte(increment_version(workspace, one, {})), writes=True)


unassignment = _unassignment()
