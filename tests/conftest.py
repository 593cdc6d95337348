"""Fixtures of all tests: the real application on a real, migrated PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support import databases
from support.api import Api
from support.contract import Contract
from support.mails import Mails

from config import Settings
from taskapi import create_app

pytest_plugins = ["support.examples", "support.limit", "support.locales", "support.summary"]


def pytest_configure(config: pytest.Config) -> None:
    """Create the directory that all workers of this run share. They inherit its name.

    It is not in pytest's own directory, because each new run makes that one inaccessible to
    PostgreSQL's user.
    """
    if not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="taskapi-tests-")
        Path(folder).chmod(0o755)
        os.environ["TASKAPI_TEST_FOLDER"] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """A directory that all workers of this run share."""
    return Path(os.environ["TASKAPI_TEST_FOLDER"])


@pytest.fixture(scope="session")
def server_url(run_folder: Path) -> Iterator[str]:
    with databases.server(run_folder / "server") as url:
        yield url


@pytest.fixture(scope="session")
def template(server_url: str, run_folder: Path) -> str:
    return databases.migrated_template(server_url, run_folder)


@pytest.fixture(scope="session")
def database_url(server_url: str, template: str, worker_id: str) -> Iterator[str]:
    """A database of all tests of a worker. At the end, each of its tasks must follow the rules."""
    url = databases.create(server_url, f"test_{worker_id}", template)
    yield url
    assert databases.violated_rules(url) == []


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    return databases.settings_for(database_url)


@pytest.fixture(scope="session")
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    app.extensions["taskapi_pool"].close()


@pytest.fixture(scope="session")
def contract(app: Flask) -> Contract:
    return Contract(json.loads(app.extensions["taskapi_openapi"]()))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def anonymous(client: FlaskClient, contract: Contract) -> Api:
    return Api(client, contract)


@pytest.fixture
def user(client: FlaskClient, contract: Contract) -> Api:
    return Api(client, contract).registered()


@pytest.fixture
def mails(app: Flask) -> Mails:
    return Mails(app)


@pytest.fixture
def stranger(client: FlaskClient, contract: Contract) -> Api:
    return Api(client, contract).registered()
