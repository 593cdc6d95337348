"""Tables of accounts, of whose email is whose, and of sessions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model

_NOW = func.now()


class User(Model):
    """An account, with the change number of its data and the totals that its lists show."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(
            """email = lower(email COLLATE "C") AND strpos(email, '@') > 0""", name="email"
        ),
        CheckConstraint(
            "version >= 0 AND task_count >= completed_task_count AND completed_task_count >= 0",
            name="totals",
        ),
        # Every write to an account's data updates its row: room on the page keeps that cheap.
        {"postgresql_with": {"fillfactor": 50}},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    # Unique by itself only for code of the release before: who has an email is said in emails.
    email: Mapped[str] = mapped_column(String(255, collation="C"), unique=True)
    hashed_password: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    task_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    completed_task_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)


class Email(Model):
    """Who has an email: its key is what keeps two accounts from one.

    It stands beside the accounts, so that these can be cut by their id. A foreign key would need
    an index for each deletion of an account; the statements that delete one take its email along.
    """

    __tablename__ = "emails"

    email: Mapped[str] = mapped_column(String(255, collation="C"), primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger)


class Session(Model):
    """A login: it lives until it is revoked or was not refreshed for too long.

    Of the refresh token only hashes are kept: of the part that stays (family) and of the part that
    rotates.
    """

    __tablename__ = "sessions"
    __table_args__ = (PrimaryKeyConstraint("user_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    family_hash: Mapped[bytes] = mapped_column(LargeBinary)
    refresh_hash: Mapped[bytes] = mapped_column(LargeBinary)
    user_agent: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(INET)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    last_used_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
