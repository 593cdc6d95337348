"""A user in databases of different locales, for what must not depend on the locale."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import databases, world
from support.api import Api
from support.contract import Contract

LOCALES = {"ascii": "C", "unicode": "C.UTF-8"}
"""In the first one, PostgreSQL knows the case and the class of ASCII letters only."""


@pytest.fixture(scope="module", params=LOCALES)
def anywhere(
    server_url: str, worker_id: str, request: pytest.FixtureRequest, contract: Contract
) -> Iterator[Api]:
    """A user in a new database of each locale, shared by the tests of a module."""
    module = request.module.__name__.rpartition(".")[2]
    name = f"{module}_{request.param}_{worker_id}"
    url = databases.create(server_url, name, locale=LOCALES[request.param])
    databases.migrate(url)
    with world.worker(databases.settings_for(url)) as app:
        yield world.person(app, contract).registered()
