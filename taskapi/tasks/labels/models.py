"""The table of labels."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    PrimaryKeyConstraint,
    String,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model

_NOW = func.now()
_NAME_KEY = text("""lower(name COLLATE "C")""")


class Label(Model):
    """A word that tasks are marked with. Which ones, the tasks' own rows say."""

    __tablename__ = "labels"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "id"),
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="color"),
        Index("uq_labels_name", "user_id", _NAME_KEY, unique=True),
        Index("ix_labels_id", "id", postgresql_using="hash"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    color: Mapped[str | None] = mapped_column(String(7))
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
