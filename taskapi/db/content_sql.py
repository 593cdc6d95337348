"""The SQL of a table of content, built from `db.tenancy`.

A table has a fixed number of statements, independent of the fields in a request: one insert, one
update, one deletion. Each column has a parameter. A bit of the parameter `given` specifies whether
an update sets the column.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    insert,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.types import TypeEngine

from taskapi.db.creation import LOCKED_WORKSPACE, Calculated, ShardedCreate, inserted
from taskapi.db.page_sql import number_of_rows, page_statement
from taskapi.db.pages import Ordering
from taskapi.db.quotas import TOTALS, limit_of
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ID,
    USER_ID,
    WORKSPACE_ID,
    Counts,
    SqlRow,
    counted_workspace,
    has_live_session,
    increment_version,
    locked_workspace,
    role_allows,
    version_matches,
    visible,
)
from taskapi.extensions import Base, table_of
from taskapi.identity import Caller

Values = Mapping[str, Any]
"""Values of columns by their names."""

Moment = ColumnElement[datetime]

_GIVEN = bindparam("given", type_=BigInteger)
_ZERO = literal_column("0", BigInteger)

_READ_ONLY = ("workspace_id", "id", "user_id", "version", "created_at", "updated_at")


class ContentStatements:
    """The statements on a table whose rows belong to workspaces.

    Args:
        model: the table, with the columns of `workspaces.models.Content`.
        counts: for columns of the workspace that store totals, how much a row adds to each.
    """

    def __init__(self, model: type[Base], counts: Counts | None = None) -> None:
        self.table = table_of(model)
        self._counts = counts or {}
        read_only = {*_READ_ONLY, *self.maintained_columns}
        self._writable = [c for c in self.table.c if c.name not in read_only]
        self._bits = {column.name: 1 << n for n, column in enumerate(self._writable)}
        self._defaults = {f"value_{c.name}": _default(c) for c in self._writable}

    # The following members are for subclasses to override.

    parent: str | None = None
    """For rows below another, the column of its ID. It is a parameter of all statements on one row.

    A row below another parent does not exist for them.
    """

    maintained_columns: Collection[str] = ()
    """Columns that only other statements write. They have a default in SQL."""

    growing_totals: Sequence[str] = ()
    """Totals with a quota that an update can increase."""

    previous_columns: Sequence[str] = ()
    """Columns of which totals and `dependent_writes` need the value before an update."""

    simple_columns: Collection[str] = ()
    """Columns that are often updated without others, for which there is a shorter statement."""

    def assignment(self, column: Column[Any], before: SqlRow, moment: Moment) -> Any:
        """The value of a column in an update: its parameter if that is given."""
        name = column.name
        return case((self.is_given(name), self.value(name)), else_=before.c[name])

    def initial(self, column: Column[Any], moment: Moment) -> Any:
        """The value of a column in an insert: its parameter."""
        return self.value(column.name)

    def changeable(self, rows: SqlRow) -> Sequence[ColumnElement[bool]]:
        """Conditions under which the caller can update a row of the workspace."""
        return ()

    def deletable(self, rows: SqlRow) -> Sequence[ColumnElement[bool]]:
        """Conditions under which a single statement can delete a row of the workspace."""
        return ()

    def removed(self, gone: CTE) -> Mapping[str, ColumnElement[int]]:
        """How much the deletion of a row changes each of `deleted_totals`."""
        return {total: -weight for total, weight in self._weights(gone).items()}

    @property
    def deleted_totals(self) -> Collection[str]:
        """The totals that a deletion changes."""
        return list(self._counts)

    def standalone(self, before: SqlRow) -> Sequence[ColumnElement[bool]]:
        """Conditions under which an update affects no other row: see `update_standalone`."""
        return ()

    def dependent_writes(self, after: SqlRow | None, before: CTE | None) -> Sequence[CTE]:
        """Writes to other tables that belong to a write of a row.

        They are updates and deletions. `dependent_rows` are inserts.

        Args:
            after: the row after an insert or an update. In an insert, the row may have no ID yet.
            before: the row before an update or a deletion. In an update, both have the ID and
                `previous_columns`.
        """
        return ()

    def dependent_rows(self, after: SqlRow) -> Mapping[Table, Mapping[str, ColumnElement[Any]]]:
        """Rows of other tables that belong to a new row, as values of columns."""
        return {}

    def page_columns(self) -> Sequence[ColumnElement[Any]]:
        """The columns of the rows of a page, with the names of the table's columns."""
        return list(self.table.c)

    def more_parameters(self, caller: Caller, values: Values) -> Values:
        """Parameters of `dependent_writes` for these values."""
        return {}

    @property
    def counted_totals(self) -> list[str]:
        """Totals with a quota that a new row increases by one."""
        return [t for t in self._counts if t in TOTALS and t not in self.growing_totals]

    def requested(self, rows: SqlRow) -> ColumnElement[bool]:
        """An SQL condition: the row has the ID, and the parent if there is one."""
        is_below: ColumnElement[bool] = true()
        if self.parent:
            is_below = rows.c[self.parent] == bindparam(self.parent, type_=BigInteger)
        return and_(rows.c.id == ID, is_below)

    def is_given(self, *names: str) -> ColumnElement[bool]:
        """An SQL condition: whether an update sets any of these columns."""
        mask = sum(self._bits[name] for name in names)
        return _GIVEN.bitwise_and(literal_column(str(mask), BigInteger)) != _ZERO

    def value(self, name: str) -> ColumnElement[Any]:
        """The parameter of a column."""
        return bindparam(f"value_{name}", type_=_parameter_type(self.table.c[name].type))

    def page(
        self,
        ordering: Ordering,
        *,
        parts: Sequence[ColumnElement[bool]] = (true(),),
        total: ColumnElement[int] | None = None,
        missing: ColumnElement[int] | None = None,
    ) -> Statement:
        """A page of the workspace's rows, with its version and a total, in one statement.

        Each row of the result begins with the version and the total; a page without rows has one
        row, whose other columns are null. If the workspace's version is among `known`, or `known`
        is null, no row is read.

        Args:
            parts: conditions of which each row matches exactly one. Each part is read in order from
                an index that begins with its condition, and the parts are merged.
            total: the total of the list, as an expression over workspaces; None to count the rows.
            missing: for filters, the number of the first reference to a row that does not exist,
                as an expression over workspaces. It follows the total.
        """
        total = number_of_rows(self.table, parts) if total is None else total
        totals = [total.label("total"), *([] if missing is None else [missing.label("missing")])]
        return page_statement(self.table, self.page_columns(), ordering, parts, totals)

    @cached_property
    def get(self) -> Statement:
        rows = self.table
        return Statement(select(rows).where(visible(rows), self.requested(rows)))

    @cached_property
    def get_matching(self) -> Statement:
        rows = self.table
        wanted = (self.requested(rows), version_matches(rows), *self.changeable(rows))
        return Statement(select(rows).where(visible(rows), *wanted))

    @cached_property
    def create(self) -> Statement:
        workspace = counted_workspace(self._weights(self._new()))
        values = self.initial_row(workspace)
        after = (
            insert(self.table)
            .from_select(list(values), select(*values.values()), include_defaults=False)
            .returning(*self.table.c)
            .cte("after")
        )
        rows = [
            insert(table)
            .from_select(list(columns), select(*columns.values()))
            .cte(f"new_{table.name}")
            for table, columns in self.dependent_rows(after).items()
        ]
        dependent = (*self.dependent_writes(after, None), *rows)
        return Statement(select(*after.c).add_cte(*dependent), writes=True)

    @cached_property
    def sharded_create(self) -> ShardedCreate:
        growth = self._weights(self._new())
        workspace = locked_workspace(self._counts, growth)
        initial = [value.label(name) for name, value in self.initial_row(workspace).items()]
        counted = increment_version(workspace, None, growth)
        updates = self.dependent_writes(select(*initial).cte("after"), None)
        locked = select(workspace.c.next_version, workspace.c.moment)
        new = Calculated({"workspace_id": WORKSPACE_ID, "id": ID})
        return ShardedCreate(
            Statement(locked.add_cte(counted, *updates), writes=True),
            inserted(self.initial_row(LOCKED_WORKSPACE), *self.table.c),
            [inserted(row, *table.primary_key) for table, row in self.dependent_rows(new).items()],
        )

    def _new(self) -> SqlRow:
        return Calculated({column.name: self.value(column.name) for column in self.table.c})

    def initial_row(self, workspace: SqlRow) -> dict[str, ColumnElement[Any]]:
        """The values of the columns of a new row, in a workspace with its next version."""
        moment = workspace.c.moment
        return {
            "workspace_id": workspace.c.id,
            "user_id": USER_ID,
            "version": workspace.c.next_version,
            "created_at": moment,
            "updated_at": moment.label("updated_at"),
            **{column.name: self.initial(column, moment) for column in self._writable},
        }

    @cached_property
    def update(self) -> Statement:
        return self._new_update(self._bits)

    @cached_property
    def update_simple(self) -> Statement:
        return self._new_update(self.simple_columns)

    @cached_property
    def update_standalone(self) -> Statement:
        return self._new_update(self._bits, standalone=True)

    def _new_update(self, names: Collection[str], *, standalone: bool = False) -> Statement:
        """An update that can set the columns of these names.

        The other writes take what they need to know of the row from `before` and `after`, which
        have few columns, because each column of a common table expression costs time.
        """
        row, workspace = self.table, locked_workspace(self._counts)
        columns = [column for column in self._writable if column.name in names]
        moment = workspace.c.moment
        before = (
            select(row.c.workspace_id, row.c.id, *(row.c[name] for name in self.previous_columns))
            .join(workspace, row.c.workspace_id == workspace.c.id)
            .where(row.c.workspace_id == WORKSPACE_ID, self.requested(row), version_matches(row))
            .where(*self.changeable(row))
            .where(*(self.standalone(row) if standalone else ()))
            .where(*self._within_quotas(workspace, row, self._changed(columns, row, moment)))
            .with_for_update(of=row, key_share=True)
            .cte("before")
        )
        after = self._changed(columns, before, moment)
        written = (
            update(row)
            .values(
                **{column.name: self.assignment(column, row, moment) for column in columns},
                version=workspace.c.next_version,
                updated_at=moment,
            )
            # By the parameters: without statistics the planner would scan the workspace's rows.
            .where(row.c.workspace_id == WORKSPACE_ID, row.c.id == ID)
            .where(before.c.id == ID, workspace.c.id == WORKSPACE_ID)
            .returning(*row.c)
            .cte("written")
        )
        counted = increment_version(workspace, before, self._growth(before, after))
        dependent = self.dependent_writes(after, before)
        # Not the UPDATE itself, which Citus refuses beside other writes.
        return Statement(select(*written.c).add_cte(written, counted, *dependent), writes=True)

    @cached_property
    def delete(self) -> Statement:
        workspace = locked_workspace(self.deleted_totals)
        gone = (
            delete(self.table)
            .where(
                self.table.c.workspace_id == workspace.c.id,
                self.table.c.workspace_id == WORKSPACE_ID,
                self.requested(self.table),
                version_matches(self.table),
                *self.deletable(self.table),
            )
            .returning(*self.table.c)
            .cte("gone")
        )
        counted = increment_version(workspace, gone, self.removed(gone))
        dependent = self.dependent_writes(None, gone)
        return Statement(select(gone.c.id).add_cte(counted, *dependent), writes=True)

    @cached_property
    def diagnosis(self) -> Statement:
        own = select(self.table).where(visible(self.table), self.requested(self.table))
        all_rows = self.table.alias()
        elsewhere = [all_rows.c.id == ID]
        if self.parent:
            is_foreign = all_rows.c.workspace_id != WORKSPACE_ID
            elsewhere.append(or_(is_foreign, self.requested(all_rows)))
        state = select(
            has_live_session().label("is_live"),
            role_allows().label("is_allowed"),
            exists().where(*elsewhere).label("is_elsewhere"),
        )
        left, right = state.subquery("state"), own.subquery("own")
        return Statement(select(left, right).select_from(left.outerjoin(right, true())))

    def parameters(self, caller: Caller, values: Values) -> dict[str, Any]:
        """The parameters of an insert or an update of these values."""
        parameters = {f"value_{name}": value for name, value in values.items()}
        return {**self._defaults, **parameters, **self.more_parameters(caller, values)}

    def given(self, values: Values) -> int:
        """The parameter `given` of an update that sets these values."""
        return sum(self._bits[name] for name in values)

    def _changed(self, columns: Sequence[Column[Any]], before: SqlRow, moment: Moment) -> SqlRow:
        """The row after an update of these columns, with the previous columns."""
        kept = {name: before.c[name] for name in self.previous_columns}
        changed = {c.name: self.assignment(c, before, moment) for c in columns if c.name in kept}
        return Calculated({"id": before.c.id, **kept, **changed})

    def _within_quotas(
        self, workspace: CTE, before: SqlRow, after: SqlRow
    ) -> list[ColumnElement[bool]]:
        """Conditions that an update increases no total, or keeps it within its quota."""
        return [
            or_(more <= _ZERO, workspace.c[total] + more <= limit_of(total))
            for total, more in self._growth(before, after).items()
            if total in self.growing_totals
        ]

    def _growth(self, before: SqlRow, after: SqlRow) -> dict[str, ColumnElement[int]]:
        """How much an update adds to the totals that it changes."""
        lost, gained = self._weights(before), self._weights(after)
        return {t: gained[t] - lost[t] for t in gained if not gained[t].compare(lost[t])}

    def _weights(self, rows: SqlRow) -> dict[str, ColumnElement[int]]:
        return {total: weight(rows) for total, weight in self._counts.items()}


def _default(column: Column[Any]) -> Any:
    return getattr(column.default, "arg", None)


def _parameter_type(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type of a column's parameter: one for all texts and one for all integers.

    Citus refuses a text that is cast to a type with a length.
    """
    if isinstance(kind, String):
        return Text()
    if isinstance(kind, Integer):
        return BigInteger()
    return kind
