"""The SQL of comments.

The row of a task has the number and the size of its comments, so that neither a page of tasks nor
the deletion of a task reads comments. Each write to a comment maintains them, under the lock of the
workspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from taskapi.db import database
from taskapi.db.content_sql import ContentStatements
from taskapi.db.content_table import ContentTable
from taskapi.db.creation import LOCKED_WORKSPACE, ShardedCreate, inserted
from taskapi.db.pages import BY_CREATION, Ordering
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ID,
    ONE,
    USER_ID,
    WORKSPACE_ID,
    SqlRow,
    has_role,
    increment_version,
    locked_workspace,
    scope,
    version_matches,
)
from taskapi.extensions import table_of
from taskapi.identity import Caller
from taskapi.problems import Forbidden
from taskapi.tasks.comments.models import Comment
from taskapi.tasks.models import Task
from taskapi.workspaces.models import ADMIN, OWNER

_comments, _tasks = table_of(Comment), table_of(Task)

_TASK_ID = bindparam("task_id", type_=BigInteger)
_IS_TASK = and_(_tasks.c.workspace_id == WORKSPACE_ID, _tasks.c.id == _TASK_ID)

_INSERTED = ("workspace_id", "user_id", "task_id", "text", "version")


def _size(rows: SqlRow) -> ColumnElement[int]:
    return func.octet_length(rows.c.text)


class _CommentStatements(ContentStatements):
    """The statements of comments, which also write the row of the task."""

    parent = "task_id"
    growing_totals = ("text_bytes",)
    previous_columns = ("text",)
    simple_columns = ("text",)

    def changeable(self, rows: SqlRow) -> Sequence[ColumnElement[bool]]:
        """Only the author can change a comment."""
        return [rows.c.user_id == USER_ID]

    def dependent_writes(self, after: SqlRow | None, before: CTE | None) -> Sequence[CTE]:
        """Writes the size of the task's comments, after an update."""
        assert after is not None
        assert before is not None
        resized = (
            update(_tasks)
            .values(comment_bytes=_tasks.c.comment_bytes + _size(after) - _size(before))
            .where(_IS_TASK, before.c.id == ID)
        )
        return [resized.cte("task")]

    @cached_property
    def create(self) -> Statement:
        """Adds a comment to a task that the workspace has, if no quota is exceeded."""
        _, task, counted = self._counted_task()
        at = task.c.updated_at
        values = (task.c.workspace_id, USER_ID, task.c.id, self.value("text"), task.c.version)
        after = (
            insert(_comments)
            .from_select(
                [*_INSERTED, "created_at", "updated_at"],
                select(*values, at, at),
                include_defaults=False,
            )
            .returning(*_comments.c)
            .cte("after")
        )
        return Statement(select(*after.c).add_cte(counted), writes=True)

    @cached_property
    def sharded_create(self) -> ShardedCreate:
        workspace, task, counted = self._counted_task()
        locked = select(workspace.c.next_version, workspace.c.moment).join(task, true())
        return ShardedCreate(
            Statement(locked.add_cte(counted), writes=True),
            inserted(self.initial_row(LOCKED_WORKSPACE), *_comments.c),
            [],
        )

    def _counted_task(self) -> tuple[CTE, CTE, CTE]:
        """The locked workspace, the task of a new comment, and the workspace with new totals."""
        size = func.octet_length(self.value("text"))
        change = {"comment_count": ONE, "text_bytes": size}
        workspace = locked_workspace(change, change)
        task = (
            update(_tasks)
            .values(
                comment_count=_tasks.c.comment_count + ONE,
                comment_bytes=_tasks.c.comment_bytes + size,
                version=workspace.c.next_version,
                updated_at=workspace.c.moment,
            )
            .where(_tasks.c.workspace_id == WORKSPACE_ID, _tasks.c.id == self.value("task_id"))
            .where(workspace.c.id == WORKSPACE_ID)
            .returning(_tasks.c.workspace_id, _tasks.c.id, _tasks.c.version, _tasks.c.updated_at)
            .cte("task")
        )
        return workspace, task, increment_version(workspace, task, change)

    @cached_property
    def delete(self) -> Statement:
        """Deletes a comment of the caller, or any comment if the caller's role allows it."""
        workspace = locked_workspace(("comment_count", "text_bytes"))
        gone = (
            delete(_comments)
            .where(_comments.c.workspace_id == workspace.c.id)
            .where(_comments.c.workspace_id == WORKSPACE_ID, self.requested(_comments))
            .where(version_matches(_comments))
            .where(or_(_comments.c.user_id == USER_ID, _moderates()))
            .returning(_comments.c.id, _comments.c.workspace_id, _size(_comments).label("size"))
            .cte("gone")
        )
        task = (
            update(_tasks)
            .values(
                comment_count=_tasks.c.comment_count - ONE,
                comment_bytes=_tasks.c.comment_bytes - gone.c.size,
                version=workspace.c.next_version,
                updated_at=workspace.c.moment,
            )
            .where(_IS_TASK, gone.c.id == ID, workspace.c.id == WORKSPACE_ID)
            .cte("task")
        )
        change = {"comment_count": -ONE, "text_bytes": -gone.c.size}
        counted = increment_version(workspace, gone, change)
        return Statement(select(gone.c.id).add_cte(task, counted), writes=True)


def _moderates() -> ColumnElement[bool]:
    """An SQL condition: the caller can delete the comments of others."""
    return has_role(OWNER, ADMIN)


class NotAuthor(Forbidden):
    """Another user wrote the comment. Only its author can change it.

    In a shared workspace, its author, admins and the owner can delete it.
    """

    code = "not_author"
    title = "Not the author"
    detail = "Only its author can change a comment."


class _CommentTable(ContentTable[Comment]):
    """Comments, which not every member can change or delete."""

    def forbids(self, caller: Caller, row: Comment, verb: str) -> NotAuthor | None:
        if verb == "access" or row.user_id == caller.user_id:
            return None
        if verb != "delete":
            return NotAuthor()
        moderates = database.rows(_MODERATES, **scope(caller))[0][0]
        return None if moderates else NotAuthor("Only its author and admins can delete a comment.")


comments = _CommentTable(
    Comment,
    "comment",
    _CommentStatements(Comment, {"comment_count": lambda rows: ONE, "text_bytes": _size}),
)

SORTS = {"created_at": BY_CREATION}

_MODERATES = Statement(select(_moderates().label("moderates")))

_TOTAL: ColumnElement[Any] = select(_tasks.c.comment_count).where(_IS_TASK).scalar_subquery()


@cache
def comment_page(ordering: Ordering) -> Statement:
    """A page of one task's comments. Its parameter is task_id.

    The total is null if the workspace does not have the task.
    """
    return comments.page(ordering, parts=[_comments.c.task_id == _TASK_ID], total=_TOTAL)
