"""All statements of the service by name, and the parts of their SQL."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import taskapi
from taskapi.auth import queries as auth
from taskapi.auth.personal_tokens import queries as tokens
from taskapi.db import workspace_deletion
from taskapi.db.content_sql import ContentStatements
from taskapi.db.content_table import ContentTable
from taskapi.db.creation import ShardedCreate
from taskapi.db.manual_order import ManualOrder
from taskapi.db.names import NamedTable
from taskapi.db.pages import Ordering, Sort
from taskapi.db.purging import Purge
from taskapi.db.statement import Compiled, Statement
from taskapi.http import idempotency
from taskapi.tasks import pages as task_pages
from taskapi.tasks import queries as tasks
from taskapi.tasks.filters import queries as filters
from taskapi.tasks.filters.conditions import TESTS
from taskapi.tasks.labels import queries as labels
from taskapi.tasks.lists import queries as lists
from taskapi.tasks.occurrences import queries as occurrences
from taskapi.tasks.orders import SORTS as TASK_SORTS
from taskapi.tasks.search import queries as search

_STATES = (None, True, False)


class Found(NamedTuple):
    """A statement in one of its forms."""

    name: str
    compiled: Compiled
    writes: bool

    @property
    def sql(self) -> str:
        return " ".join(self.compiled.sql.decode().split())


class Part(NamedTuple):
    """A query of a WITH, or the main query, which has no name."""

    name: str
    sql: str

    @property
    def verb(self) -> str:
        return self.sql.partition(" ")[0]

    @property
    def target(self) -> str | None:
        """The table that it writes."""
        words = self.sql.split()
        at = {"INSERT": 2, "DELETE": 2, "UPDATE": 1}.get(self.verb)
        return words[at] if at else None


def parts(sql: str) -> list[Part]:
    """The queries of a WITH in their order, and the main query."""
    if not sql.startswith("WITH "):
        return [Part("", sql)]
    found, rest = [], sql.removeprefix("WITH ").removeprefix("RECURSIVE ")
    while True:
        head, _, rest = rest.partition(" AS (")
        end = _end(rest)
        found.append(Part(head.partition("(")[0], rest[:end].strip()))
        rest = rest[end + 1 :].strip()
        if not rest.startswith(","):
            return [*found, Part("", rest)]
        rest = rest[1:].strip()


def _end(text: str) -> int:
    """The index of the parenthesis that closes the one before the text."""
    depth = 1
    for index, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return index
    raise AssertionError(text)


def all_statements() -> list[Found]:
    """All statements in both forms, each text once."""
    for module in pkgutil.walk_packages(taskapi.__path__, "taskapi."):
        if not module.name.startswith("taskapi.server.gunicorn"):
            importlib.import_module(module.name)
    found: dict[bytes, Found] = {}
    for name, statement in [*_of_modules(), *_cached()]:
        for compiled in (statement.personal, statement.shared):
            found.setdefault(compiled.sql, Found(name, compiled, statement.writes))
    return list(found.values())


def _of_modules() -> Iterator[tuple[str, Statement]]:
    for module_name, module in sorted(sys.modules.items()):
        if module_name.startswith("taskapi."):
            short = module_name.removeprefix("taskapi.").removesuffix(".queries")
            for name, value in vars(module).items():
                yield from _named(f"{short}.{name}", value)


def _named(name: str, value: object) -> Iterator[tuple[str, Statement]]:
    if isinstance(value, Statement):
        yield name, value
    elif isinstance(value, ContentTable):
        yield from _of_table(value)
    elif isinstance(value, (Purge, ManualOrder, idempotency.Owner)) or (
        type(value).__module__ == idempotency.__name__
    ):
        for key, one in vars(value).items():
            yield from _named(f"{name}.{key.strip('_')}", one)


def _of_table(table: ContentTable[Any]) -> Iterator[tuple[str, Statement]]:
    names = [*vars(ContentStatements), *(["_with_name"] if isinstance(table, NamedTable) else [])]
    for key in names:
        value = getattr(table.sql, key, None) or getattr(table, key, None)
        if isinstance(value, Statement):
            yield f"{table.sql.table.name}.{key.strip('_')}", value
        elif isinstance(value, ShardedCreate):
            for n, one in enumerate((value.lock, value.insert, *value.dependent)):
                yield f"{table.sql.table.name}.{key}.{n}", one


def _orderings(sorts: dict[str, Sort]) -> Iterator[Ordering]:
    for sort, flag in product(sorts.values(), (False, True)):
        yield Ordering(sort, is_descending=flag, resumes=flag, is_long=flag)


def _cached() -> Iterator[tuple[str, Statement]]:
    """Those that functions build when they are needed."""
    yield from _cached_pages()
    newest, ranked = next(_orderings(TASK_SORTS)), next(_orderings(search.SORTS))
    for shape in [*TESTS, ("all", *TESTS)]:
        yield "filtered_page", task_pages.filtered_page(newest, is_completed=None, shape=shape)
        yield "search_page", search.search_page(ranked, is_completed=None, shape=shape)
    for adds in (False, True):
        yield "labelling", tasks.labelling(adds=adds)
    for fate in (None, "move", "delete"):
        yield "lists.deletion", lists.deletion(fate)
    for purge in workspace_deletion._purges():
        yield from _named("content_purge", purge)


def _cached_pages() -> Iterator[tuple[str, Statement]]:
    pages = (
        ("session_page", auth.session_page, auth.SESSION_SORTS),
        ("token_page", tokens.token_page, auth.SESSION_SORTS),
        ("occurrence_page", occurrences.occurrence_page, occurrences.SORTS),
        ("label_page", labels.label_page, labels.SORTS),
        ("filter_page", filters.filter_page, filters.SORTS),
    )
    for name, page, sorts in pages:
        yield from ((name, page(ordering)) for ordering in _orderings(sorts))
    for ordering, state in product(_orderings(lists.SORTS), _STATES):
        yield "list_page", lists.list_page(ordering, is_archived=state)
    for ordering, state, within, counts in product(
        _orderings(TASK_SORTS), _STATES, task_pages.Within, (False, True)
    ):
        how = {"is_completed": state, "within": within, "counts": counts}
        yield "task_page", task_pages.task_page(ordering, **how)
