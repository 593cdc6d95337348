"""The tables of identities, and of codes for front ends."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import NOW


class LinkedIdentity(Model):
    """A user of an OpenID Connect provider, who can log in to an account.

    The email is the one that the provider had verified when the identity was linked.
    """

    __tablename__ = "identities"
    __table_args__ = (PrimaryKeyConstraint("user_id", "id"), UniqueConstraint("issuer", "subject"))

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    issuer: Mapped[str] = mapped_column(String(255, collation="C"))
    subject: Mapped[str] = mapped_column(String(255, collation="C"))
    email: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)


class SignInCode(Model):
    """The result of a sign-in at a provider, until the front end redeems its code.

    Only a hash of the code is stored. The challenge is the front end's, for PKCE (RFC 7636).
    """

    __tablename__ = "sign_in_codes"

    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    challenge: Mapped[str] = mapped_column(String(43))
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(255))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
