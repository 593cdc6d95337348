"""The table of tasks."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Text,
    Time,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.tasks.due_columns import DUE_KEY
from taskapi.tasks.words_sql import words_of

_NOW = func.now()
_ZERO = text("0")
_TITLE_KEY = text("""lower(title COLLATE "C")""")
_DUE_KEY = text(DUE_KEY)
_LIST = text("COALESCE(list_id, user_id)")
_PLACE = text('COALESCE("position", id::numeric)')

MAX_PRIORITY = 4
MAX_ESTIMATE = 525_600
MAX_LABELS = 100
MAX_DEPTH = 15
"""How many parents a task can have, one above the other."""


def _is_moment(name: str) -> str:
    """A day, perhaps with a time of it in a zone, whose instant is then kept too."""
    return (
        f"({name}_date IS NOT NULL OR {name}_time IS NULL)"
        f" AND ({name}_time IS NULL) = ({name}_timezone IS NULL)"
        f" AND ({name}_time IS NULL) = ({name}_at IS NULL)"
    )


class Task(Model):
    """Something to do. The key begins with the owner, so that one account's rows lie together."""

    __tablename__ = "tasks"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "id"),
        ForeignKeyConstraint(["user_id", "list_id"], ["lists.user_id", "lists.id"]),
        ForeignKeyConstraint(["user_id", "parent_id"], ["tasks.user_id", "tasks.id"]),
        CheckConstraint("title <> ''", name="title"),
        CheckConstraint("length(description) <= 10000", name="description"),
        CheckConstraint(f"priority BETWEEN 0 AND {MAX_PRIORITY}", name="priority"),
        CheckConstraint(f"estimate_minutes BETWEEN 1 AND {MAX_ESTIMATE}", name="estimate"),
        CheckConstraint(_is_moment("due"), name="due"),
        CheckConstraint(_is_moment("start"), name="start"),
        CheckConstraint(
            "(rrule IS NULL OR due_date IS NOT NULL)"
            " AND (rrule IS NULL) = (recurrence_anchor IS NULL)"
            " AND (rrule IS NULL) = (recurrence_timezone IS NULL)",
            name="recurs",
        ),
        CheckConstraint(
            f"(depth = 0) = (parent_id IS NULL) AND depth BETWEEN 0 AND {MAX_DEPTH}", name="depth"
        ),
        CheckConstraint(f"cardinality(label_ids) <= {MAX_LABELS}", name="labels"),
        # Not an ordered one: the planner would walk everybody's rows to list one account's.
        Index("ix_tasks_id", "id", postgresql_using="hash"),
        Index("ix_tasks_list", "user_id", "list_id", "id"),
        Index("ix_tasks_state", "user_id", "is_completed", "id"),
        Index("ix_tasks_state_updated_at", "user_id", "is_completed", "updated_at", "id"),
        Index("ix_tasks_state_title", "user_id", "is_completed", _TITLE_KEY, "id"),
        Index("ix_tasks_state_due", "user_id", "is_completed", _DUE_KEY, "id"),
        Index("ix_tasks_state_priority", "user_id", "is_completed", "priority", "id"),
        Index("ix_tasks_place", "user_id", _LIST, _PLACE, "id"),
        Index(
            "ix_tasks_parent",
            "user_id",
            "parent_id",
            "id",
            postgresql_where=text("parent_id IS NOT NULL"),
        ),
        Index(
            "ix_tasks_completed_at",
            "user_id",
            "completed_at",
            "id",
            postgresql_where=text("completed_at IS NOT NULL"),
        ),
        Index(
            "ix_tasks_words",
            text(words_of("title", "description")),
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        ),
        Index(
            "ix_tasks_labels",
            "label_ids",
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
            postgresql_where=text("label_ids IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    is_completed: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # Null in the inbox, whose id is the account's: most tasks then need no other row.
    list_id: Mapped[int | None] = mapped_column(BigInteger)
    # Ascending, or null; a trigger sees to that, and that the labels are the account's.
    label_ids: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=_ZERO)
    due_date: Mapped[date | None] = mapped_column(Date)
    due_time: Mapped[time | None] = mapped_column(Time)
    due_timezone: Mapped[str | None] = mapped_column(String(64))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    start_date: Mapped[date | None] = mapped_column(Date)
    start_time: Mapped[time | None] = mapped_column(Time)
    start_timezone: Mapped[str | None] = mapped_column(String(64))
    start_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    estimate_minutes: Mapped[int | None] = mapped_column(Integer)
    # Means something only while it is completed, and is not known of all that were so for long.
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    parent_id: Mapped[int | None] = mapped_column(BigInteger)
    depth: Mapped[int] = mapped_column(SmallInteger, server_default=_ZERO)
    # Null for a task that was never moved, which stands in the order of creation.
    position: Mapped[Decimal | None] = mapped_column(Numeric)
    rrule: Mapped[str | None] = mapped_column(Text)
    recurrence_anchor: Mapped[str | None] = mapped_column(String(10))
    recurrence_timezone: Mapped[str | None] = mapped_column(String(64))
    # By that rule, the present one included; null before the first was completed or skipped.
    occurred: Mapped[int | None] = mapped_column(Integer)
