"""The table of filters that are kept."""

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
)
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model

_NOW = func.now()


class Filter(Model):
    """A filter of tasks, as its text. What it names need not be there until it is used."""

    __tablename__ = "filters"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "id"),
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("query <> ''", name="query"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="color"),
        Index("ix_filters_id", "id", postgresql_using="hash"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    query: Mapped[str] = mapped_column(String(2000))
    color: Mapped[str | None] = mapped_column(String(7))
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
