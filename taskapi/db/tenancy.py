"""Ownership by construction: the one place where a statement learns whose it is.

Features build their statements from these parts. Each carries the caller and asks, in the same
round trip, whether the caller's session lives: without one it finds nothing and changes nothing. A
write locks the account first, so that writes to one account follow each other, and takes the
account's next change number only when it does something, so that the numbers have no gap. Each
table that is read or changed is compared with the caller's id itself, though a join would say the
same: where tables are cut by account, the database then knows the part before it looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    TableClause,
    Text,
    and_,
    any_,
    bindparam,
    column,
    exists,
    func,
    literal_column,
    or_,
    select,
    table,
    update,
)

from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.identity import Caller
from taskapi.problems import TokenInvalid

Counts = Mapping[str, Callable[[FromClause], ColumnElement[int]]]
"""For columns of the account that keep totals, how much a row adds to each."""

Shown = Callable[[FromClause], Sequence[ColumnElement[Any]]]
"""What a row shows, made from its columns; the first is the id."""

# What a scope needs to know of the tables that the accounts' feature owns.
ACCOUNTS = table("users", column("id", BigInteger), column("version", BigInteger))
_sessions = table(
    "sessions",
    column("user_id", BigInteger),
    column("id", BigInteger),
    column("revoked_at"),
    column("expires_at"),
)
_emails = table("emails", column("email", Text), column("user_id", BigInteger))

ONE = literal_column("1", BigInteger)
"""Part of the statement's text: a number of Python's would be one more parameter to send."""

USER_ID = bindparam("caller_user_id", type_=BigInteger)
_SESSION_ID = bindparam("caller_session_id", type_=BigInteger)
ID = bindparam("id", type_=BigInteger)
_IF_MATCH = bindparam("if_match", type_=ARRAY(BigInteger))


def scope(caller: Caller) -> dict[str, int]:
    """The parameters that every scoped statement takes."""
    return {"caller_user_id": caller.user_id, "caller_session_id": caller.session_id}


def is_live() -> ColumnElement[bool]:
    """True in SQL while the caller's session has neither ended nor expired."""
    return exists().where(_is_live_session())


def _is_live_session() -> ColumnElement[bool]:
    return and_(
        _sessions.c.user_id == USER_ID,
        _sessions.c.id == _SESSION_ID,
        _sessions.c.revoked_at.is_(None),
        _sessions.c.expires_at > func.now(),
    )


def demand_session(caller: Caller) -> None:
    """See that the caller's session lives, for a call that asks the database for nothing else.

    Raises:
        TokenInvalid: it is over.
    """
    if not (database.row(_SESSION, **scope(caller)) or {}).get("is_live"):
        raise TokenInvalid


_SESSION = Statement(select(is_live().label("is_live")))


def every_column(rows: FromClause) -> Sequence[ColumnElement[Any]]:
    """Shows a row as it is stored."""
    return list(rows.c)


def matches(rows: FromClause) -> ColumnElement[bool]:
    """True in SQL for rows of which no version is demanded, or the one that they have."""
    return or_(_IF_MATCH.is_(None), rows.c.version == any_(_IF_MATCH))


def owned(rows: FromClause) -> ColumnElement[bool]:
    """True in SQL for the rows (which have a user_id) that the caller may see."""
    return and_(rows.c.user_id == USER_ID, is_live())


def owner_of_email() -> CTE:
    """The account that has an email, which is a parameter: its id as user_id, or no row.

    A step of its own, since emails do not lie with their accounts where tables are spread: a join
    of the tables themselves is refused there.
    """
    return (
        select(_emails.c.user_id)
        .where(_emails.c.email == bindparam("email", type_=Text))
        .cte("whose")
        .prefix_with("MATERIALIZED")
    )


def own_account(accounts: FromClause) -> ColumnElement[bool]:
    """True in SQL for the caller's own row of users."""
    return and_(accounts.c.id == USER_ID, is_live())


def locked_account(totals: Iterable[str] = ()) -> CTE:
    """The caller's account as it is now, locked until the statement commits.

    The session is locked too, after the account. Whoever waited for the account sees it as it
    is then: ended, if it was ended meanwhile, which EXISTS would not be asked again.

    Args:
        totals: columns of the account that a write changes.
    """
    accounts = _accounts_with(totals)
    return (
        select(
            accounts.c.id,
            (accounts.c.version + ONE).label("next_version"),
            func.clock_timestamp().label("moment"),
            *(accounts.c[total] for total in totals),
        )
        .join(_sessions, _sessions.c.user_id == accounts.c.id)
        .where(accounts.c.id == USER_ID, _is_live_session())
        .with_for_update(of=[accounts, _sessions], key_share=True)
        .cte("account")
    )


@contextmanager
def locked(caller: Caller) -> Iterator[None]:
    """A transaction that has the caller's account to itself, for a write that depends on many rows.

    Each of its statements sees them as they are: a single one, which waits for the account, would
    see rows that it neither locks nor writes as they were before it waited.

    Raises:
        TokenInvalid: the caller's session is over.
    """
    with database.transaction():
        if database.row(_LOCK, **scope(caller)) is None:
            raise TokenInvalid
        yield


def bump(account: CTE, written: CTE, change: Mapping[str, ColumnElement[int]]) -> CTE:
    """Give the account its next change number and its new totals, if something was written.

    They follow from the locked account. The row of users itself is first read as it was when
    the statement began, and constraints are checked on it before PostgreSQL reads it again.

    Args:
        account: what `locked_account` gave.
        written: rows that were written, which have a user_id; one, or all of one account.
        change: how much is added to each total.
    """
    accounts = _accounts_with(change)
    totals = {total: account.c[total] + delta for total, delta in change.items()}
    return (
        update(accounts)
        .values({"version": account.c.next_version, **totals})
        .where(accounts.c.id == account.c.id, accounts.c.id == USER_ID)
        .where(account.c.id == written.c.user_id)
        .cte("bump")
    )


def _accounts_with(totals: Iterable[str]) -> TableClause:
    return table("users", *(column(name, BigInteger) for name in ("id", "version", *totals)))


_LOCK = Statement(select(locked_account()), writes=True)
