"""Ownership by construction: the one place where a statement learns whose it is.

Features build their statements from these parts. Each carries the caller and asks, in the same
round trip, whether the caller's session lives: without one it finds nothing and changes nothing. A
write locks the account first, so that writes to one account follow each other, and takes the
account's next change number only when it does something, so that the numbers have no gap. Each
table that is read or changed is compared with the caller's id itself, though a join would say the
same: where tables are cut by account, the database then knows the part before it looks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, NoReturn

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Table,
    all_,
    and_,
    any_,
    bindparam,
    column,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    table,
    true,
    union_all,
    update,
)

from taskapi.core import database
from taskapi.core.database import Statement
from taskapi.core.errors import Forbidden, NotFound, PreconditionFailed, TokenInvalid
from taskapi.core.identity import Caller
from taskapi.core.pagination import Sort
from taskapi.core.preconditions import entity_tag

Counts = Mapping[str, Callable[[FromClause], ColumnElement[int]]]

_events = logging.getLogger("taskapi.event")

# What a scope needs to know of the tables that the accounts' feature owns.
_accounts = table("users", column("id", BigInteger), column("version", BigInteger))
_sessions = table(
    "sessions",
    column("user_id", BigInteger),
    column("id", BigInteger),
    column("revoked_at"),
    column("expires_at"),
)
ONE = literal_column("1", BigInteger)
"""Part of the statement's text: a number of Python's would be one more parameter to send."""

_USER_ID = bindparam("caller_user_id", type_=BigInteger)
_SESSION_ID = bindparam("caller_session_id", type_=BigInteger)
_ID = bindparam("id", type_=BigInteger)
_LIMIT = bindparam("limit", type_=BigInteger)
_KNOWN = bindparam("known", type_=ARRAY(BigInteger))
_IF_MATCH = bindparam("if_match", type_=ARRAY(BigInteger))


def scope(caller: Caller) -> dict[str, int]:
    """The parameters that every scoped statement takes."""
    return {"caller_user_id": caller.user_id, "caller_session_id": caller.session_id}


def is_live() -> ColumnElement[bool]:
    """True in SQL while the caller's session has neither ended nor expired."""
    return exists().where(_is_live_session())


def _is_live_session() -> ColumnElement[bool]:
    return and_(
        _sessions.c.user_id == _USER_ID,
        _sessions.c.id == _SESSION_ID,
        _sessions.c.revoked_at.is_(None),
        _sessions.c.expires_at > func.now(),
    )


def owned(rows: FromClause) -> ColumnElement[bool]:
    """True in SQL for the rows (which have a user_id) that the caller may see."""
    return and_(rows.c.user_id == _USER_ID, is_live())


def own_account(accounts: FromClause) -> ColumnElement[bool]:
    """True in SQL for the caller's own row of users."""
    return and_(accounts.c.id == _USER_ID, is_live())


def owned_page(  # noqa: PLR0913 - a page has that many sides
    rows: Table,
    sort: Sort,
    *,
    is_descending: bool,
    resumes: bool,
    total: ColumnElement[int],
    parts: Sequence[ColumnElement[bool]] = (true(),),
) -> Statement:
    """A page of the caller's rows, with their account's version and a total, in one statement.

    Each row of the result begins with the version and the total; a page without rows has one row,
    whose other columns are null. Of an account whose version is among `known`, or when that is
    null, no row is read.

    Args:
        resumes: whether the page goes on from a place, which are then parameters.
        total: of the whole list, as an expression over users.
        parts: conditions of which a row meets exactly one. Each part is read in order through an
            index that begins with its condition, and the parts are merged.
    """
    pages = []
    for part in parts:
        page = select(*rows.c).where(rows.c.user_id == _USER_ID, part)
        if resumes:
            page = page.where(sort.resumes(rows, is_descending=is_descending))
        page = page.order_by(*sort.order(rows, is_descending=is_descending)).limit(_LIMIT)
        pages.append(page)
    merged = (union_all(*pages) if len(pages) > 1 else pages[0]).subquery("merged")
    gated = (
        select(*merged.c)
        .where(_accounts.c.version != all_(_KNOWN))
        .order_by(*sort.order(merged, is_descending=is_descending))
        .limit(_LIMIT)
        .lateral("page")
    )
    return Statement(
        select(_accounts.c.version.label("account_version"), total.label("total"), *gated.c)
        .select_from(_accounts.outerjoin(gated, true()))
        .where(own_account(_accounts))
        .order_by(*sort.order(gated, is_descending=is_descending))
    )


class OwnedTable:
    """The statements on a table whose rows belong to accounts.

    Its columns include user_id, id, version, created_at and updated_at.

    Args:
        rows: the table.
        noun: what one row is called in messages: `task`.
        counts: for columns of the account that keep totals, how much a row adds to each.
    """

    def __init__(self, rows: Table, noun: str, counts: Counts) -> None:
        self._rows = rows
        self._noun = noun
        self._counts = counts
        names = ("id", "version", *counts)
        self._accounts = table("users", *(column(name, BigInteger) for name in names))

    def get(self, caller: Caller, row_id: int) -> dict[str, Any]:
        """One row of the caller's.

        Raises:
            TokenInvalid, Forbidden, NotFound: see `_refuse`.
        """
        found = database.row(self._get, id=row_id, **scope(caller))
        return found or self._refuse(caller, row_id, "access")

    def create(self, caller: Caller, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add a row with these values; the others take their defaults.

        Raises:
            TokenInvalid: the caller's session is over.
        """
        statement = self._create(tuple(sorted(values)))
        created = database.row(statement, **_values(values), **scope(caller))
        if created is None:
            raise TokenInvalid
        return created

    def update(
        self,
        caller: Caller,
        row_id: int,
        values: Mapping[str, Any],
        if_match: list[int] | None = None,
    ) -> dict[str, Any]:
        """Set these values; without any, the row stays as it is and keeps its version.

        Args:
            if_match: versions of which the row must have one; None demands nothing.

        Raises:
            TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `_refuse`.
        """
        parameters = {"id": row_id, "if_match": if_match, **scope(caller)}
        statement = self._update(tuple(sorted(values))) if values else self._get_matching
        updated = database.row(statement, **_values(values), **parameters)
        return updated or self._refuse(
            caller, row_id, "update", has_precondition=if_match is not None
        )

    def delete(self, caller: Caller, row_id: int, if_match: list[int] | None = None) -> None:
        """Remove a row.

        Raises:
            TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `_refuse`.
        """
        parameters = {"id": row_id, "if_match": if_match, **scope(caller)}
        if database.row(self._delete, **parameters) is None:
            self._refuse(caller, row_id, "delete", has_precondition=if_match is not None)

    def _refuse(
        self, caller: Caller, row_id: int, verb: str, *, has_precondition: bool = False
    ) -> NoReturn:
        """Say why a statement found nothing to work on.

        Raises:
            TokenInvalid: the caller's session is over.
            PreconditionFailed: the row is the caller's and has another version.
            Forbidden: the row is somebody else's.
            NotFound: there is no such row.
        """
        found = database.row(self._diagnosis, id=row_id, **scope(caller)) or {}
        if not found.pop("session_is_live"):
            raise TokenInvalid
        is_elsewhere = found.pop("is_elsewhere")
        if found["id"] is not None and has_precondition:
            tag = entity_tag(found["version"])
            raise PreconditionFailed(headers={"ETag": tag}, members={self._noun: found})
        if is_elsewhere:
            extra = {"user_id": caller.user_id, f"{self._noun}_id": row_id, "verb": verb}
            _events.warning("refused", extra=extra)
            raise Forbidden(f"Not authorized to {verb} this {self._noun}")
        raise NotFound(f"{self._noun.capitalize()} not found")

    @cached_property
    def _get(self) -> Statement:
        return Statement(select(*self._rows.c).where(owned(self._rows), self._rows.c.id == _ID))

    @cached_property
    def _get_matching(self) -> Statement:
        mine = (owned(self._rows), self._rows.c.id == _ID, self._matches)
        return Statement(select(*self._rows.c).where(*mine))

    @property
    def _matches(self) -> ColumnElement[bool]:
        return or_(_IF_MATCH.is_(None), self._rows.c.version == any_(_IF_MATCH))

    @lru_cache  # noqa: B019 - there is one such object a table, as long as the process
    def _create(self, names: tuple[str, ...]) -> Statement:
        account = self._locked_account
        values = [self._value(name) for name in names]
        moment = account.c.moment
        account_columns = (account.c.id, account.c.next_version, moment, moment)
        after = (
            insert(self._rows)
            .from_select(
                ["user_id", "version", "created_at", "updated_at", *names],
                select(*account_columns, *values),
                include_defaults=False,
            )
            .returning(*self._rows.c)
            .cte("after")
        )
        return Statement(self._and_count(account, after, self._weights(after)), writes=True)

    @lru_cache  # noqa: B019 - there is one such object a table, as long as the process
    def _update(self, names: tuple[str, ...]) -> Statement:
        account = self._locked_account
        before = (
            select(*self._rows.c)
            .join(account, self._rows.c.user_id == account.c.id)
            .where(self._rows.c.user_id == _USER_ID, self._rows.c.id == _ID, self._matches)
            .with_for_update(of=self._rows, key_share=True)
            .cte("before")
        )
        values = {name: self._value(name) for name in names}
        after = (
            update(self._rows)
            .values(**values, version=account.c.next_version, updated_at=account.c.moment)
            .where(
                self._rows.c.user_id == account.c.id,
                self._rows.c.user_id == _USER_ID,
                self._rows.c.id == before.c.id,
            )
            .returning(*self._rows.c)
            .cte("after")
        )
        gained, lost = self._weights(after), self._weights(before)
        change = {total: gained[total] - lost[total] for total in gained}
        return Statement(self._and_count(account, after, change), writes=True)

    @cached_property
    def _delete(self) -> Statement:
        account = self._locked_account
        gone = (
            delete(self._rows)
            .where(
                self._rows.c.user_id == account.c.id,
                self._rows.c.user_id == _USER_ID,
                self._rows.c.id == _ID,
                self._matches,
            )
            .returning(*self._rows.c)
            .cte("gone")
        )
        change = {total: -weight for total, weight in self._weights(gone).items()}
        return Statement(self._and_count(account, gone, change), writes=True)

    def _value(self, name: str) -> ColumnElement[Any]:
        return bindparam(f"value_{name}", type_=self._rows.c[name].type)

    def _weights(self, rows: FromClause) -> dict[str, ColumnElement[int]]:
        return {total: weight(rows) for total, weight in self._counts.items()}

    @property
    def _locked_account(self) -> CTE:
        """The caller's account as it is now, locked until the statement commits.

        The session is locked too, after the account. Whoever waited for the account sees it as it
        is then: ended, if it was ended meanwhile, which EXISTS would not be asked again.
        """
        accounts = self._accounts
        return (
            select(
                accounts.c.id,
                (accounts.c.version + ONE).label("next_version"),
                func.clock_timestamp().label("moment"),
                *(accounts.c[total] for total in self._counts),
            )
            .join(_sessions, _sessions.c.user_id == accounts.c.id)
            .where(accounts.c.id == _USER_ID, _is_live_session())
            .with_for_update(of=[accounts, _sessions], key_share=True)
            .cte("account")
        )

    def _and_count(
        self, account: CTE, written: CTE, change: Mapping[str, ColumnElement[int]]
    ) -> Select[Any]:
        """The written row, while its account takes the change number and the new totals.

        They follow from the locked account. The row of users itself is first read as it was when
        the statement began, and constraints are checked on it before PostgreSQL reads it again.
        """
        totals = {total: account.c[total] + delta for total, delta in change.items()}
        bump = (
            update(self._accounts)
            .values({"version": account.c.next_version, **totals})
            .where(
                self._accounts.c.id == account.c.id,
                self._accounts.c.id == _USER_ID,
                account.c.id == written.c.user_id,
            )
        )
        return select(*written.c).add_cte(bump.cte("bump"))

    @cached_property
    def _diagnosis(self) -> Statement:
        mine = select(*self._rows.c).where(self._rows.c.user_id == _USER_ID, self._rows.c.id == _ID)
        everyones = self._rows.alias()
        is_elsewhere = exists().where(everyones.c.id == _ID)
        asked = select(is_live().label("session_is_live"), is_elsewhere.label("is_elsewhere"))
        left, right = asked.subquery("asked"), mine.subquery("mine")
        return Statement(select(left, right).select_from(left.outerjoin(right, true())))


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"value_{name}": value for name, value in values.items()}
