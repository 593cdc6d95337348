"""The gunicorn settings of the floor: those of the service."""

# ruff: noqa: E402 - gevent patches the standard library before anything imports it
from gevent import monkey

monkey.patch_all()

import gc
import json
import os
from importlib import import_module
from pathlib import Path

# Modules are imported before the fork, as for the service.
import_module("benchmarks.floor")

wsgi_app = "benchmarks.floor:application"
worker_class = "gevent"
bind = f"127.0.0.1:{os.environ['PORT']}"
globals().update(json.loads(Path(os.environ["FLOOR"]).read_text())["gunicorn"])
workers = int(os.environ["WEB_CONCURRENCY"])
gc.freeze()
