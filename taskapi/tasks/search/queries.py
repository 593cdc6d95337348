"""How tasks are searched by their words: which are found, how well they match, and where."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    FromClause,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    text,
)
from sqlalchemy.sql.elements import TextClause

from taskapi.db.content_table import OwnedTable
from taskapi.db.pages import Reading, Sort
from taskapi.db.statement import Statement
from taskapi.extensions import table_of
from taskapi.tasks.columns import shown
from taskapi.tasks.due_columns import text_of
from taskapi.tasks.filters.conditions import MISSING, Shape, condition
from taskapi.tasks.models import Task
from taskapi.tasks.queries import SHAPES, UNCOUNTED, states
from taskapi.tasks.words_sql import asked_words

BEGIN, END = "\ufdd0", "\ufdd1"
"""Around what matches, in what PostgreSQL gives: characters that Unicode has for such purposes."""

_MARKS = f"StartSel={BEGIN}, StopSel={END}"
_WHOLE = f"{_MARKS}, HighlightAll=true"
_PARTS = f"{_MARKS}, MaxFragments=2, MaxWords=24, MinWords=8, FragmentDelimiter= \u2026 "

_SIMPLE: ColumnElement[str] = literal_column("'simple'::regconfig")


def _asked() -> TextClause:
    return text(asked_words(":asked")).bindparams(bindparam("asked", type_=Text()))


def _rank(rows: FromClause) -> ColumnElement[float]:
    """How well a task matches; a word counts for more in its title."""
    title = func.setweight(func.to_tsvector(_SIMPLE, rows.c.title), text_of("A"))
    body = func.to_tsvector(_SIMPLE, func.coalesce(rows.c.description, text_of("")))
    return func.ts_rank(title.op("||")(body), _asked(), type_=Double())


def _shown(rows: FromClause) -> Sequence[ColumnElement[Any]]:
    marked = {
        "marked_title": func.ts_headline(_SIMPLE, rows.c.title, _asked(), text_of(_WHOLE)),
        "marked_description": func.ts_headline(
            _SIMPLE, rows.c.description, _asked(), text_of(_PARTS)
        ),
    }
    found = [column.label(name) for name, column in marked.items()]
    return [*shown(rows), _rank(rows).label("rank"), *found]


def _loaded(value: Any) -> float:
    if not isinstance(value, float) or not 0 <= value <= 1:
        raise ValueError("not a rank")
    return value


SORTS = {"rank": Sort(key=_rank, type=Double(), value_of=lambda found: found["rank"], load=_loaded)}

BEST_FIRST = "-rank"


_found = OwnedTable(table_of(Task), "task", shown=_shown)


@lru_cache(SHAPES)
def search_page(reading: Reading, *, is_completed: bool | None, shape: Shape) -> Statement:
    """The statement of a page of what is found.

    Its parameter `asked` is the text that is searched for, which the filter of this shape searches
    for too.
    """
    found = condition(shape)
    parts = [and_(part, found) for part in states(is_completed=is_completed, is_one_part=True)]
    return _found.page(reading, parts=parts, total=UNCOUNTED, missing=MISSING)


def parts_of(marked: str | None) -> list[dict[str, Any]] | None:
    """A text in which matches are marked, in parts that are matches or are not."""
    if marked is None:
        return None
    first, *rest = marked.split(BEGIN)
    parts = [(first, False)]
    for piece in rest:
        match, _, other = piece.partition(END)
        parts += [(match, True), (other, False)]
    return [{"text": words, "is_match": is_match} for words, is_match in parts if words]
