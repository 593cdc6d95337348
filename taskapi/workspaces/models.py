"""The tables of workspaces and members, and the columns that all rows of a workspace share."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Sequence,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from taskapi.extensions import Model

NOW = func.now()
_ZERO = text("0")

IDS = Sequence("workspace_ids", metadata=Model.metadata)
"""The IDs of users, workspaces and lists.

A personal workspace has its user's ID, and an inbox its workspace's, so no other row may get it.
"""

NEXT_ID = text("nextval('workspace_ids'::regclass)")


class Workspace(Model):
    """A workspace, with the version and the totals of its content.

    A deleted workspace has no members. Its rows are deleted in small steps.
    """

    __tablename__ = "workspaces"
    __table_args__ = (
        CheckConstraint("name <> ''", name="name"),
        Index("ix_workspaces_deleted", "id", postgresql_where=text("deleted_at IS NOT NULL")),
        # Each write to a workspace updates this row. Free space on the page keeps that cheap.
        {"postgresql_with": {"fillfactor": 50}},
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, server_default=NEXT_ID)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    # No CHECK constraint on version and totals: for an update that waited, PostgreSQL first checks
    # the row as it was before the wait.
    version: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    task_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    completed_task_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    list_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    label_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    filter_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    occurrence_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    comment_count: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    # Of titles and descriptions of tasks, and of comments.
    text_bytes: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)


OWNER, ADMIN, EDITOR, VIEWER = ROLES = ("owner", "admin", "editor", "viewer")
"""The roles of members, from the most powerful on."""

_IS_ROLE = "role IN ('owner', 'admin', 'editor', 'viewer')"


class Membership(Model):
    """A member of a shared workspace. A personal workspace has no members.

    It has no foreign key to the workspace, because in a cluster each node has all members, but only
    some workspaces. Its rows change only while the workspace is locked.
    """

    __tablename__ = "memberships"
    __table_args__ = (
        PrimaryKeyConstraint("workspace_id", "user_id"),
        CheckConstraint(_IS_ROLE, name="role"),
        Index(
            "uq_memberships_owner",
            "workspace_id",
            unique=True,
            postgresql_where=text("role = 'owner'"),
        ),
    )

    workspace_id: Mapped[int] = mapped_column(BigInteger)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)


class Invitation(Model):
    """An open invitation to a shared workspace. Only the hash of its token is stored."""

    __tablename__ = "invitations"
    __table_args__ = (
        PrimaryKeyConstraint("workspace_id", "id"),
        CheckConstraint(_IS_ROLE + " AND role <> 'owner'", name="role"),
        Index("uq_invitations_email", "workspace_id", "email", unique=True),
        Index("uq_invitations_token", "token_hash", unique=True),
    )

    workspace_id: Mapped[int] = mapped_column(BigInteger)
    id: Mapped[int] = mapped_column(BigInteger, Identity())
    email: Mapped[str] = mapped_column(String(255, collation="C"), index=True)
    role: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    invited_by: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Content:
    """The columns of all tables whose rows belong to workspaces.

    Keys begin with the workspace, so that tables can be sharded by it, and no foreign key can
    reference another workspace.
    """

    @declared_attr
    @classmethod
    def workspace_id(cls) -> Mapped[int]:
        return mapped_column(
            ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True, sort_order=-3
        )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, sort_order=-2)
    # The user who created the row. Not a foreign key, since the row outlives that account.
    user_id: Mapped[int] = mapped_column(BigInteger, sort_order=-1)
    # The workspace's version after the last change of the row.
    version: Mapped[int] = mapped_column(BigInteger, sort_order=1)
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=NOW, sort_order=2
    )
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=NOW, sort_order=3
    )
