"""The timeouts of the service's role: `flask set-timeouts`, and a warning if they are missing.

They are settings of the role, because a pooler rejects them in a URL and shares a `SET` among its
clients.
"""

from __future__ import annotations

import logging

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict

from config import Settings

_log = logging.getLogger("taskapi.database")

_CHECKED = ("statement_timeout", "lock_timeout")


class TimeoutsError(Exception):
    """The timeouts cannot be set. The message gives the reason and a remedy."""


def timeouts(settings: Settings) -> dict[str, int]:
    """The timeouts in milliseconds, slightly longer than a request waits for the database."""
    longest_wait = settings.database_pool_timeout * 1_000
    return {
        "statement_timeout": longest_wait + 1_000,
        "lock_timeout": longest_wait + 500,
        "idle_in_transaction_session_timeout": 30_000,
        "client_connection_check_interval": 1_000,
    }


def set_timeouts(settings: Settings) -> tuple[str, dict[str, int]]:
    """Set the timeouts for the role of `DATABASE_URL` in its database.

    They apply to connections that are opened afterwards.

    Returns:
        The role, and the settings that were changed.

    Raises:
        TimeoutsError: the database cannot be reached, or does not permit it.
    """
    url = settings.database_url or ""
    done = {}
    try:
        with psycopg.connect(
            settings.database_url_direct or url, autocommit=True, connect_timeout=10
        ) as connection:
            role = str(conninfo_to_dict(url).get("user") or connection.info.user)
            for name, value in timeouts(settings).items():
                try:
                    connection.execute(
                        sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
                            sql.Identifier(role),
                            sql.Identifier(connection.info.dbname),
                            sql.Identifier(name),
                            sql.Literal(value),
                        )
                    )
                # Not every operating system can check connections.
                except (errors.InvalidParameterValue, errors.UndefinedObject):
                    if name in _CHECKED:
                        raise
                else:
                    done[name] = value
    except psycopg.Error as error:
        reason = str(error).partition("\n")[0]
        raise TimeoutsError(
            f"The timeouts cannot be set: {reason}. A role can set its own; to set those of another"
            " role, log in as its administrator with DATABASE_URL_DIRECT."
        ) from error
    return role, done


def warn_without_timeouts(settings: Settings) -> None:
    """Log a warning if the database lets statements run for ever, or for too short a time."""
    if not settings.database_url:
        return
    query = "SELECT name, setting::int FROM pg_settings WHERE name = ANY (%s)"
    try:
        with psycopg.connect(
            settings.database_url, autocommit=True, connect_timeout=10, prepare_threshold=None
        ) as connection:
            found: dict[str, int] = dict(connection.execute(query, [list(_CHECKED)]).fetchall())
    except psycopg.Error:
        return  # The requests report it.
    needed = timeouts(settings)["lock_timeout"]
    if any(value < needed for value in found.values()):
        remedy = "run: flask set-timeouts"
        _log.warning("timeouts_missing", extra=found | {"needed": needed, "remedy": remedy})
