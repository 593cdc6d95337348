"""The settings of gunicorn, which finds this file by itself: `gunicorn wsgi:app`."""

# ruff: noqa: E402 - gevent patches the standard library before anything imports it
# First, because psycopg chooses at import how it waits for the database.
from gevent import monkey

monkey.patch_all()

import gc
import shutil
import signal
from itertools import chain, repeat
from pathlib import Path

from config import settings_or_exit
from taskapi.runtime.parent import end_with_parent
from taskapi.server import observe, process
from taskapi.server.worker import Worker

end_with_parent()
_settings = settings_or_exit(observe.check)

wsgi_app = "wsgi:app"
proc_name = "taskapi"
bind = process.addresses(_settings)

workers = _settings.web_concurrency
worker_class = Worker
# Each is an open file, and the usual limit is 1,024. Others are for the database and the log.
_other_files = _settings.database_pool_size + 100
worker_connections = process.allow_open_files(4_000 + _other_files) - _other_files
# The file of the heartbeat. On a disk it could block the worker.
_memory = "/dev/shm"
worker_tmp_dir = _memory if Path(_memory).is_dir() else None
# It can deadlock with gevent, and its path is the same for all instances of a user.
control_socket_disable = True

# Seconds after which a worker with a blocked event loop is replaced. This limits no request.
timeout = 30
# Seconds for requests in progress after SIGTERM. Platforms kill the process after 30.
graceful_timeout = 25
# Longer than load balancers keep idle connections (mostly 60 seconds), so that they never send a
# request to a connection that is being closed.
keepalive = 75

limit_request_line = 8_190
limit_request_fields = 100
limit_request_field_size = 8_190
# Only the application trusts X-Forwarded-*, from TRUSTED_PROXY_HOPS proxies.
forwarded_allow_ips = ""

# The application logs requests itself.
accesslog = None
loglevel = _settings.log_level
process.RootLogger.settings = Worker.settings = _settings
logger_class = process.RootLogger

# Before the import of the library, which reads it once. After a HUP it is the same folder.
_metrics_folder = process.metrics_folder(worker_tmp_dir) if _settings.metrics_port else None


def when_ready(server):
    """Make Ctrl-C a graceful shutdown, like SIGTERM. A second one ends at once."""
    meanings = chain([signal.SIGTERM], repeat(signal.SIGINT))
    signal.signal(signal.SIGINT, lambda _, frame: server.signal(next(meanings), frame))


def child_exit(_server, worker):
    """Remove the gauges of a worker that has ended."""
    if _metrics_folder:
        observe.forget(worker.pid)


def on_exit(_server):
    """Delete the metrics."""
    if _metrics_folder:
        shutil.rmtree(_metrics_folder, ignore_errors=True)


# Imported objects are shared with the workers. Without collection, their memory stays shared.
gc.freeze()
