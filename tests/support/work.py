"""Runs a worker with the jobs of tests: `python -m support.work`."""

from __future__ import annotations

from support import jobs

from config import Settings
from taskapi import create_app
from taskapi.jobs.worker import run

if __name__ == "__main__":
    assert jobs.append.name
    settings = Settings.from_environment()
    run(create_app(settings), settings)
