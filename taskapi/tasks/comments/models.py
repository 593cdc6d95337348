"""The table of comments."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import Content

MAX_TEXT = 10_000


class Comment(Content, Model):
    """A comment on a task. Its author is the user who created it, user_id."""

    __tablename__ = "comments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "task_id"], ["tasks.workspace_id", "tasks.id"], ondelete="CASCADE"
        ),
        CheckConstraint(f"length(text) BETWEEN 1 AND {MAX_TEXT}", name="text"),
        Index("ix_comments_task", "workspace_id", "task_id", "id"),
        Index("ix_comments_id", "id", postgresql_using="hash"),
    )

    task_id: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str] = mapped_column(Text)
