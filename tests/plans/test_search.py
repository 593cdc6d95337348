"""A search in 20,000 Chinese and accented tasks: one round trip, and only matches are read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import psycopg
import pytest
from plans.large import LIMIT, plan_of, rows_read, scanned
from support import databases, wire, world
from support.api import Api
from support.contract import Contract
from support.wire import Wire

from taskapi.db.pages import Ordering
from taskapi.tasks.filters.conditions import parameters as filled
from taskapi.tasks.filters.grammar import parse
from taskapi.tasks.filters.terms import Clock, Resolver
from taskapi.tasks.search.queries import SORTS, search_page
from taskapi.tasks.words import description_words, lexemes, parse_search, title_words, tsquery

COUNT = 20_000
HAN = "准备会议资料联系客户更新预算检查合同安排出差整理文件提交报告购买机票预订酒店打扫房间"
LATIN = (
    "Überprüfen",
    "Café",
    "Ändern",
    "façade",
    "garçon",
    "Łódź",
    "naïve",
    "Müll",
    "été",
    "søndag",
)
RARE = {"季度总结": 20, "Crème brûlée": 15}
"""Texts that few titles contain, and how many."""


class Large(NamedTuple):
    """A user with 20,000 tasks, and the database."""

    user: Api
    line: Wire
    connection: psycopg.Connection


def _titles() -> list[str]:
    chance = random.Random(1)
    titles = [
        "".join(chance.choices(HAN, k=12)) if n % 2 else " ".join(chance.choices(LATIN, k=5))
        for n in range(COUNT)
    ]
    for text, count in RARE.items():
        for n in chance.sample(range(COUNT), count):
            titles[n] += text if n % 2 else f" {text}"
    return titles


def _fill(connection: psycopg.Connection, owner: int) -> None:
    columns = "workspace_id, id, user_id, title, version"
    titles = dict(enumerate(_titles(), start=1))
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY tasks ({columns}) FROM STDIN") as copy:
            for n, title in titles.items():
                copy.write_row((owner, n, owner, title, n))
        cursor.executemany(
            "INSERT INTO task_words (workspace_id, task_id, title_words, description_words)"
            " VALUES (%s, %s, array_to_tsvector(%s), array_to_tsvector(%s))",
            [
                (owner, n, lexemes(owner, title_words(title)), description_words(None))
                for n, title in titles.items()
            ],
        )
    connection.execute("VACUUM (ANALYZE) tasks, task_words")


@pytest.fixture(scope="module")
def large(server_url: str, template: str, worker_id: str, contract: Contract) -> Iterator[Large]:
    url = databases.create(server_url, f"words_{worker_id}", template)
    with (
        wire.tapped(url) as line,
        world.worker(databases.settings_for(line.url, database_pool_size=1)) as app,
        psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection,
    ):
        user = world.person(app, contract).registered()
        _fill(connection, user.user_id)
        yield Large(user, line, connection)


@pytest.mark.parametrize(
    ("text", "count"),
    [("季度总结", 20), ("总结", 20), ("creme brulee", 15), ("CRÈME", 15), ("brûlée 季度", 0)],
)
def test_a_search_takes_one_round_trip(large: Large, text: str, count: int) -> None:
    for path, rows in (("/search", "results"), ("/tasks", "tasks")):
        query = {"text": text, "limit": 100}
        with large.line.watched() as traffic:
            found = large.user.expect(200, "GET", path, query_string=query)
        assert len(found[rows]) == count
        assert traffic.round_trips == 1


@pytest.mark.parametrize(("text", "count"), [("季度总结", 20), ("creme brulee", 15)])
def test_a_search_reads_its_matches_from_the_index(large: Large, text: str, count: int) -> None:
    owner, search = large.user.user_id, parse_search(text)
    resolver = Resolver(Clock(datetime(2026, 1, 2, tzinfo=UTC), "UTC"), owner, owner)
    shape = resolver.shape(parse(f'text ~ "{text}"'))
    ordering = Ordering(SORTS["rank"], is_descending=True)
    statement = search_page(ordering, is_completed=None, shape=shape)
    session_id = large.user.expect(200, "GET", "/auth/sessions")["sessions"][0]["id"]
    plan = plan_of(
        large.connection,
        statement,
        {
            "known": [],
            "limit": LIMIT + 1,
            "caller_workspace_id": owner,
            "caller_user_id": owner,
            "caller_session_id": session_id,
            "exact": [tsquery(owner, word._replace(is_prefix=False)) for word in search.words],
            "prefix": [tsquery(owner, word) for word in search.words],
            **filled(resolver.values, resolver.references),
        },
    )
    assert "ix_task_words" in {node.get("Index Name") for node in plan}
    assert scanned(plan) == []
    assert count <= rows_read(plan, "tasks") <= 2 * count
    assert rows_read(plan, "task_words") <= 4 * count
