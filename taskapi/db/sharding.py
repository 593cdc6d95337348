"""What differs if the database is a Citus cluster: a setting, and errors of other nodes."""

from __future__ import annotations

import psycopg
from flask import Flask

from config import Settings
from taskapi.problems import OutcomeUnknown, Problem, Unavailable
from taskapi.runtime.context import extensions

_SHARD_MOVED = "CIINF"
"""The SQLSTATE of Citus if a shard was moved during a statement, which is rolled back."""

_INTERNAL_ERROR = "XX000"
_CONNECTION_ERRORS = "08"
_LOST = ("failure on connection marked as essential", "connection to the remote node")


def init_app(app: Flask, settings: Settings) -> None:
    """Set whether the tables are sharded."""
    app.extensions["taskapi_is_sharded"] = settings.database_sharded


def is_sharded() -> bool:
    """Whether the database is a Citus cluster."""
    found: bool = extensions()["taskapi_is_sharded"]
    return found


def problem_of(error: psycopg.Error, *, writes: bool) -> Problem | None:
    """The problem for an error of another node of the cluster; None for any other error.

    If the server has lost its connection to a node, a write may have been committed there. The
    connection to the server itself is open, since these errors are not fatal.
    """
    state, message = error.diag.sqlstate or "", error.diag.message_primary or ""
    if state == _SHARD_MOVED:
        return Unavailable()
    is_lost = state.startswith(_CONNECTION_ERRORS) or (
        state == _INTERNAL_ERROR and message.startswith(_LOST)
    )
    if not is_lost or error.diag.severity_nonlocalized != "ERROR":
        return None
    return OutcomeUnknown() if writes else Unavailable()
