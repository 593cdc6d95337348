"""Random filters match the same tasks as a second implementation, and `not` the others."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from filters import meaning
from filters.meaning import FILTERS, INSTANTS, LABELS, LISTS, TITLES, ZONES, FilterCase, Seen
from flask import Flask
from hypothesis import given, note
from hypothesis import strategies as st
from model.foresight import starts_late
from support import world
from support.api import Api
from support.contract import Contract
from support.examples import examples

from config import Settings
from taskapi.identity import MAX_ID
from taskapi.tasks.filters import service
from taskapi.tasks.filters.terms import Clock

NOW = [*INSTANTS, datetime(2026, 11, 1, 5, 30, tzinfo=UTC)]
TASKS = 60


def _moment(chosen: random.Random) -> Any:
    day = chosen.choice(meaning.DATES)
    wall = datetime.combine(day, chosen.choice(INSTANTS).time().replace(microsecond=0))
    timed = {"datetime": wall.isoformat(), "timezone": chosen.choice(ZONES)}
    return chosen.choice((None, {"date": day.isoformat()}, timed))


def _body(chosen: random.Random, seen: Seen) -> dict[str, Any]:
    labels = chosen.sample(sorted(seen.label_ids.values()), chosen.randint(0, 3))
    due, start = _moment(chosen), _moment(chosen)
    if starts_late(start, due):
        due, start = start, due
    return {
        "title": chosen.choice(TITLES),
        "description": chosen.choice((None, *TITLES)),
        "is_completed": chosen.random() < 0.4,
        **{number.name: chosen.choice(number.few()) for number in meaning.COMPARED},
        "due": due,
        "start": start,
        "list_id": chosen.choice(sorted(seen.list_ids.values())),
        "label_ids": sorted(labels),
        "assignee_id": chosen.choice((None, seen.user_ids[0])),
    }


class Found(dict[int, dict[str, Any]]):
    """The tasks of a user by ID, and the context of filters."""

    person: Api
    seen: Seen

    def __repr__(self) -> str:
        # Hypothesis prints the arguments of a failing test.
        return f"<{len(self)} tasks>"


@pytest.fixture(scope="module")
def everything(app: Flask, settings: Settings, contract: Contract) -> Found:
    person = world.person(app, contract).registered()
    chosen = random.Random(1)
    users = [person.user_id, world.person(app, contract).registered().user_id, MAX_ID]
    seen = Seen(NOW[0], ZoneInfo("UTC"), {"Inbox": person.user_id}, {}, [], users)
    for name in LISTS[1:]:
        seen.list_ids[name] = person.expect(201, "POST", "/lists", json={"name": name})["id"]
    for name in LABELS:
        seen.label_ids[name] = person.expect(201, "POST", "/labels", json={"name": name})["id"]
    for number in range(TASKS):
        body = _body(chosen, seen)
        if seen.parents and number % 5 == 0:
            body |= {"parent_id": chosen.choice(seen.parents)}
            del body["list_id"]
        task = person.task(**body)
        if number < 2:
            seen.parents.append(task["id"])
        moments = [chosen.choice(INSTANTS) + timedelta(hours=chosen.randint(0, 3)) for _ in "abc"]
        world.sql(
            settings,
            "UPDATE tasks SET created_at = %s, updated_at = %s, completed_at = %s WHERE id = %s",
            *moments,
            task["id"],
        )
    found = Found()
    found.person, found.seen = person, seen
    found.update({t["id"]: t for t in person.expect(200, "GET", "/tasks")["tasks"]})
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[datetime]]:
    """The current time of the service: the first of these."""
    times = [NOW[0]]
    monkeypatch.setattr(service, "clock", lambda timezone: Clock(times[0], timezone))
    return times


def _ids(person: Api, text: str, zone: str, **more: Any) -> list[int]:
    query = {"filter": text, "timezone": zone, **more}
    page = person.expect(200, "GET", "/tasks", query_string=query)
    return [task["id"] for task in page["tasks"]]


@given(case=FILTERS, zone=st.sampled_from(ZONES), now=st.sampled_from(NOW))
@examples(250)
def test_a_filter_and_its_negation_partition_the_tasks(
    everything: Found, clock: list[datetime], case: FilterCase, zone: str, now: datetime
) -> None:
    seen = everything.seen._replace(now=now, zone=ZoneInfo(zone))
    clock[0] = now
    text = case.text(seen)
    note(f"filter: {text}\ntimezone: {zone}\nnow: {now.isoformat()}")
    expected = {row_id for row_id, task in everything.items() if case.means(task, seen)}
    assert set(_ids(everything.person, text, zone)) == expected, text
    contrary = f"not ({text})"
    assert set(_ids(everything.person, contrary, zone)) == everything.keys() - expected, contrary


@pytest.mark.parametrize("sort", ["-created_at", "updated_at", "-title"])
def test_filtered_pages_contain_all_matches_once(
    everything: Found, clock: list[datetime], sort: str
) -> None:
    text = "priority >= 2 or due is null"
    whole = _ids(everything.person, text, "UTC", sort=sort)
    assert 20 < len(whole) < TASKS
    found: list[int] = []
    for page in everything.person.pages("/tasks", filter=text, sort=sort, limit=7):
        assert page["total"] is None
        found += [task["id"] for task in page["tasks"]]
    assert found == whole
