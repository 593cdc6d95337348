"""The table of second factors."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.extensions import Model
from taskapi.workspaces.models import NOW


class SecondFactor(Model):
    """The second factor of an account. It is pending until it is confirmed by a code.

    The secret is encrypted; of recovery codes, only hashes are stored, and those of used codes are
    removed. Codes up to `last_step`, counted in time steps of RFC 6238, are no longer accepted.
    """

    __tablename__ = "second_factors"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    encrypted_secret: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    recovery_hashes: Mapped[list[bytes]] = mapped_column(
        ARRAY(LargeBinary), server_default=text("'{}'")
    )
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
