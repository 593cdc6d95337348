"""Wakes the worker of the same machine when a job was queued, so that it need not poll often.

The signal is a datagram without content to a socket in Linux's abstract namespace. It only makes a
worker look for jobs earlier, so anybody on the machine may send it. Where there is no such
namespace, or the worker runs elsewhere, it finds the job when it polls.
"""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress

from flask import Flask

from config import Settings
from taskapi.runtime.context import extensions

_EXTENSION = "taskapi_worker_address"


def init_app(app: Flask, settings: Settings) -> None:
    """Set the address of the worker of the application's database."""
    app.extensions[_EXTENSION] = address_of(settings)


def address_of(settings: Settings) -> str:
    """The address of the worker of a database."""
    name = hashlib.sha256((settings.database_url or "").encode()).hexdigest()[:32]
    return f"\0taskapi-worker-{os.getuid()}-{name}"


def wake_worker() -> None:
    """Wake the worker of the application's database, if it runs on this machine."""
    address: str = extensions()[_EXTENSION]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(b"", address)


def receiver(address: str) -> socket.socket | None:
    """A socket that receives the signals, or None if this system has none.

    Also None if another worker has it, which then wakes in place of this one.
    """
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        found.setblocking(False)
        found.bind(address)
    except (OSError, ValueError):
        found.close()
        return None
    return found
