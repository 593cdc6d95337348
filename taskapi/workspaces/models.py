"""The table of workspaces, and the columns that all rows of a workspace share."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Sequence,
    String,
    func,
    text,
)
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from taskapi.extensions import Model

NOW = func.now()
_ZERO = text("0")

IDS = Sequence("workspace_ids", metadata=Model.metadata)
"""Gives ids to users, workspaces and lists.

A personal workspace thereby has its user's id, and the inbox the id of its workspace, and no other
row can get either of them.
"""

NEXT_ID = text("nextval('workspace_ids'::regclass)")


class Workspace(Model):
    """What content belongs to, with the version of that content and the totals of its lists."""

    __tablename__ = "workspaces"
    __table_args__ = (
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint(
            "version >= 0 AND task_count >= completed_task_count AND completed_task_count >= 0",
            name="totals",
        ),
        # Every write to a workspace updates its row: free space on the page keeps that cheap.
        {"postgresql_with": {"fillfactor": 50}},
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, server_default=NEXT_ID)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    version: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    task_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    completed_task_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    list_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    label_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    filter_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    occurrence_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    # Of titles and descriptions of tasks.
    text_bytes: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)


class Content:
    """The columns of every row that belongs to a workspace.

    The key begins with the workspace: its rows lie together, tables can be sharded by it, and a
    foreign key between two rows cannot leave it.
    """

    @declared_attr
    def workspace_id(cls) -> Mapped[int]:  # noqa: N805 - SQLAlchemy passes the class
        return mapped_column(
            ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True, sort_order=-3
        )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, sort_order=-2)
    # Who created the row. Not a foreign key: it outlives that account.
    user_id: Mapped[int] = mapped_column(BigInteger, sort_order=-1)
    # Of the workspace, when the row was last changed.
    version: Mapped[int] = mapped_column(BigInteger, sort_order=1)
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=NOW, sort_order=2
    )
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=NOW, sort_order=3
    )
