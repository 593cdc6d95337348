"""The key that signs tokens, generated once and stored in the data folder."""

from __future__ import annotations

import os
import secrets

from config import MINIMUM_KEY_BYTES
from taskapi.embedded.errors import EmbeddedError
from taskapi.embedded.folder import Folder

_FILE, _UNFINISHED = "jwt.key", "jwt.new"


def signing_key(folder: Folder) -> str:
    """The key in the folder, generated at the first call; only one process at a time may call.

    Raises:
        EmbeddedError: the file is damaged.
    """
    try:
        number = folder.open(_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return _generate(folder)
    with os.fdopen(number) as file:
        key = file.read().strip()
    if len(key) < MINIMUM_KEY_BYTES:
        path = folder.path / _FILE
        raise EmbeddedError(f"{path} is damaged. Delete it: a new key logs everyone out.")
    return key


def _generate(folder: Folder) -> str:
    key = secrets.token_urlsafe(48)
    folder.unlink(_UNFINISHED)
    with os.fdopen(folder.open(_UNFINISHED, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    folder.rename(_UNFINISHED, _FILE)
    return key
