"""The application, for gunicorn (`gunicorn wsgi:app`) and for the `flask` command."""

from __future__ import annotations

import atexit
import gc
import signal
import sys
from contextlib import ExitStack

from flask.cli import cli

from config import Settings, settings_or_exit
from taskapi import create_app, embedded
from taskapi.jobs.commands import worker_command
from taskapi.server.operate.commands import archive_commands, timeouts_command
from taskapi.server.serve import serve_command

WORKER_BOOT_ERROR = 3
"""gunicorn stops at this exit code instead of restarting the worker."""


def _provide(settings: Settings) -> Settings:
    """The settings with a database, which is released when this process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return stack.enter_context(embedded.provide(settings))
    except embedded.EmbeddedError as error:
        sys.stderr.write(f"taskapi cannot start: {error}\n")
        sys.exit(WORKER_BOOT_ERROR)


_settings = _provide(settings_or_exit())
app = create_app(_settings)
for _command in (
    serve_command(_settings),
    worker_command(app, _settings),
    timeouts_command(_settings),
    *archive_commands(_settings),
):
    app.cli.add_command(_command)
# Flask's development server and shell know nothing of the service's pools and event loop.
for _name in ("run", "shell"):
    cli.commands[_name].hidden = True

# These objects live as long as the process. Collecting them at exit would take 0.4 seconds.
gc.freeze()
