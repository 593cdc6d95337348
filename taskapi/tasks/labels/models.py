"""The table of labels."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import Content

_NAME_KEY = text("""lower(name COLLATE "C")""")


class Label(Content, Model):
    """A label of tasks. Tasks have the IDs of their labels."""

    __tablename__ = "labels"
    __table_args__ = (
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="color"),
        Index("uq_labels_name", "workspace_id", _NAME_KEY, unique=True),
        Index("ix_labels_id", "id", postgresql_using="hash"),
    )

    name: Mapped[str] = mapped_column(String(255))
    color: Mapped[str | None] = mapped_column(String(7))
