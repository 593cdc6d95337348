"""How gunicorn serves taskapi. It finds this file by itself: `gunicorn wsgi:app`."""

# ruff: noqa: E402 - gevent patches the standard library before anything imports it
# First: psycopg chooses at import how it waits for the database, and must find gevent's way.
from gevent import monkey

monkey.patch_all()

import gc
import shutil
import signal
from itertools import chain, repeat
from pathlib import Path

from config import settings_or_exit
from taskapi.runtime.worker import name_server
from taskapi.server import observe, process
from taskapi.server.worker import Worker

_settings = settings_or_exit(observe.check)

wsgi_app = "wsgi:app"
proc_name = "taskapi"
bind = process.addresses(_settings)

workers = _settings.web_concurrency
worker_class = Worker
worker_connections = 1_000
# Each is an open file, and a process has 1,024 by default; others are for the database.
process.allow_open_files(2 * worker_connections)
# The heartbeat's file: on a disk it could block the worker.
_memory = "/dev/shm"
worker_tmp_dir = _memory if Path(_memory).is_dir() else None
# It has deadlocked with gevent, and its path is the same for all instances of a user.
control_socket_disable = True

# A worker whose event loop has stood still for so long is replaced. It limits no request.
timeout = 30
# What is in flight at TERM may take so long; platforms kill 30 seconds after it.
graceful_timeout = 25
# Longer than a load balancer keeps idle connections (mostly 60 seconds), so that it never sends a
# request into one that is being closed here. Once begun, a request must arrive sooner.
keepalive = 75

limit_request_line = 8_190
limit_request_fields = 100
limit_request_field_size = 8_190
# Only the application believes X-Forwarded-*, from as many proxies as TRUSTED_PROXY_HOPS says.
forwarded_allow_ips = ""

# The application logs requests itself.
accesslog = None
loglevel = _settings.log_level
process.RootLogger.settings = Worker.settings = _settings
logger_class = process.RootLogger

name_server("taskapi")


# Before the library is imported, which looks for it once; after a HUP it is the same folder.
_metrics_folder = process.metrics_folder(worker_tmp_dir) if _settings.metrics_port else None


def when_ready(server):
    """Let Ctrl-C end gracefully, as TERM does; a second one ends at once."""
    meanings = chain([signal.SIGTERM], repeat(signal.SIGINT))
    signal.signal(signal.SIGINT, lambda _, frame: server.signal(next(meanings), frame))


def child_exit(_server, worker):
    """Show no level of a worker that has ended."""
    if _metrics_folder:
        observe.forget(worker.pid)


def on_exit(_server):
    """Leave nothing behind."""
    if _metrics_folder:
        shutil.rmtree(_metrics_folder, ignore_errors=True)


# What is imported by now is shared with the workers; unless collected, its memory stays shared.
gc.freeze()
