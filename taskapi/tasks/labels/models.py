"""The table of labels."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import Content


class Label(Content, Model):
    """A label of tasks. Tasks have the IDs of their labels."""

    __tablename__ = "labels"
    __table_args__ = (
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="color"),
        Index("uq_labels_name", "workspace_id", "name_key", unique=True),
        Index("ix_labels_id", "id", postgresql_using="hash"),
    )

    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str] = mapped_column(String(collation="C"))
    color: Mapped[str | None] = mapped_column(String(7))
