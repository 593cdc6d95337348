"""Helpers for concurrency: more workers, direct database access, concurrent requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Barrier
from typing import Any, TypeVar

import psycopg
from flask import Flask
from support.api import Api
from support.contract import Contract

from config import Settings
from taskapi import create_app

T = TypeVar("T")

_DEADLINE = 20


@contextmanager
def worker(settings: Settings, **changes: Any) -> Iterator[Flask]:
    """Another application on the same database, like another worker."""
    app = create_app(replace(settings, **changes))
    try:
        yield app
    finally:
        app.extensions["taskapi_pool"].close()


def person(app: Flask, contract: Contract, like: Api | None = None, **environ: str) -> Api:
    """A client of an application, with the tokens of another client. `environ` is WSGI's."""
    client = app.test_client()
    client.environ_base |= environ
    api = Api(client, contract)
    if like:
        api.email, api.login = like.email, like.login
    return api


def sql(settings: Settings, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement that is sent directly to the database."""
    assert settings.database_url
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def holding(settings: Settings, statement: str, *parameters: Any) -> Iterator[psycopg.Connection]:
    """A transaction that holds the locks of a statement until the block ends."""
    assert settings.database_url
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(statement, parameters)
        yield connection


def until_blocked(settings: Settings, number: int) -> None:
    """Wait until this number of statements wait for locks."""
    deadline = time.monotonic() + _DEADLINE
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend'"
        " AND wait_event_type = 'Lock'"
    )
    while sql(settings, waiting)[0][0] < number:
        assert time.monotonic() < deadline, "nothing waits"


@contextmanager
def meanwhile(call: Callable[[], T]) -> Iterator[Future[T]]:
    """Run a function in another thread while the block runs."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(call)


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    """The results of functions that run concurrently, each in its own thread."""
    start = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        start.wait(_DEADLINE)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
