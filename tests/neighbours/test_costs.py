"""Attacks with few requests that each cost much: memory, or time of the database."""

from __future__ import annotations

from itertools import combinations
from urllib.parse import quote, urlencode

import httpx
import psycopg
import pytest
from neighbours.data import ESCAPED, add_tasks, id_of
from neighbours.scenario import DURATION, Scenario, was_answered
from support.attack import CLOSED, Attack
from support.production import Place
from support.rawhttp import LARGEST, Person, request

pytestmark = [pytest.mark.neighbours, pytest.mark.alone]

UNAVAILABLE = 503


def _filtered(attacker: Person, condition: str, number: int) -> bytes:
    query = " or ".join(condition.replace("#", str(n)) for n in range(number))
    return request("GET", "/tasks?" + urlencode({"filter": query, "limit": 20}), attacker.token)


CONDITIONS = {
    "texts": ("description ~ q#", 88, {400}),
    "few texts": ("not description ~ q#", 5, {200, 400, 429}),
    "words": ("text ~ t", 5, {200, 400, 429}),
    "list names": ("list = q#", 100, {400, 429}),
    "times": ("not due < now-#d", 90, {200, 429}),
}
"""What a condition is, where # stands for a number, how many there are, and the responses."""


@pytest.mark.parametrize("kind", CONDITIONS)
def test_filters(
    scenario: Scenario, attacker: Person, database: psycopg.Connection, kind: str
) -> None:
    add_tasks(database, attacker, 1_000, piece="abcdefghi ", pieces=1_000)
    condition, most, statuses = CONDITIONS[kind]
    # Filters of different shapes, so that no statement is compiled already.
    numbers = range(most - 20, most) if most > 20 else [most]
    requests = [_filtered(attacker, condition, number) for number in numbers]
    outcome = scenario.run(Attack(requests, 100, DURATION))
    assert was_answered(outcome.responses)
    assert set(outcome.responses.statuses) - {CLOSED} <= statuses


def test_searches_for_a_letter(
    scenario: Scenario, attacker: Person, database: psycopg.Connection
) -> None:
    add_tasks(
        database,
        attacker,
        21_000,
        title="The title to test #",
        piece="t# ",
        pieces=3,
        has_words=True,
    )
    texts = ["t", "t t", "to t", "zzz t", "t e s t", "the title to test"]
    requests = [
        request("GET", f"/{path}text={quote(text)}", attacker.token)
        for text in texts
        for path in ("search?", "search?limit=100&", "tasks?sort=title&", "tasks?")
    ]
    outcome = scenario.run(Attack(requests, 24, DURATION))
    assert outcome.responses.statuses[200]
    assert UNAVAILABLE not in outcome.responses.statuses


LONG_TO_HIGHLIGHT = {
    "a b c d e f g h": "a b c d e f g h ",
    "日 本 語 テ キ ス ト": "日本語テキスト",
    "語" * 30: "語",
}
"""By a text to search for, what a description repeats."""


def test_searches_whose_matches_take_long_to_highlight(
    scenario: Scenario, place: Place, attacker: Person
) -> None:
    headers = {"Authorization": f"Bearer {attacker.token}"}
    with httpx.Client(base_url=place.url, headers=headers, timeout=20) as client:
        for piece in LONG_TO_HIGHLIGHT.values():
            body = {"title": "Long", "description": (piece * 10_000)[:10_000]}
            for _ in range(50):
                client.post("/tasks", json=body).raise_for_status()
    requests = [
        request("GET", f"/search?limit=100&text={quote(text)}", attacker.token)
        for text in LONG_TO_HIGHLIGHT
    ]
    outcome = scenario.run(Attack(requests, 24, DURATION))
    assert outcome.responses.statuses[200]


READERS = {
    "fast": {},
    "slow": {"read_pause": 0.02},
    "none": {"reads": False},
}


@pytest.mark.parametrize(
    ("method", "readers"), [*(("GET", one) for one in READERS), ("HEAD", "fast")]
)
def test_large_pages(
    scenario: Scenario, attacker: Person, database: psycopg.Connection, method: str, readers: str
) -> None:
    add_tasks(database, attacker, 1_000, piece=ESCAPED, pieces=10_000)
    requests = [request(method, LARGEST, attacker.token)]
    outcome = scenario.run(Attack(requests, 100, DURATION, **READERS[readers]))
    if readers == "fast":
        assert outcome.responses.statuses[200]


FIELDS = {
    "title": "A task",
    "description": "A description",
    "is_completed": True,
    "priority": 3,
    "due": {"date": "2150-01-05"},
    "start": {"date": "2150-01-05"},
    "estimate_minutes": 30,
    "label_ids": [],
    "parent_id": None,
    "recurrence": None,
    "list_id": 0,
}


def test_all_combinations_of_fields(scenario: Scenario, attacker: Person) -> None:
    fields = FIELDS | {"list_id": id_of(attacker)}
    bodies = [
        dict(chosen) for size in range(1, 12) for chosen in combinations(fields.items(), size)
    ]
    path = f"/tasks/{attacker.task_ids[0]}"
    requests = [request("PATCH", path, attacker.token, body) for body in bodies]
    requests += [request("POST", "/tasks", attacker.token, fields | body) for body in bodies]
    outcome = scenario.run(Attack(requests, 24, DURATION))
    assert outcome.responses.statuses[200]
    assert outcome.responses.statuses[201]


def test_a_filter_that_takes_too_long_says_so(
    place: Place, attacker: Person, database: psycopg.Connection
) -> None:
    headers = {"Authorization": f"Bearer {attacker.token}"}
    with (
        httpx.Client(base_url=place.url, headers=headers, timeout=10) as client,
        database.transaction(),
    ):
        database.execute("LOCK TABLE task_words")
        many = client.get("/tasks", params={"filter": "text ~ a and text ~ b"})
        one = client.get("/tasks", params={"filter": "text ~ a"})
    assert (many.status_code, one.status_code) == (400, UNAVAILABLE)
    assert many.json()["errors"][0]["code"] == "too_costly"
