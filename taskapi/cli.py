"""Common code of the commands of all features: how they report errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, ParamSpec
from weakref import WeakSet

import click
import psycopg
from sqlalchemy.exc import DBAPIError

from taskapi.problems import Problem

P = ParamSpec("P")

_guarded: WeakSet[click.Command] = WeakSet()

NO_SCHEMA = (
    "The database has no schema, or that of an older release. If it is the right database"
    " (DATABASE_URL), run: flask db upgrade"
)

_SCHEMA_ERRORS = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
)


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Print problems as one line on standard error, and exit with status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Problem as problem:
            raise click.ClickException(problem.detail) from None

    return run


def guard(command: click.Command, during: Callable[[], AbstractContextManager[None]]) -> None:
    """Report a command's errors of the database without values of rows, and without a traceback.

    Args:
        during: is entered while the command runs.
    """
    if command in _guarded:  # by another application of this process
        return
    _guarded.add(command)
    invoke = command.invoke

    def guarded(ctx: click.Context) -> Any:
        with during():
            try:
                return invoke(ctx)
            except DBAPIError as error:
                raise _reported(error.orig) from None
            except psycopg.Error as error:
                raise _reported(error) from None

    command.invoke = guarded  # type: ignore[method-assign]  # for commands of other packages too


def _reported(error: BaseException | None) -> click.ClickException:
    if isinstance(error, _SCHEMA_ERRORS):
        return click.ClickException(NO_SCHEMA)
    if not isinstance(error, psycopg.Error):
        return click.ClickException(f"The database failed: {type(error).__name__}.")
    if isinstance(error, psycopg.OperationalError) and not error.sqlstate:
        # libpq's own message, for example about an unreachable host.
        return click.ClickException(f"The database does not respond: {error}".strip())
    # The server's messages contain values.
    facts = [f"SQLSTATE {error.sqlstate}"]
    if error.diag.constraint_name:
        facts.append(f"constraint {error.diag.constraint_name}")
    return click.ClickException(
        f"The database rejected a statement: {type(error).__name__} ({', '.join(facts)})."
        " Its log has the details."
    )
