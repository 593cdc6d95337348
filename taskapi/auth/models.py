"""The tables of accounts, sessions and rate limits."""

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
from sqlalchemy.dialects.postgresql import ARRAY, INET
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import NEXT_ID, NOW


class User(Model):
    """An account.

    The email of a deleted account is null until all its rows are deleted, so another account can
    have it. The password hash of an account without a password is empty.
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
    email_verified: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    name: Mapped[str | None] = mapped_column(String(255))
    timezone: Mapped[str | None] = mapped_column(String(64))
    locale: Mapped[str | None] = mapped_column(String(35))
    week_start: Mapped[str | None] = mapped_column(String(9))
    notices: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)


LOGIN, TOKEN = "login", "token"
"""The kinds of sessions."""


class Session(Model):
    """A session: a login on one device, or a personal access token.

    It ends when it is revoked or has expired. `expires_at` of a token can be infinity.

    Of a login, only hashes of the refresh token are stored: of its constant part (family) and of
    its rotating part. `last_used_at` is the time of the last refresh, or else of the login.
    `previous_uses` are its earlier values, newest first, if they are at most ten seconds apart.

    Of a personal access token, only the hash of its secret is stored. Its scopes and workspaces
    never change, because workers cache them. Without `workspace_ids` it is for all workspaces.
    `last_used_at` is null until it is used.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "id"),
        CheckConstraint(
            "kind = 'login' AND family_hash IS NOT NULL AND refresh_hash IS NOT NULL"
            " AND last_used_at IS NOT NULL"
            " AND token_hash IS NULL AND name IS NULL AND scopes IS NULL"
            " OR kind = 'token' AND family_hash IS NULL AND refresh_hash IS NULL"
            " AND token_hash IS NOT NULL AND name IS NOT NULL"
            " AND scopes IS NOT NULL AND cardinality(scopes) > 0",
            name="kind",
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text, server_default=text("'login'"))
    family_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    refresh_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    name: Mapped[str | None] = mapped_column(String(255))
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    workspace_ids: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    user_agent: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(INET)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    last_used_at: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), server_default=NOW
    )
    previous_uses: Mapped[list[datetime]] = mapped_column(
        ARRAY(DateTime(timezone=True)), server_default=text("'{}'")
    )
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RateLimit(Model):
    """A counter of attempts, for one kind and one address or account, until its window ends."""

    __tablename__ = "rate_limits"
    # After a crash the counters start again, which does not justify a write-ahead log.
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
