"""The tables of tasks and of their words."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    String,
    Text,
    Time,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model, table_of
from taskapi.tasks.labels.models import Label
from taskapi.workspaces.models import Content, Membership

_ZERO = text("0")
_LIST = text("COALESCE(list_id, workspace_id)")
_POSITION = text('COALESCE("position", id::numeric)')

END_OF_DAY = "'23:59:59.999999'::time without time zone"
LOCAL_DUE = f"(due_date + COALESCE(due_time, {END_OF_DAY}))"
"""The local time of a due; for a date the end of the day. Null without a due."""

MAX_PRIORITY = 4
MAX_ESTIMATE = 525_600
MAX_LABELS = 100
MAX_DEPTH = 15
"""The maximum number of ancestors."""


def _is_moment(name: str) -> str:
    """A date, or a local time in a time zone with its instant."""
    return (
        f"({name}_date IS NOT NULL OR {name}_time IS NULL)"
        f" AND ({name}_time IS NULL) = ({name}_timezone IS NULL)"
        f" AND ({name}_time IS NULL) = ({name}_at IS NULL)"
    )


RULES = {
    "title": "title <> ''",
    "description": "length(description) <= 10000",
    "priority": f"priority BETWEEN 0 AND {MAX_PRIORITY}",
    "estimate": f"estimate_minutes BETWEEN 1 AND {MAX_ESTIMATE}",
    "due": _is_moment("due"),
    "start": _is_moment("start"),
    "recurs": "(rrule IS NULL OR due_date IS NOT NULL)"
    " AND (rrule IS NULL) = (recurrence_anchor IS NULL)"
    " AND (rrule IS NULL) = (recurrence_timezone IS NULL)",
    "depth": f"(depth = 0) = (parent_id IS NULL) AND depth BETWEEN 0 AND {MAX_DEPTH}",
    "labels": f"cardinality(label_ids) <= {MAX_LABELS}",
}
"""What is true for each task, as SQL.

These are no CHECK constraints, which each write parses again from their text: they took a fifth of
the database's CPU time for a creation or an update.
"""


class Task(Content, Model):
    """A task.

    No index contains title, description, version or updated_at, so that most updates touch no
    index (heap-only tuples); the free space that they need stays on the page.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "list_id"], ["lists.workspace_id", "lists.id"]),
        ForeignKeyConstraint(["workspace_id", "parent_id"], ["tasks.workspace_id", "tasks.id"]),
        # Not a B-tree, with which the planner would scan all workspaces to list the rows of one.
        Index("ix_tasks_id", "id", postgresql_using="hash"),
        Index("ix_tasks_list", "workspace_id", "list_id", "id"),
        Index("ix_tasks_state", "workspace_id", "is_completed", "id"),
        Index(
            "ix_tasks_due",
            "workspace_id",
            "is_completed",
            text(LOCAL_DUE),
            "id",
            postgresql_where=text("due_date IS NOT NULL"),
        ),
        # The tasks at the end of the order by due.
        Index(
            "ix_tasks_no_due",
            "workspace_id",
            "is_completed",
            "id",
            postgresql_where=text("due_date IS NULL"),
        ),
        Index(
            "ix_tasks_priority",
            "workspace_id",
            "is_completed",
            "priority",
            "id",
            postgresql_where=text("priority > 0"),
        ),
        Index("ix_tasks_position", "workspace_id", _LIST, _POSITION, "id"),
        Index(
            "ix_tasks_parent",
            "workspace_id",
            "parent_id",
            "id",
            postgresql_where=text("parent_id IS NOT NULL"),
        ),
        Index(
            "ix_tasks_completed_at",
            "workspace_id",
            "completed_at",
            "id",
            postgresql_where=text("completed_at IS NOT NULL"),
        ),
        Index(
            "ix_tasks_labels",
            "label_ids",
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
            postgresql_where=text("label_ids IS NOT NULL"),
        ),
        # It begins with the user, not the workspace, to list the tasks of all workspaces too.
        Index(
            "ix_tasks_assignee",
            "assignee_id",
            "is_completed",
            "id",
            "workspace_id",
            postgresql_where=text("assignee_id IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": 85}},
    )

    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    is_completed: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    # Null while the task is open.
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # Null in the inbox, so that most tasks reference no other row.
    list_id: Mapped[int | None] = mapped_column(BigInteger)
    parent_id: Mapped[int | None] = mapped_column(BigInteger)
    depth: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=_ZERO)
    # Null for a task that was never moved. It is sorted by its ID.
    position: Mapped[Decimal | None] = mapped_column(Numeric)
    priority: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=_ZERO)
    due_date: Mapped[date | None] = mapped_column(Date)
    due_time: Mapped[time | None] = mapped_column(Time)
    due_timezone: Mapped[str | None] = mapped_column(String(64))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    start_date: Mapped[date | None] = mapped_column(Date)
    start_time: Mapped[time | None] = mapped_column(Time)
    start_timezone: Mapped[str | None] = mapped_column(String(64))
    start_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rrule: Mapped[str | None] = mapped_column(Text)
    recurrence_anchor: Mapped[str | None] = mapped_column(String(10))
    recurrence_timezone: Mapped[str | None] = mapped_column(String(64))
    # Occurrences of the rule so far, including the current one. Null until the first one is
    # completed or skipped.
    occurred: Mapped[int | None] = mapped_column(Integer)
    estimate_minutes: Mapped[int | None] = mapped_column(Integer)
    # Ascending, or null. A trigger sorts them and checks that the labels exist.
    label_ids: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    # The number of the task's comments and the size of their texts, which the writes to comments
    # maintain.
    comment_count: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    comment_bytes: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    # A member of the workspace, which a trigger checks. Not a foreign key to memberships, which are
    # a reference table in a cluster and have no row for the owner of a personal workspace.
    assignee_id: Mapped[int | None] = mapped_column(BigInteger)


class TaskWords(Model):
    """The words of a task's title and description, made by `words.py`, for search.

    Each begins with the workspace's ID, so that the index finds the words of one workspace. They
    have their own table, so that most updates of tasks do not write to this index.
    """

    __tablename__ = "task_words"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "task_id"], ["tasks.workspace_id", "tasks.id"], ondelete="CASCADE"
        ),
        Index(
            "ix_task_words",
            text("(title_words || description_words)"),
            postgresql_using="gin",
            # Each search reads the pending list, so it stays small.
            postgresql_with={"fastupdate": "on", "gin_pending_list_limit": 256},
        ),
    )

    workspace_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    task_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    title_words: Mapped[Any] = mapped_column(TSVECTOR)
    description_words: Mapped[Any] = mapped_column(TSVECTOR)


# Like a foreign key, the triggers on label_ids keep a label that a task has.
table_of(Task).add_is_dependent_on(table_of(Label))
# A trigger on assignee_id queries the memberships.
table_of(Task).add_is_dependent_on(table_of(Membership))
