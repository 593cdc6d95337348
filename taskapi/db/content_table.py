"""The usual statements on a table whose rows belong to accounts, built from `core.ownership`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Any, NoReturn

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Table,
    all_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    union_all,
    update,
)

from taskapi.db import database
from taskapi.db.pages import Reading
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ACCOUNTS,
    ID,
    USER_ID,
    Counts,
    Shown,
    bump,
    every_column,
    is_live,
    locked_account,
    matches,
    own_account,
    owned,
    scope,
)
from taskapi.identity import Caller
from taskapi.problems import (
    Forbidden,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    Problem,
    TokenInvalid,
)

Values = Mapping[str, ColumnElement[Any]]

_LIMIT = bindparam("limit", type_=BigInteger)
_KNOWN = bindparam("known", type_=ARRAY(BigInteger))

_events = logging.getLogger("taskapi.event")


class OwnedTable:
    """The statements on a table whose rows belong to accounts.

    Its columns include user_id, id, version, created_at and updated_at; for pages the first two do.

    Args:
        rows: the table.
        noun: what one row is called in messages: `task`.
        counts: for columns of the account that keep totals, how much a row adds to each.
        shown: what a row shows.
        references: by the name of a foreign key, the field that refers and what it refers to.
    """

    def __init__(
        self,
        rows: Table,
        noun: str,
        *,
        counts: Counts | None = None,
        shown: Shown = every_column,
        references: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self._rows = rows
        self._noun = noun
        self._counts = counts or {}
        self._shown = shown
        self._references = references or {}
        # One statement for each set of columns that is written.
        self._create = cache(self._new_create)
        self._update = cache(self._new_update)

    def derived(
        self, values: Values, before: FromClause | None, moment: ColumnElement[datetime]
    ) -> Values:
        """What other columns follow from the values that are written.

        Args:
            before: the row as it was; None when there was none.
        """
        return {}

    def alone(self, values: Values, before: FromClause) -> Sequence[ColumnElement[bool]]:
        """When a change of values concerns no other row: see `update_alone`."""
        return ()

    def get(self, caller: Caller, row_id: int) -> dict[str, Any]:
        """One row of the caller's.

        Raises:
            TokenInvalid, Forbidden, NotFound: see `refuse`.
        """
        found = database.row(self._get, id=row_id, **scope(caller))
        return found or self.refuse(caller, row_id, "access")

    def demand(
        self, caller: Caller, row_id: int, verb: str, if_match: list[int] | None
    ) -> dict[str, Any]:
        """One row of the caller's, with which something is to be done.

        Raises:
            TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `refuse`.
        """
        parameters = {"id": row_id, "if_match": if_match, **scope(caller)}
        found = database.row(self._get_matching, **parameters)
        return found or self.refuse(caller, row_id, verb, if_match)

    def create(self, caller: Caller, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add a row with these values; the others take their defaults.

        Raises:
            TokenInvalid: the caller's session is over.
            InvalidInput: a value refers to what the caller does not have.
        """
        statement = self._create(tuple(sorted(values)))
        created = self.write(statement, **_values(values), **scope(caller))
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
            TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `refuse`.
            InvalidInput: a value refers to what the caller does not have.
        """
        if not values:
            return self.demand(caller, row_id, "update", if_match)
        parameters = {"id": row_id, "if_match": if_match, **scope(caller)}
        statement = self._update(tuple(sorted(values)))
        updated = self.write(statement, **_values(values), **parameters)
        return updated or self.refuse(caller, row_id, "update", if_match)

    def update_alone(
        self,
        caller: Caller,
        row_id: int,
        values: Mapping[str, Any],
        if_match: list[int] | None = None,
    ) -> dict[str, Any] | None:
        """As `update`, if the change concerns no other row; else nothing is changed, and None.

        None is also for what `refuse` has the reason of.

        Raises:
            InvalidInput: a value refers to what the caller does not have.
        """
        if not values:
            return self.demand(caller, row_id, "update", if_match)
        parameters = {"id": row_id, "if_match": if_match, **scope(caller)}
        statement = self._update(tuple(sorted(values)), is_alone=True)
        return self.write(statement, **_values(values), **parameters)

    def delete(self, caller: Caller, row_id: int, if_match: list[int] | None = None) -> None:
        """Remove a row.

        Raises:
            TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `refuse`.
        """
        parameters = {"id": row_id, "if_match": if_match, **scope(caller)}
        if database.row(self._delete, **parameters) is None:
            self.refuse(caller, row_id, "delete", if_match)

    def write(self, statement: Statement, **parameters: Any) -> dict[str, Any] | None:
        """The first row that a statement of this table's gives.

        Raises:
            InvalidInput: a value refers to what the caller does not have.
        """
        try:
            return database.row(statement, **parameters)
        except database.ReferenceMissing as missing:
            if missing.constraint not in self._references:
                raise
            field, noun = self._references[missing.constraint]
            message = f"You have no {noun} with this id."
            raise InvalidInput.at(f"/{field}", message, "unknown_reference") from None

    def refuse(
        self,
        caller: Caller,
        row_id: int,
        verb: str,
        if_match: list[int] | None = None,
        otherwise: Problem | None = None,
    ) -> NoReturn:
        """Say why a statement found nothing to work on.

        Args:
            verb: what was to be done with the row.
            otherwise: what stands in the way of it when nothing else does.

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
        is_own = found["id"] is not None
        if is_own and otherwise and (if_match is None or found["version"] in if_match):
            raise otherwise
        if is_own and if_match is not None:
            tag = f'"{found["version"]}"'
            raise PreconditionFailed(headers={"ETag": tag}, members={self._noun: found})
        if is_elsewhere:
            extra = {"user_id": caller.user_id, f"{self._noun}_id": row_id, "verb": verb}
            _events.warning("refused", extra=extra)
            raise Forbidden(f"Not authorized to {verb} this {self._noun}")
        raise NotFound(f"{self._noun.capitalize()} not found")

    def page(
        self,
        reading: Reading,
        *,
        parts: Sequence[ColumnElement[bool]] = (true(),),
        total: ColumnElement[int] | None = None,
        missing: ColumnElement[int] | None = None,
    ) -> Statement:
        """A page of the caller's rows, with their account's version and a total, in one statement.

        Each row of the result begins with the version and the total; a page without rows has one
        row, whose other columns are null. Of an account whose version is among `known`, or when
        that is null, no row is read.

        Args:
            parts: conditions of which a row meets exactly one. Each part is read in order through
                an index that begins with its condition, and the parts are merged.
            total: of the whole list, as an expression over users; None to count it.
            missing: of conditions of which there are many, what in them the caller does not have,
                as an expression over users; it follows the total.
        """
        if total is None:
            total = select(func.count()).where(owned(self._rows), or_(*parts)).scalar_subquery()
        leading = [ACCOUNTS.c.version.label("account_version"), total.label("total")]
        leading += [] if missing is None else [missing.label("missing")]
        pages = [
            select(*self._rows.c)
            .where(self._rows.c.user_id == USER_ID, part, reading.is_behind(self._rows))
            .order_by(*reading.order(self._rows))
            .limit(_LIMIT)
            for part in parts
        ]
        merged = (union_all(*pages) if len(pages) > 1 else pages[0]).subquery("merged")
        gated = (
            select(*merged.c)
            .where(ACCOUNTS.c.version != all_(_KNOWN))
            .order_by(*reading.order(merged))
            .limit(_LIMIT)
            .lateral("page")
        )
        return Statement(
            select(*leading, *self._shown(gated))
            .select_from(ACCOUNTS.outerjoin(gated, true()))
            .where(own_account(ACCOUNTS))
            .order_by(*reading.order(gated)),
            is_one_of_many=missing is not None,
        )

    @cached_property
    def _get(self) -> Statement:
        mine = (owned(self._rows), self._rows.c.id == ID)
        return Statement(select(*self._shown(self._rows)).where(*mine))

    @cached_property
    def _get_matching(self) -> Statement:
        mine = (owned(self._rows), self._rows.c.id == ID, matches(self._rows))
        return Statement(select(*self._shown(self._rows)).where(*mine))

    def _new_create(self, names: tuple[str, ...]) -> Statement:
        account = locked_account(self._counts)
        moment = account.c.moment
        values = {name: self._value(name) for name in names}
        values |= self.derived(values, None, moment)
        account_columns = (account.c.id, account.c.next_version, moment, moment)
        after = (
            insert(self._rows)
            .from_select(
                ["user_id", "version", "created_at", "updated_at", *values],
                select(*account_columns, *values.values()),
                include_defaults=False,
            )
            .returning(*self._rows.c)
            .cte("after")
        )
        counted = bump(account, after, self._weights(after))
        return Statement(select(*self._shown(after)).add_cte(counted), writes=True)

    def _new_update(self, names: tuple[str, ...], *, is_alone: bool = False) -> Statement:
        account = locked_account(self._counts)
        values = {name: self._value(name) for name in names}
        conditions = self.alone(values, self._rows) if is_alone else ()
        before = (
            select(*self._rows.c)
            .join(account, self._rows.c.user_id == account.c.id)
            .where(self._rows.c.user_id == USER_ID, self._rows.c.id == ID, matches(self._rows))
            .where(*conditions)
            .with_for_update(of=self._rows, key_share=True)
            .cte("before")
        )
        values |= self.derived(values, before, account.c.moment)
        after = (
            update(self._rows)
            .values(**values, version=account.c.next_version, updated_at=account.c.moment)
            .where(
                self._rows.c.user_id == account.c.id,
                self._rows.c.user_id == USER_ID,
                self._rows.c.id == before.c.id,
            )
            .returning(*self._rows.c)
            .cte("after")
        )
        gained, lost = self._weights(after), self._weights(before)
        counted = bump(account, after, {total: gained[total] - lost[total] for total in gained})
        return Statement(select(*self._shown(after)).add_cte(counted), writes=True)

    @cached_property
    def _delete(self) -> Statement:
        account = locked_account(self._counts)
        gone = (
            delete(self._rows)
            .where(
                self._rows.c.user_id == account.c.id,
                self._rows.c.user_id == USER_ID,
                self._rows.c.id == ID,
                matches(self._rows),
            )
            .returning(*self._rows.c)
            .cte("gone")
        )
        counted = bump(account, gone, {total: -n for total, n in self._weights(gone).items()})
        return Statement(select(gone.c.id).add_cte(counted), writes=True)

    def _value(self, name: str) -> ColumnElement[Any]:
        return bindparam(f"value_{name}", type_=self._rows.c[name].type)

    def _weights(self, rows: FromClause) -> dict[str, ColumnElement[int]]:
        return {total: weight(rows) for total, weight in self._counts.items()}

    @cached_property
    def _diagnosis(self) -> Statement:
        mine = select(*self._shown(self._rows)).where(
            self._rows.c.user_id == USER_ID, self._rows.c.id == ID
        )
        everyones = self._rows.alias()
        is_elsewhere = exists().where(everyones.c.id == ID)
        asked = select(is_live().label("session_is_live"), is_elsewhere.label("is_elsewhere"))
        left, right = asked.subquery("asked"), mine.subquery("mine")
        return Statement(select(left, right).select_from(left.outerjoin(right, true())))


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"value_{name}": value for name, value in values.items()}
