"""The setup of gunicorn's processes: addresses, limits, logs."""

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
    """The listening addresses in gunicorn's format: the service's, and that of the metrics."""
    found = [(settings.host or "", settings.port)]
    if settings.metrics_port:
        found.append((settings.metrics_host, settings.metrics_port))
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found]


@cache
def metrics_folder(parent: str | None) -> str:
    """A new folder for the workers' metrics. They inherit its name in the environment."""
    folder = tempfile.mkdtemp(prefix="taskapi-metrics-", dir=parent)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return folder


def allow_open_files(number: int) -> int:
    """Raise this process's limit of open files to this number, as far as the system allows.

    Returns:
        the number, or the system's limit if it is lower.
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        number = min(number, most)
    if resource.RLIM_INFINITY != allowed < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))
    return number


class RootLogger(Logger):
    """gunicorn's log, in the format and at the level of the application's."""

    settings: Settings

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        logging.config.dictConfig(logging_config(self.settings))
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        # gunicorn's debug lines may contain data from clients.
        self.error_log.setLevel(max(self.error_log.level, logging.INFO))
