"""`flask purge`, `flask backup`, `flask restore`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from flask.cli import with_appcontext

from config import Settings
from taskapi.auth import ratelimit
from taskapi.auth.administration import purge_sessions
from taskapi.cli import explained
from taskapi.http import idempotency
from taskapi.server.operate.archive import ArchiveError, Counts, Say, back_up, bring_back


@click.command()
@with_appcontext
@explained
def purge() -> None:
    """Delete old sessions, stored responses and rate limit counters.

    Safe to run at any time, while the service runs and on several machines at once.
    """
    click.echo(f"Deleted {purge_sessions()} sessions that ended at least 30 days ago")
    click.echo(f"Deleted {idempotency.purge.run()} stored responses")
    click.echo(f"Deleted {ratelimit.purge.run()} rate limit counters")


def archive_commands(settings: Settings) -> list[click.Command]:
    """The commands that back up and restore the database of these settings."""
    url = settings.database_url_direct or settings.database_url or ""

    @click.command()
    @click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
    def backup(file: Path) -> None:
        """Write a snapshot of all data to FILE, and check it. The service can keep running."""
        _do(back_up, url, file)

    @click.command()
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    def restore(file: Path) -> None:
        """Restore FILE into the database, which must be empty, and check it.

        Run `flask db upgrade` afterwards, because FILE may be from an older release.
        """
        _do(bring_back, url, file)

    return [backup, restore]


def _do(work: Callable[[str, Path, Say], Counts], url: str, file: Path) -> None:
    try:
        counts = work(url, file, click.echo)
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Done. Checked {sum(counts.values()):,} rows in {len(counts)} tables.")
