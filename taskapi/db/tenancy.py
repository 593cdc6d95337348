"""Tenancy: the only place that defines which workspace's rows a statement can access.

Features build their statements from these parts. Each statement names the workspace and the
session, and finds nothing unless the session is active, in the same round trip. In a shared
workspace, the user must also be a member, with a role that allows the operation. A write locks only
the workspace's row, so writes to one workspace are serialized. It uses the workspace's next version
only if it changes something, so versions have no gap. Each table is compared with the workspace's
ID, although a join would imply it, so that Citus can prune to one shard.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    Select,
    Text,
    all_,
    and_,
    any_,
    bindparam,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    update,
)

from taskapi.auth.models import Session
from taskapi.db import database
from taskapi.db.quotas import QUOTAS, TOTALS, limit_of
from taskapi.db.statement import ByWorkspace, Statement
from taskapi.extensions import table_of
from taskapi.identity import Caller
from taskapi.problems import (
    Forbidden,
    InsufficientRole,
    NotFound,
    Problem,
    SessionEnded,
    Unavailable,
)
from taskapi.workspaces.models import VIEWER, Membership, Workspace


class SqlRow(Protocol):
    """A row in SQL: of a table, of a common table expression, or of calculated values."""

    @property
    def c(self) -> Any:
        """The columns, by attribute and by key."""


Counts = Mapping[str, Callable[[SqlRow], ColumnElement[int]]]
"""For columns of the workspace that store totals, how much a row adds to each."""

_events = logging.getLogger("taskapi.event")

WORKSPACES = table_of(Workspace)
_sessions = table_of(Session)
_memberships = table_of(Membership)

ONE = literal_column("1", BigInteger)
"""A literal, because a Python number would become a parameter."""

WORKSPACE_ID = bindparam("caller_workspace_id", type_=BigInteger)
USER_ID = bindparam("caller_user_id", type_=BigInteger)
SESSION_ID = bindparam("caller_session_id", type_=BigInteger)
_WORKSPACE_IDS = bindparam("caller_workspace_ids", type_=ARRAY(BigInteger))
_WRITES = bindparam("caller_writes", type_=Boolean)
ID = bindparam("id", type_=BigInteger)
_IF_MATCH = bindparam("if_match", type_=ARRAY(BigInteger))


_MANY_TASKS = 10_000
_SECONDS_FOR_MANY = 20.0
"""Less than a worker waits for requests when it stops, and than proxies wait for a response."""


def scope(caller: Caller) -> dict[str, Any]:
    """The parameters of all statements on a workspace."""
    return {
        "caller_writes": caller.writes,
        "caller_workspace_id": caller.workspace_id,
        "caller_user_id": caller.user_id,
        "caller_session_id": caller.session_id,
    }


def scope_of_all_workspaces(caller: Caller) -> dict[str, Any]:
    """The parameters of statements on all workspaces of the caller."""
    limited = caller.workspace_ids
    return {**scope(caller), "caller_workspace_ids": None if limited is None else sorted(limited)}


def has_live_session() -> ColumnElement[bool]:
    """An SQL condition: the caller's session has neither ended nor expired."""
    return exists().where(
        _sessions.c.user_id == USER_ID,
        _sessions.c.id == SESSION_ID,
        _sessions.c.revoked_at.is_(None),
        _sessions.c.expires_at > func.now(),
    )


def of_live_session(rows: Select[Any]) -> Statement:
    """A read that returns these rows by their id, or a row of nulls if there are none.

    There is no row if the caller's session has ended.
    """
    live = select(ONE.label("one")).where(has_live_session()).subquery("live")
    found = rows.subquery("found")
    joined = select(*found.c).select_from(live.outerjoin(found, true()))
    return Statement(joined.order_by(found.c.id))


def rows_of_live_session(statement: Statement, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a statement that `of_live_session` made.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    rows = database.rows(statement, **parameters)
    if not rows:
        raise SessionEnded
    named = (dict(zip(statement.columns, row, strict=True)) for row in rows)
    return [row for row in named if row["id"] is not None]


_membership = and_(_memberships.c.workspace_id == WORKSPACE_ID, _memberships.c.user_id == USER_ID)
_role = select(_memberships.c.role).where(_membership).scalar_subquery()
_can_write = _memberships.c.role != literal_column(f"'{VIEWER}'", Text)
_role_allows = select(or_(_can_write, not_(_WRITES))).where(_membership).scalar_subquery()


def role_allows() -> ColumnElement[bool]:
    """An SQL condition: the caller's role allows the operation. Null if the caller has no role."""
    return ByWorkspace(true(), _role_allows)


def has_role(*roles: str) -> ColumnElement[bool]:
    """An SQL condition: the caller has one of these roles. True in a personal workspace."""
    names = [literal_column(f"'{role}'", Text) for role in roles]
    is_one = select(_memberships.c.role.in_(names)).where(_membership).scalar_subquery()
    return ByWorkspace(true(), is_one)


def has_access() -> ColumnElement[bool]:
    """An SQL condition: the caller's session is active, and the caller's role allows the operation.

    The owner of a personal workspace needs no role there.
    """
    return ByWorkspace(has_live_session(), and_(has_live_session(), _role_allows))


def require_access(caller: Caller) -> None:
    """Check the caller's session and role, for an operation that queries nothing else.

    Raises:
        SessionEnded: the session has ended, or the role does not allow it: see `refusal`.
    """
    if not (database.row(_HAS_ACCESS, **scope(caller)) or {}).get("has_access"):
        raise SessionEnded


_HAS_ACCESS = Statement(select(has_access().label("has_access")))


def refusal(caller: Caller) -> Problem:
    """The reason why the statements of a caller find nothing in a shared workspace."""
    found = database.row(_STATE, **scope(caller)) or {}
    if not found["is_live"]:
        return SessionEnded()
    if found["role"] and not (found["role"] == VIEWER and caller.writes):
        return Unavailable()  # The caller has got the role meanwhile.
    if not found["exists"]:
        return NotFound("Workspace not found")
    extra = {"user_id": caller.user_id, "workspace_id": caller.workspace_id}
    _events.warning("refused", extra=extra)
    if found["role"]:
        return InsufficientRole()
    return Forbidden("Not authorized to access this workspace")


_STATE = Statement(
    select(
        has_live_session().label("is_live"),
        _role.label("role"),
        exists()
        .where(WORKSPACES.c.id == WORKSPACE_ID, WORKSPACES.c.deleted_at.is_(None))
        .label("exists"),
    )
)


def version_matches(rows: FromClause) -> ColumnElement[bool]:
    """An SQL condition: the row has one of the versions `if_match`, if there are any."""
    is_listed = rows.c.version == any_(_IF_MATCH)
    is_not_excluded = and_(
        rows.c.version.bitwise_not() != all_(_IF_MATCH), literal_column("0") > any_(_IF_MATCH)
    )
    return or_(_IF_MATCH.is_(None), is_listed, is_not_excluded)


def all_versions_except(versions: Sequence[int]) -> list[int] | None:
    """The value of `if_match` for all versions but these: their complements, which are negative."""
    return [~version for version in versions] or None


def is_match(version: int, if_match: Sequence[int] | None) -> bool:
    """Whether `version_matches` is true for a row with this version."""
    if not if_match:
        return if_match is None
    return version in if_match or (if_match[0] < 0 and ~version not in if_match)


def visible(rows: FromClause) -> ColumnElement[bool]:
    """An SQL condition: the row belongs to the caller's workspace."""
    return and_(rows.c.workspace_id == WORKSPACE_ID, has_access())


def own_workspace() -> ColumnElement[bool]:
    """An SQL condition: the row of workspaces is the caller's workspace."""
    return and_(WORKSPACES.c.id == WORKSPACE_ID, has_access())


def visible_in_any_workspace(rows: FromClause) -> ColumnElement[bool]:
    """An SQL condition: the row belongs to a workspace that the caller can read.

    It does not check the session. Its parameters are those of `scope_of_all_workspaces`.
    """
    is_member = exists().where(
        _memberships.c.workspace_id == rows.c.workspace_id, _memberships.c.user_id == USER_ID
    )
    return and_(
        or_(rows.c.workspace_id == USER_ID, is_member),
        or_(_WORKSPACE_IDS.is_(None), rows.c.workspace_id == any_(_WORKSPACE_IDS)),
    )


def locked_workspace(
    totals: Iterable[str] = (),
    growth: Mapping[str, ColumnElement[int]] | None = None,
    *,
    checks_caller: bool = True,
) -> CTE:
    """The caller's workspace, locked until the transaction ends, and its next version.

    A write that waits for the lock continues even if its session ends meanwhile.

    Args:
        totals: columns of the workspace that the write changes.
        growth: the amounts to add to totals. There is no row if one would exceed its quota.
        checks_caller: False for a write of the service itself, which has no session.
    """
    condition = own_workspace() if checks_caller else WORKSPACES.c.id == WORKSPACE_ID
    return (
        select(
            WORKSPACES.c.id,
            (WORKSPACES.c.version + ONE).label("next_version"),
            func.clock_timestamp().label("moment"),
            *(WORKSPACES.c[total] for total in totals),
        )
        .where(condition, *_within_quotas(growth or {}))
        .with_for_update(key_share=True)
        .cte("workspace")
    )


def counted_workspace(change: Mapping[str, ColumnElement[int]]) -> CTE:
    """The caller's workspace with its next version and new totals already written.

    It has no row if a total would exceed its quota. It is for statements that either write a row or
    fail, which then need no lock before the update.

    Args:
        change: the amount to add to each total.
    """
    totals = {total: WORKSPACES.c[total] + delta for total, delta in change.items()}
    return (
        update(WORKSPACES)
        .values({"version": WORKSPACES.c.version + ONE, **totals})
        .where(own_workspace(), *_within_quotas(change))
        .returning(
            WORKSPACES.c.id,
            WORKSPACES.c.version.label("next_version"),
            func.clock_timestamp().label("moment"),
        )
        .cte("workspace")
    )


def _within_quotas(change: Mapping[str, ColumnElement[int]]) -> list[ColumnElement[bool]]:
    """Conditions that no total of the workspace exceeds its quota after a change."""
    return [
        WORKSPACES.c[total] + delta <= limit_of(total)
        for total, delta in change.items()
        if total in TOTALS
    ]


def increment_version(
    workspace: CTE, written: CTE | None, change: Mapping[str, ColumnElement[int]]
) -> CTE:
    """Give the workspace its next version and its new totals, if a row was written.

    They are calculated from the locked row, because the table itself would be read as of the start
    of the statement, before it waited for the lock.

    Args:
        workspace: the result of `locked_workspace`.
        written: the written rows, with their workspace_id; None if there is always one.
        change: the amount to add to each total.
    """
    totals = {total: workspace.c[total] + delta for total, delta in change.items()}
    counted = (
        update(WORKSPACES)
        .values({"version": workspace.c.next_version, **totals})
        .where(WORKSPACES.c.id == workspace.c.id, WORKSPACES.c.id == WORKSPACE_ID)
    )
    if written is not None:
        counted = counted.where(workspace.c.id == written.c.workspace_id)
    return counted.cte("counted")


@contextmanager
def locked(caller: Caller, *, changes_many: bool = False) -> Iterator[None]:
    """A transaction that locks the workspace, for a write that depends on several rows.

    Each of its statements sees the current rows. A single statement that waits for the lock itself
    would see other rows as of before the wait.

    Args:
        changes_many: whether it can change all tasks at once. Where these are many, it may take
            longer.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    with database.transaction() as work:
        workspace = database.row(_LOCK, **scope(caller))
        if workspace is None:
            raise SessionEnded
        if changes_many and workspace["task_count"] > _MANY_TASKS:
            work.extend(_SECONDS_FOR_MANY)
        yield


USAGE = Statement(select(*(WORKSPACES.c[quota.total] for quota in QUOTAS)).where(own_workspace()))
"""The totals of the workspace that have quotas."""

_LOCK = Statement(select(locked_workspace(["task_count"])), writes=True)
