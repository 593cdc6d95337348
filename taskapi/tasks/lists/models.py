"""The table of lists."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Index, Numeric, String, text
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import NEXT_ID, Content

_ZERO = text("0")
_POSITION = text('COALESCE("position", id::numeric)')


class List(Content, Model):
    """A list of tasks.

    The inbox of a workspace has the workspace's ID.
    """

    __tablename__ = "lists"
    __table_args__ = (
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="color"),
        CheckConstraint("NOT (is_archived AND id = workspace_id)", name="inbox_stays"),
        Index("uq_lists_name", "workspace_id", "name_key", unique=True),
        Index("ix_lists_id", "id", postgresql_using="hash"),
        Index("ix_lists_position", "workspace_id", _POSITION, "id"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger, server_default=NEXT_ID, primary_key=True, sort_order=-2
    )
    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str] = mapped_column(String(collation="C"))
    color: Mapped[str | None] = mapped_column(String(7))
    is_archived: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    # Null for a list that was never moved. It is sorted by its ID.
    position: Mapped[Decimal | None] = mapped_column(Numeric)
    # Of tasks and subtasks; 0 for the inbox, see `list_counts.py`. No CHECK constraint: see the
    # totals of a workspace.
    open_count: Mapped[int] = mapped_column(BigInteger, default=0, server_default=_ZERO)
    completed_count: Mapped[int] = mapped_column(BigInteger, default=0, server_default=_ZERO)
