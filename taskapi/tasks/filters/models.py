"""The table of saved filters."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import Content


class SavedFilter(Content, Model):
    """A filter of tasks, stored as text. What it references is looked up when it is used."""

    __tablename__ = "saved_filters"
    __table_args__ = (
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("query <> ''", name="query"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="color"),
        Index("uq_saved_filters_name", "workspace_id", "name_key", unique=True),
        Index("ix_saved_filters_id", "id", postgresql_using="hash"),
    )

    name: Mapped[str] = mapped_column(String(255))
    name_key: Mapped[str] = mapped_column(String(collation="C"))
    query: Mapped[str] = mapped_column(String(2000))
    color: Mapped[str | None] = mapped_column(String(7))
