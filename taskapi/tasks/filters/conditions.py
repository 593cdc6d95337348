"""SQL conditions, built from the shape of a filter, with a parameter for each value.

The SQL consists only of the texts in the table below, never of a client's input. It is text because
SQLAlchemy takes 0.1 seconds to build and compile a hundred conditions.

A comparison with a missing value is null in SQL and counts as false: `all` and `either` need
nothing for this, `not` uses coalesce.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Text,
    and_,
    bindparam,
    collate,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.types import TypeEngine

from taskapi.db.tenancy import WORKSPACE_ID
from taskapi.extensions import table_of
from taskapi.tasks.filters.numbers import NUMBERS
from taskapi.tasks.labels.models import Label
from taskapi.tasks.lists.models import List
from taskapi.tasks.models import LOCAL_DUE, Task

Shape = Any
"""The name of a test, or `all`, `either` or `not` before further shapes."""


class Test(NamedTuple):
    """A condition for a row of tasks: its SQL, and the types of its values."""

    sql: str
    types: tuple[TypeEngine[Any], ...] = ()


class Reference(NamedTuple):
    """A list, label or task that a condition references, by its ID or by its name."""

    noun: str
    id: int
    name: str


_INSTANT = DateTime(timezone=True)
_ORDERED = ("<", "<=", ">=", ">")

_BY_NAME = """
ARRAY(SELECT {0}.id FROM {0} WHERE {0}.workspace_id = :caller_workspace_id
AND {0}.name_key =
""".strip()
_LISTS, _LABELS = _BY_NAME.format("lists"), _BY_NAME.format("labels")

# The index of words, and then, for scripts without spaces, the text itself.
_SEARCH = """
id IN (
    SELECT task_id FROM task_words WHERE task_words.workspace_id = :caller_workspace_id
    AND (title_words || description_words) @@ CAST({0} AS tsquery)
) AND NOT EXISTS (
    SELECT FROM unnest({1}) AS part WHERE strpos(normalize(title, NFC), part) = 0
    AND strpos(normalize(coalesce(description, ''), NFC), part) = 0
)
""".strip()

TESTS: dict[str, Test] = {
    "id =": Test("id = {0}", (BigInteger(),)),
    "completed": Test("is_completed"),
    "title =": Test("title = {0}", (Text(),)),
    "title ~": Test('strpos(lower(title COLLATE "C"), {0}) > 0', (Text(),)),
    "description ~": Test('strpos(lower(description COLLATE "C"), {0}) > 0', (Text(),)),
    "in inbox": Test("list_id IS NULL"),
    "list id": Test("list_id = {0}", (BigInteger(),)),
    "list name": Test(f"coalesce(list_id, tasks.workspace_id) = ANY ({_LISTS} {{0}}))", (Text(),)),
    "label id": Test("label_ids && ARRAY[{0}]", (BigInteger(),)),
    "label name": Test(f"label_ids && {_LABELS} {{0}})", (Text(),)),
    "parent id": Test("parent_id = {0}", (BigInteger(),)),
    "assignee =": Test("assignee_id = {0}", (BigInteger(),)),
    "has description": Test("description IS NOT NULL"),
    "has due": Test("due_date IS NOT NULL"),
    "has start": Test("start_date IS NOT NULL"),
    "has label": Test("label_ids IS NOT NULL"),
    "has parent": Test("parent_id IS NOT NULL"),
    "has assignee": Test("assignee_id IS NOT NULL"),
    "has completed_at": Test("completed_at IS NOT NULL"),
    "text ~": Test(_SEARCH, (Text(), ARRAY(Text))),
}
for _operator in _ORDERED:
    TESTS[f"completed_at {_operator}"] = Test(f"completed_at {_operator} {{0}}", (_INSTANT,))
    # A due is either a date or an instant.
    _by_day, _days = ("<", "+ 3") if "<" in _operator else (">=", "- 2")
    for _name in ("start", "due"):
        _on_day = f"{_name}_at IS NULL AND {_name}_date {_by_day} {{0}}"
        _either = f"({_on_day}) OR {_name}_at {_operator} {{1}}"
        TESTS[f"{_name} {_operator}"] = Test(_either, (Date(), _INSTANT))
    # Local times differ from UTC by a day at most. This uses the index of the order by due.
    _near = f"{LOCAL_DUE} {_by_day} {{0}} {_days}"
    TESTS[f"due {_operator}"] = Test(
        f"({_either}) AND {_near} AND due_date IS NOT NULL", (Date(), _INSTANT)
    )
    for _name in ("created", "updated"):
        TESTS[f"{_name} {_operator}"] = Test(f"{_name}_at {_operator} {{0}}", (_INSTANT,))
for _name, _number in NUMBERS.items():
    TESTS[f"has {_name}"] = Test(f"{_number.column} IS NOT NULL")
    for _operator in ("=", *_ORDERED):
        _comparison = f"{_number.column} {_operator} {{0}}"
        TESTS[f"{_name} {_operator}"] = Test(_comparison, (BigInteger(),))


def condition(shape: Shape) -> TextClause:
    """The condition for the tasks that match a filter of this shape."""
    binds = [WORKSPACE_ID]
    sql = _sql(shape, binds, count())
    used = [bind for bind in binds if f":{bind.key}" in sql]
    return text(f"({sql})").bindparams(*used)


def parameters(values: Sequence[Any], references: Sequence[Reference]) -> dict[str, Any]:
    """The parameters of a statement with a `condition` and `MISSING`."""
    columns = zip(*references, strict=True) if references else ((), (), ())
    arrays = {f"reference_{name}": list(c) for name, c in zip(_REFERENCE, columns, strict=True)}
    return {_parameter(index): value for index, value in enumerate(values)} | arrays


def _sql(shape: Shape, binds: list[Any], indexes: Iterator[int]) -> str:
    if isinstance(shape, str):
        test = TESTS[shape]
        own = [bindparam(_parameter(next(indexes)), type_=type_) for type_ in test.types]
        binds += own
        return test.sql.format(*(f":{bind.key}" for bind in own))
    word, *parts = shape
    conditions = [f"({_sql(part, binds, indexes)})" for part in parts]
    if word == "not":
        return f"NOT coalesce({conditions[0]}, false)"
    return (" AND " if word == "all" else " OR ").join(conditions)


def _parameter(index: int) -> str:
    return f"filter_{index}"


_lists, _labels, _tasks = table_of(List), table_of(Label), table_of(Task)
_REFERENCE: dict[str, TypeEngine[Any]] = {"noun": Text(), "id": BigInteger(), "name": Text()}


def _missing() -> ColumnElement[int]:
    arrays: list[Any] = [
        bindparam(f"reference_{name}", type_=ARRAY(type_)) for name, type_ in _REFERENCE.items()
    ]
    values = func.unnest(*arrays).table_valued(
        *_REFERENCE, with_ordinality="number", name="reference"
    )
    reference = values.render_derived()

    def found(noun: str, rows: FromClause, *, has_name: bool = True) -> ColumnElement[bool]:
        matches = rows.c.id == reference.c.id
        if has_name:
            matches = or_(matches, rows.c.name_key == collate(reference.c.name, "C"))
        row_exists = exists().where(rows.c.workspace_id == WORKSPACE_ID, matches)
        return and_(reference.c.noun == literal_column(f"'{noun}'"), row_exists)

    is_found = or_(
        found("list", _lists), found("label", _labels), found("task", _tasks, has_name=False)
    )
    return select(func.min(reference.c.number)).where(~is_found).scalar_subquery()


MISSING = _missing()
"""The number of the first reference to a row that does not exist, from one; or null."""
