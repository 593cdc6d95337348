"""The number of prepared statements of a connection does not depend on the requests."""

from __future__ import annotations

import itertools

from support import wire, world
from support.contract import Contract

from config import Settings

FIELDS = {
    "title": "New",
    "description": "Text",
    "priority": 2,
    "estimate_minutes": 5,
    "start": {"date": "2026-12-24"},
    "label_ids": [],
}


def test_no_combination_of_fields_adds_a_statement(settings: Settings, contract: Contract) -> None:
    assert settings.database_url
    with wire.tapped(settings.database_url) as line:
        changes = {"database_url": line.url, "database_prepare": True, "database_pool_size": 1}
        with world.worker(settings, **changes) as app:
            person = world.person(app, contract).registered()
            task = person.task()
            address = f"/tasks/{task['id']}"
            # A simple one, another that cannot affect other tasks, and one that can.
            for first in ("title", "label_ids", "start"):
                person.expect(200, "PATCH", address, json={first: FIELDS[first]})
            for count in range(1, 4):
                for names in itertools.combinations(FIELDS, count):
                    body = {name: FIELDS[name] for name in names}
                    with line.watched() as traffic:
                        person.expect(200, "PATCH", address, json=body)
                        person.expect(201, "POST", "/tasks", json={"title": "New"} | body)
                    # Statements that are sent by name were sent as text before.
                    assert traffic.statements == []
