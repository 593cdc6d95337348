"""The table of the occurrence history."""

from __future__ import annotations

from datetime import date, datetime, time

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Time,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import Content


class Occurrence(Content, Model):
    """A completed or skipped occurrence of a recurring task, with the task's due at that time."""

    __tablename__ = "occurrences"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "task_id"], ["tasks.workspace_id", "tasks.id"], ondelete="CASCADE"
        ),
        CheckConstraint("outcome IN ('completed', 'skipped')", name="outcome"),
        CheckConstraint(
            "(due_time IS NULL) = (due_timezone IS NULL) AND (due_time IS NULL) = (due_at IS NULL)",
            name="due",
        ),
        Index("ix_occurrences_task", "workspace_id", "task_id", "id"),
    )

    task_id: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(String(10))
    # Null if it was skipped, and in rows that are older than this column.
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    missed: Mapped[int] = mapped_column(Integer)
    due_date: Mapped[date] = mapped_column(Date)
    due_time: Mapped[time | None] = mapped_column(Time)
    due_timezone: Mapped[str | None] = mapped_column(String(64))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # The value of tasks.occurred before this occurrence was completed or skipped.
    occurred: Mapped[int | None] = mapped_column(Integer)
    # The days by which the start and the dates of subtasks moved with the due.
    moved_days: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
