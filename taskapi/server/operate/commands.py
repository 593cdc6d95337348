"""`flask db`, `flask purge`, `flask backup`, `flask restore`, `flask set-timeouts`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
from flask.cli import with_appcontext

from config import Settings
from taskapi.auth import ratelimit
from taskapi.auth.deletion import delete_closed_accounts
from taskapi.auth.emails.queries import changes_purge, tokens_purge
from taskapi.auth.oidc.queries import codes_purge
from taskapi.auth.queries import sessions_purge
from taskapi.cli import Command, CommandGroup
from taskapi.db.workspace_deletion import delete_deleted_workspaces
from taskapi.http import idempotency
from taskapi.jobs import job
from taskapi.jobs import service as jobs
from taskapi.logs import log_event
from taskapi.runtime.context import request_globals
from taskapi.server.operate.archive import ArchiveError, Counts, Say, back_up, bring_back
from taskapi.server.operate.timeouts import TimeoutsError, set_timeouts
from taskapi.workspaces.invitations.queries import invitations_purge

_UNSUITED = ("branches", "init", "list-templates", "merge")
"""Commands of Flask-Migrate for new directories and for several heads, which are not offered."""


class DatabaseCommands(CommandGroup):
    """Flask-Migrate's commands, imported when one is used: see `extensions.Migrations`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in self._all().list_commands(ctx) if name not in _UNSUITED]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return None if name in _UNSUITED else self._all().get_command(ctx, name)

    def _all(self) -> click.Group:
        found: click.Group = import_module("flask_migrate.cli").db
        return found


@click.group("db", cls=DatabaseCommands)
@with_appcontext
def database() -> None:
    """Migrate the database."""
    # The options of Flask-Migrate's own group, which this one does not have.
    options = request_globals()
    options.directory, options.x_arg = None, ()


@click.command(cls=Command)
@with_appcontext
def purge() -> None:
    """Delete expired rows, and the remaining rows of deleted accounts and workspaces.

    The expired rows are sessions, tokens, codes, stored responses, invitations, rate limit counters
    and failed jobs. A worker does this once a day. It can run at any time, and on several machines
    at once.
    """
    for what, count in _purged():
        click.echo(f"{count} {what}")


@job("purge", cron="17 4 * * *")
def purge_daily() -> None:
    """Do what `flask purge` does, once a day."""
    log_event("purged", rows=sum(count for _, count in _purged()))


def _purged() -> Iterator[tuple[str, int]]:
    """Delete what has expired. Each item is deleted when it is iterated over."""
    yield "sessions that ended thirty days ago or more", sessions_purge.run()
    yield "stored responses of idempotency keys", idempotency.purge.run()
    yield "expired tokens of mails", tokens_purge.run()
    yield "changes of emails that cannot be undone any more", changes_purge.run()
    yield "rate limit counters", ratelimit.purge.run()
    yield "expired codes of sign-ins", codes_purge.run()
    yield "deleted accounts with remaining rows", delete_closed_accounts()
    yield "deleted workspaces with remaining rows", delete_deleted_workspaces()
    yield "expired invitations", invitations_purge.run()
    yield "jobs that failed thirty days ago or more", jobs.purge()


def archive_commands(settings: Settings) -> list[click.Command]:
    """`flask backup` and `flask restore` for the database of these settings."""
    url = settings.database_url_direct or settings.database_url or ""

    @click.command(cls=Command)
    @click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
    def backup(file: Path) -> None:
        """Write a snapshot of all data to FILE while the service runs, and verify it."""
        _do(back_up, url, file)

    @click.command(cls=Command)
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    def restore(file: Path) -> None:
        """Restore FILE into an empty database, and verify it.

        Nothing in FILE is executed. Run `flask db upgrade` afterwards: FILE may be from an older
        release.
        """
        _do(bring_back, url, file)

    return [backup, restore]


def timeouts_command(settings: Settings) -> click.Command:
    """`flask set-timeouts` for the database of these settings."""

    @click.command("set-timeouts", cls=Command)
    def set_timeouts_() -> None:
        """Set the database's timeouts for the role of the service.

        The database then cancels statements that the service no longer waits for. Run this after
        a change of DATABASE_POOL_TIMEOUT, too. It applies to new connections.
        """
        try:
            role, done = set_timeouts(settings)
        except TimeoutsError as error:
            raise click.ClickException(str(error)) from None
        for name, value in done.items():
            click.echo(f"{name} of role {role}: {value} ms")

    return set_timeouts_


def _do(work: Callable[[str, Path, Say], Counts], url: str, file: Path) -> None:
    try:
        counts = work(url, file, click.echo)
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Done and verified: {sum(counts.values()):,} rows in {len(counts)} tables.")
