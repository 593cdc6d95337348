"""The table of lists."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    String,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model

_NOW = func.now()
_PLACE = text('COALESCE("position", id::numeric)')


class List(Model):
    """What tasks are sorted into.

    The account's inbox is the list that has the account's id. No other can get it, for ids of lists
    and of accounts come from one sequence. So whoever knows the account knows its inbox.
    """

    __tablename__ = "lists"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "id"),
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="color"),
        CheckConstraint("NOT (is_archived AND id = user_id)", name="inbox_stays"),
        Index("ix_lists_id", "id", postgresql_using="hash"),
        Index("ix_lists_place", "user_id", _PLACE, "id"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger, server_default=text("nextval('users_id_seq'::regclass)")
    )
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    color: Mapped[str | None] = mapped_column(String(7))
    is_archived: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # Null for a list that was never moved, which stands in the order of creation.
    position: Mapped[Decimal | None] = mapped_column(Numeric)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
