"""The tables of accounts, of sessions and of counted attempts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import NEXT_ID, NOW


class User(Model):
    """An account.

    A deleted account has no email, so that it is free for another, until its rows are deleted.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(
            """email = lower(email COLLATE "C") AND strpos(email, '@') > 0""", name="email"
        ),
        Index("ix_users_deleted", "id", postgresql_where=text("email IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, server_default=NEXT_ID)
    email: Mapped[str | None] = mapped_column(String(255, collation="C"), unique=True)
    hashed_password: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)


class Session(Model):
    """A login: it lives until it is revoked or was not refreshed for too long.

    Of the refresh token only hashes are stored: of the part that stays (family) and of the part
    that rotates.
    """

    __tablename__ = "sessions"
    __table_args__ = (PrimaryKeyConstraint("user_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    family_hash: Mapped[bytes] = mapped_column(LargeBinary)
    refresh_hash: Mapped[bytes] = mapped_column(LargeBinary)
    user_agent: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(INET)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    last_used_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RateLimit(Model):
    """Attempts of one kind by one address or account, counted until the window ends."""

    __tablename__ = "rate_limits"
    # Lost in a crash, which only resets the counts: not worth a write-ahead log.
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
