"""What a process of gunicorn's is given before it serves: addresses, limits, a log."""

from __future__ import annotations

import logging
import logging.config
import os
import resource
import tempfile
from functools import cache

from gunicorn.config import Config
from gunicorn.glogging import Logger

from config import Settings
from taskapi.logs import logging_config


def addresses(settings: Settings) -> list[str]:
    """Where to listen, as gunicorn writes it: for everybody, and where metrics are shown."""
    found = [(settings.host or "", settings.port)]
    if settings.metrics_port:
        found.append((settings.metrics_host, settings.metrics_port))
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found]


@cache
def metrics_folder(parent: str | None) -> str:
    """A new folder in which the workers of this process count; they inherit its name."""
    folder = tempfile.mkdtemp(prefix="taskapi-metrics-", dir=parent)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return folder


def allow_open_files(number: int) -> None:
    """Raise this process's limit to so many, or as near as the system lets it."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        number = min(number, most)
    if resource.RLIM_INFINITY != allowed < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))


class RootLogger(Logger):
    """Gunicorn's own log, in the format and at the level of the application's."""

    settings: Settings

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        logging.config.dictConfig(logging_config(self.settings))
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        # Its lines below that are of gunicorn's making, and quote what clients sent.
        self.error_log.setLevel(max(self.error_log.level, logging.INFO))
