"""The ledger of occurrences."""

from __future__ import annotations

from datetime import date, datetime, time

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Time,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model

_NOW = func.now()


class Occurrence(Model):
    """An occurrence of a task that was completed or skipped, as the task was before that."""

    __tablename__ = "occurrences"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "id"),
        ForeignKeyConstraint(
            ["user_id", "task_id"], ["tasks.user_id", "tasks.id"], ondelete="CASCADE"
        ),
        CheckConstraint("outcome IN ('completed', 'skipped')", name="outcome"),
        CheckConstraint(
            "(due_time IS NULL) = (due_timezone IS NULL) AND (due_time IS NULL) = (due_at IS NULL)",
            name="due",
        ),
        Index("ix_occurrences_task", "user_id", "task_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    user_id: Mapped[int] = mapped_column(BigInteger)
    task_id: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(String(10))
    missed: Mapped[int] = mapped_column(Integer)
    due_date: Mapped[date] = mapped_column(Date)
    due_time: Mapped[time | None] = mapped_column(Time)
    due_timezone: Mapped[str | None] = mapped_column(String(64))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # What the task had counted before; null before its first occurrence was over.
    occurred: Mapped[int | None] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
