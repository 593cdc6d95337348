"""The use cases of a table of content. The first argument is the caller; the result is rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Generic, NoReturn, TypeVar, cast

from taskapi.db import database
from taskapi.db.constraints import ReferenceMissing
from taskapi.db.content_sql import ContentStatements, Values
from taskapi.db.quotas import exceeded, limits
from taskapi.db.rows import row_class
from taskapi.db.sharding import is_sharded
from taskapi.db.statement import Statement
from taskapi.db.tenancy import USAGE, is_match, scope
from taskapi.extensions import Base
from taskapi.identity import Caller
from taskapi.problems import (
    Forbidden,
    InsufficientRole,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    Problem,
    SessionEnded,
)
from taskapi.runtime.connection import Row

M = TypeVar("M", bound=Base)

_events = logging.getLogger("taskapi.event")


class ContentTable(Generic[M]):
    """A table whose rows belong to workspaces.

    Rows are named tuples with the columns' values. They are typed as the model, since they have its
    attributes, but no session tracks them. For rows below another, the methods on one row also take
    its ID, by the name of its column.

    Args:
        model: the table.
        noun: the name of a row in messages: `task`.
        statements: the SQL, if it is not the default.
        references: by the name of a foreign key, the field and the noun of its target.
    """

    def __init__(
        self,
        model: type[M],
        noun: str,
        statements: ContentStatements | None = None,
        references: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self._noun = noun
        self.sql = statements or ContentStatements(model)
        self.page = self.sql.page
        self._references = references or {}
        columns = [column.name for column in self.sql.table.c]
        self._row_class = row_class(model.__name__, columns)

    def row(self, values: Sequence[Any]) -> M:
        """A row from the values of all columns, in the table's order."""
        return cast("M", self._row_class._make(values))

    def get(self, caller: Caller, row_id: int, **parent: Any) -> M:
        """One row of the workspace.

        Raises:
            SessionEnded, Forbidden, NotFound: see `raise_for_missing`.
        """
        rows = database.rows(self.sql.get, id=row_id, **parent, **scope(caller))
        return (
            self.row(rows[0])
            if rows
            else self.raise_for_missing(caller, row_id, "access", **parent)
        )

    def require(
        self, caller: Caller, row_id: int, verb: str, if_match: list[int] | None, **parent: Any
    ) -> M:
        """One row of the workspace that is about to be changed.

        Raises:
            SessionEnded, Forbidden, NotFound, PreconditionFailed: see `raise_for_missing`.
        """
        parameters = {"id": row_id, "if_match": if_match, **parent, **scope(caller)}
        rows = database.rows(self.sql.get_matching, **parameters)
        return (
            self.row(rows[0])
            if rows
            else self.raise_for_missing(caller, row_id, verb, if_match, **parent)
        )

    def create(self, caller: Caller, values: Values) -> M:
        """Add a row with these values; other columns take their defaults.

        Raises:
            SessionEnded: the caller's session has ended.
            QuotaExceeded: as it says.
            InvalidInput: a value references what the workspace does not have.
        """
        parameters = {**self.sql.parameters(caller, values), **limits(), **scope(caller)}
        if is_sharded():
            return self._create_sharded(caller, parameters)
        return self.write(self.sql.create, **parameters) or self._raise_for_quota(caller)

    def update(
        self,
        caller: Caller,
        row_id: int,
        values: Values,
        if_match: list[int] | None = None,
        **parent: Any,
    ) -> M:
        """Set these values. Without values, the row does not change and keeps its version.

        Args:
            if_match: versions of which the row must have one; None stands for any. See also
                `tenancy.all_versions_except`.

        Raises:
            SessionEnded, Forbidden, NotFound, PreconditionFailed: see `raise_for_missing`.
            InvalidInput: a value references what the workspace does not have.
        """
        if not values:
            return self.require(caller, row_id, "update", if_match, **parent)
        is_simple = values.keys() <= set(self.sql.simple_columns)
        statement = self.sql.update_simple if is_simple else self.sql.update
        updated = self._updated(statement, caller, row_id, values, if_match, **parent)
        return updated or self.raise_for_missing(
            caller, row_id, "update", if_match, self._growth_problem(), **parent
        )

    def update_standalone(
        self, caller: Caller, row_id: int, values: Values, if_match: list[int] | None = None
    ) -> M | None:
        """As `update` if the change affects no other row. Otherwise nothing changes.

        Returns:
            None if it affects others, and also if the row is missing, foreign or stale.

        Raises:
            InvalidInput: a value references what the workspace does not have.
        """
        return self._updated(self.sql.update_standalone, caller, row_id, values, if_match)

    def delete(
        self, caller: Caller, row_id: int, if_match: list[int] | None = None, **parent: Any
    ) -> None:
        """Delete a row.

        Raises:
            SessionEnded, Forbidden, NotFound, PreconditionFailed: see `raise_for_missing`.
        """
        if not self.delete_simple(caller, row_id, if_match, **parent):
            self.raise_for_missing(caller, row_id, "delete", if_match, **parent)

    def delete_simple(
        self, caller: Caller, row_id: int, if_match: list[int] | None, **parent: Any
    ) -> bool:
        """Delete a row by a single statement, and return whether that was possible.

        It is not if the row is missing, foreign or stale, or not `ContentStatements.deletable`.
        """
        parameters = {"id": row_id, "if_match": if_match, **parent, **scope(caller)}
        return bool(database.rows(self.sql.delete, **parameters))

    def write(self, statement: Statement, **parameters: Any) -> M | None:
        """The first row that a write of this table returns.

        Raises:
            InvalidInput: a value references what the workspace does not have.
        """
        rows = self.checked(statement, **parameters)
        return self.row(rows[0]) if rows else None

    def checked(self, statement: Statement, **parameters: Any) -> list[Row]:
        """The result of a write to this table.

        Raises:
            InvalidInput: a value references what the workspace does not have.
        """
        try:
            return database.rows(statement, **parameters)
        except ReferenceMissing as missing:
            if missing.constraint not in self._references:
                raise
            field, noun = self._references[missing.constraint]
            name = f"{noun} {missing.row_id}" if missing.row_id else noun
            message = f"{name.capitalize()} not found."
            raise InvalidInput.at(f"/{field}", message, "unknown_reference") from None

    def raise_for_missing(
        self,
        caller: Caller,
        row_id: int,
        verb: str,
        if_match: list[int] | None = None,
        otherwise: Problem | None = None,
        **parent: Any,
    ) -> NoReturn:
        """Report why a statement found no row to work on.

        Args:
            verb: what the statement was to do.
            otherwise: the problem to raise if there is no other reason.

        Raises:
            SessionEnded: the caller's session has ended.
            InsufficientRole: the caller's role does not allow it.
            PreconditionFailed: the row has another version.
            Forbidden: the row belongs to another workspace, the caller is no member, or `forbids`
                says so.
            NotFound: the row does not exist.
        """
        is_live, is_allowed, is_elsewhere, *values = database.rows(
            self.sql.diagnosis, id=row_id, **parent, **scope(caller)
        )[0]
        if not is_live:
            raise SessionEnded
        if is_allowed is False:  # not None: strangers do not learn who is a member
            raise InsufficientRole
        row: Any = self.row(values)
        if row.id is not None:
            if forbidden := self.forbids(caller, row, verb):
                self._log_refusal(caller, row_id, verb)
                raise forbidden
            if otherwise and is_match(row.version, if_match):
                raise otherwise
            if if_match is not None:
                raise PreconditionFailed(noun=self._noun, find=lambda: row)
        if is_elsewhere:
            self._log_refusal(caller, row_id, verb)
            raise Forbidden(f"Not authorized to {verb} this {self._noun}")
        raise NotFound(f"{self._noun.capitalize()} not found")

    def _log_refusal(self, caller: Caller, row_id: int, verb: str) -> None:
        extra = {"user_id": caller.user_id, f"{self._noun}_id": row_id, "verb": verb}
        _events.warning("refused", extra=extra)

    def _create_sharded(self, caller: Caller, parameters: Mapping[str, Any]) -> M:
        sql = self.sql.sharded_create
        with database.transaction():
            workspace = database.row(sql.lock, **parameters)
            if workspace is None:
                self._raise_for_quota(caller)
            created: Any = self.write(sql.insert, **parameters, **workspace)
            for statement in sql.dependent:
                database.rows(statement, **parameters, id=created.id)
        return cast("M", created)

    def forbids(self, caller: Caller, row: M, verb: str) -> Forbidden | None:
        """The reason why the caller must not do this to a row of the workspace, for subclasses."""
        return None

    def _raise_for_quota(self, caller: Caller) -> NoReturn:
        """Report which quota a new row would exceed.

        Raises:
            SessionEnded: the caller's session has ended.
            QuotaExceeded: as it says.
        """
        used = database.row(USAGE, **scope(caller))
        if used is None:
            raise SessionEnded
        full = [t for t in self.sql.counted_totals if used[t] >= limits()[f"quota_{t}"]]
        raise exceeded(full[0] if full else self.sql.growing_totals[0])

    def _growth_problem(self) -> Problem | None:
        return exceeded(self.sql.growing_totals[0]) if self.sql.growing_totals else None

    def _updated(
        self,
        statement: Statement,
        caller: Caller,
        row_id: int,
        values: Values,
        if_match: list[int] | None,
        **parent: Any,
    ) -> M | None:
        where = {"id": row_id, "if_match": if_match, **parent, **scope(caller)}
        given = self.sql.given(values)
        parameters = self.sql.parameters(caller, values)
        return self.write(statement, given=given, **parameters, **limits(), **where)
