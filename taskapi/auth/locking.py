"""Locks an account, so that what grants access to it changes in one request at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import BigInteger, bindparam, select

from taskapi.auth.models import User
from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.extensions import table_of

_users = table_of(User)

_LOCK = Statement(
    select(_users.c.id)
    .where(_users.c.id == bindparam("user_id", type_=BigInteger))
    .with_for_update(key_share=True),
    writes=True,
)


@contextmanager
def locked_account(user_id: int) -> Iterator[None]:
    """A transaction that locks an account, if there is one with this ID.

    The block checks the session, the password and the identity again. A statement that waits for
    the lock itself would see sessions and identities as of before it waited.

    Raises:
        Unavailable, OutcomeUnknown: as `database.transaction`.
    """
    with database.transaction():
        database.row(_LOCK, user_id=user_id)
        yield
