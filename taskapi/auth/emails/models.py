"""The tables of changes of the email, and of tokens that are sent by mail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import NOW

VERIFY, CHANGE, UNDO, RESET = "verify", "change", "undo", "reset"
"""The purposes of tokens."""


class EmailChange(Model):
    """A change of an account's email.

    It takes effect when the new address is confirmed. Until `expires_at` it can be confirmed, or
    else undone, and no other account can have the old address.
    """

    __tablename__ = "email_changes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    old_email: Mapped[str] = mapped_column(String(255, collation="C"), index=True)
    new_email: Mapped[str] = mapped_column(String(255, collation="C"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class EmailToken(Model):
    """A token that was sent by mail, of which only the hash is stored. It can be used once.

    `email` is the address that it was sent to.
    """

    __tablename__ = "email_tokens"
    __table_args__ = (
        CheckConstraint("purpose IN ('verify', 'change', 'undo', 'reset')", name="purpose"),
        CheckConstraint("(change_id IS NOT NULL) = (purpose IN ('change', 'undo'))", name="change"),
        UniqueConstraint("token_hash"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    email: Mapped[str] = mapped_column(String(255, collation="C"))
    change_id: Mapped[int | None] = mapped_column(
        ForeignKey("email_changes.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
