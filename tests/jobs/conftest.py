"""Fixtures of the tests of jobs: a database of its own for each, and an application."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from psycopg import sql
from support import databases

from taskapi import create_app

_numbers = itertools.count(1)


@pytest.fixture
def url(server_url: str, template: str, worker_id: str) -> Iterator[str]:
    """The URL of a database without jobs."""
    name = f"jobs_{worker_id}_{next(_numbers)}"
    yield databases.create(server_url, name, template)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def queueing(url: str) -> Iterator[Flask]:
    """An application that queues jobs in it."""
    app = create_app(databases.settings_for(url))
    with app.app_context():
        yield app
    app.extensions["taskapi_pool"].close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file to which jobs write."""
    return tmp_path / "lines"
