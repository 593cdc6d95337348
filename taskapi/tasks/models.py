"""The table of tasks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model

_NOW = func.now()
_TITLE_KEY = text("""lower(title COLLATE "C")""")


class Task(Model):
    """Something to do. The key begins with the owner, so that one account's rows lie together."""

    __tablename__ = "tasks"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "id"),
        ForeignKeyConstraint(["user_id", "list_id"], ["lists.user_id", "lists.id"]),
        CheckConstraint("title <> ''", name="title"),
        CheckConstraint("length(description) <= 10000", name="description"),
        # Not an ordered one: the planner would walk everybody's rows to list one account's.
        Index("ix_tasks_id", "id", postgresql_using="hash"),
        Index("ix_tasks_list", "user_id", "list_id", "id"),
        Index("ix_tasks_state", "user_id", "is_completed", "id"),
        Index("ix_tasks_state_updated_at", "user_id", "is_completed", "updated_at", "id"),
        Index("ix_tasks_state_title", "user_id", "is_completed", _TITLE_KEY, "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    is_completed: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # Null in the inbox, whose id is the account's: most tasks then need no other row.
    list_id: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
