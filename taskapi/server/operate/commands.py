"""`flask purge`, `flask backup`, `flask restore`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from flask.cli import with_appcontext

from config import Settings
from taskapi.auth import ratelimit
from taskapi.auth.administration import purge_sessions
from taskapi.auth.deletion import delete_closed_accounts
from taskapi.cli import explained
from taskapi.http import idempotency
from taskapi.server.operate.archive import ArchiveError, Counts, Say, back_up, bring_back


@click.command()
@with_appcontext
@explained
def purge() -> None:
    """Delete expired sessions, stored responses and counters, and what deleted accounts left.

    Safe to run at any time, beside the service and on several machines at once.
    """
    click.echo(f"{purge_sessions()} sessions that ended thirty days ago or more")
    click.echo(f"{idempotency.purge.run()} answers kept for idempotency keys")
    click.echo(f"{ratelimit.purge.run()} counters of attempts")
    click.echo(f"{delete_closed_accounts()} deleted accounts whose rows were left")


def archive_commands(settings: Settings) -> list[click.Command]:
    """The commands that back up and restore the database of these settings."""
    url = settings.database_url_direct or settings.database_url or ""

    @click.command()
    @click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
    def backup(file: Path) -> None:
        """Write all data of this moment into FILE, beside the service, and check it."""
        _do(back_up, url, file)

    @click.command()
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    def restore(file: Path) -> None:
        """Fill the database, which must be empty, from FILE, and check that all is there.

        Run `flask db upgrade` then: the file may be of an older release.
        """
        _do(bring_back, url, file)

    return [backup, restore]


def _do(work: Callable[[str, Path, Say], Counts], url: str, file: Path) -> None:
    try:
        counts = work(url, file, click.echo)
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Done, and checked: {sum(counts.values()):,} rows in {len(counts)} tables.")
