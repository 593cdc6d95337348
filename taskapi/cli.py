"""What the commands of all features have in common: how they report errors."""

from __future__ import annotations

from typing import Any

import click
import psycopg
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from taskapi.logs import held
from taskapi.problems import Problem

NO_SCHEMA = (
    "The database has no schema, or that of an older release. If it is the right database"
    " (DATABASE_URL), run: flask db upgrade"
)

_SCHEMA_ERRORS = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
)


class Command(click.Command):
    """A command that prints errors as one line, and log lines when it has ended.

    Errors of the database are printed without values of rows.
    """

    def invoke(self, ctx: click.Context) -> Any:
        with held():
            try:
                return super().invoke(ctx)
            except Problem as problem:
                raise click.ClickException(problem.detail) from None
            except DBAPIError as error:
                raise _reported(error.orig) from None
            except psycopg.Error as error:
                raise _reported(error) from None


class CommandGroup(Command, AppGroup):
    """A group of such commands, each with an application context."""


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
        " The log of the database has the details."
    )
