"""Parses filters. `grammar.lark` defines the language.

Parsing is linear, without recursion, and stops at the first violated limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from taskapi.http.fields import Message
from taskapi.http.timezones import (
    FIRST_INSTANT,
    INSTANT,
    LAST_INSTANT,
    OUT_OF_RANGE,
    is_known,
)
from taskapi.identity import MAX_ID
from taskapi.tasks.filters.hints import hint
from taskapi.tasks.filters.nodes import (
    All,
    Comparison,
    Either,
    FilterError,
    IsNull,
    Kind,
    Moment,
    Node,
    Not,
    Value,
    negated,
)

MAX_LENGTH = 2_000
MAX_DEPTH = 20
MAX_CONDITIONS = 100
"""Each value of `in (...)` counts as one."""

_CACHED_FILTERS = 128

DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
NOT_A_TIME = Message(
    "Must be a date like 2026-12-24, or an instant like 2026-12-24T17:00:00Z.", "not_a_time"
)

_NO_SUCH_DAY = Message("There is no such day.", "not_a_time")

_STEP = re.compile("([+-][0-9]+)(mo|[mhdwy])", re.IGNORECASE)
_DAYS_FROM_TODAY = {"today": (), "tomorrow": ((1, "d"),), "yesterday": ((-1, "d"),)}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MAX_QUOTED = 30

_EXPECTED = {
    "FIELD": "a field",
    "WORD": "a value",
    "OPERATOR": "an operator",
    "_NULL": "null",
    "_IN": "in",
    "_AND": "'and' or 'or'",
    "LPAR": "(",
    "COMMA": "a comma",
    "RPAR": ")",
}
"""Names of terminals in error messages. The first one that is allowed is reported."""


@lru_cache(_CACHED_FILTERS)
def parse(text: str) -> Node:
    """Parse a filter. Fields and values are not checked yet.

    Raises:
        FilterError: it has a syntax error, or exceeds a limit.
    """
    if len(text) > MAX_LENGTH:
        message = f"Must have at most {MAX_LENGTH:,} characters."
        raise FilterError(message, "length", MAX_LENGTH)
    # The import takes 0.1 seconds and 10 MB, so only workers that parse filters pay for it.
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        found: Node = _parser().parse(text)
    except UnexpectedCharacters as error:
        raise _unexpected(text, error.pos_in_stream or 0, error.allowed) from None
    except UnexpectedToken as error:
        offset = len(text) if error.token.type == "$END" else error.token.start_pos
        raise _unexpected(text, offset, error.accepts) from None
    return found


def time_of(text: str) -> date | datetime:
    """A date, or an instant in UTC (RFC 3339), with microseconds.

    Raises:
        ValueError: it is neither. The argument is a `Message`.
    """
    if re.fullmatch(DATE, text, re.ASCII):
        day: date = _iso(date, text)
        if not FIRST_INSTANT.year <= day.year <= LAST_INSTANT.year:
            raise ValueError(OUT_OF_RANGE)
        return day
    if not re.fullmatch(INSTANT, text, re.ASCII):
        raise ValueError(NOT_A_TIME)
    instant: datetime = _iso(datetime, text)
    if not is_known(instant):
        raise ValueError(OUT_OF_RANGE)
    return instant.astimezone(UTC)


def _iso(kind: type[Any], text: str) -> Any:
    try:
        return kind.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(_NO_SUCH_DAY) from None


@cache
def _parser() -> Any:
    from lark import Lark, Transformer, v_args

    # The transformer builds the nodes during parsing, without a tree.
    builder = v_args(inline=True)(type("Builder", (Transformer,), dict(vars(_Builder))))()
    text = (files(__package__) / "grammar.lark").read_text()
    return Lark(text, parser="lalr", start="either", transformer=builder, postlex=_Limits())


class _Limits:
    """Raises an error at the first token that exceeds a limit."""

    always_accept = ()

    def process(self, stream: Iterator[Any]) -> Iterator[Any]:
        depth, conditions = 0, 0
        for token in stream:
            depth += {"LPAR": 1, "RPAR": -1}.get(token.type, 0)
            conditions += token.type in ("FIELD", "COMMA")
            if depth > MAX_DEPTH:
                message = f"Must have at most {MAX_DEPTH} levels of parentheses."
                raise FilterError(message, "too_deep", token.start_pos)
            if conditions > MAX_CONDITIONS:
                message = f"Must have at most {MAX_CONDITIONS} conditions."
                raise FilterError(message, "too_many", token.start_pos)
            yield token


class _Builder:
    """Builds nodes. The methods have the names of the grammar's rules."""

    def either(self, *parts: Node) -> Node:
        return parts[0] if len(parts) == 1 else Either(parts)

    def all(self, *parts: Node) -> Node:
        return parts[0] if len(parts) == 1 else All(parts)

    def negated(self, part: Node) -> Node:
        return negated(part)

    def is_true(self, field: Any) -> Node:
        return Comparison(str(field), "=", Value(Kind.BOOLEAN, True), field.start_pos)

    def compared(self, field: Any, operator: Any, value: Any) -> Node:
        if operator == "!=":
            return Not(_comparison(field, "=", value))
        return _comparison(field, str(operator), value)

    def is_null(self, field: Any) -> Node:
        return IsNull(str(field), field.start_pos)

    def is_not_null(self, field: Any) -> Node:
        return Not(IsNull(str(field), field.start_pos))

    def among(self, field: Any, *values: Any) -> Node:
        return Either(_equalities(field, values))

    def not_among(self, field: Any, *values: Any) -> Node:
        return Not(Either(_equalities(field, values)))

    def with_all(self, field: Any, *values: Any) -> Node:
        return All(_equalities(_labels(field), values))

    def with_none(self, field: Any, *values: Any) -> Node:
        return Not(Either(_equalities(_labels(field), values)))


def _labels(field: Any) -> Any:
    if field != "label":
        message = "Only the field label supports the operators all and none."
        raise FilterError(message, "operator", field.start_pos)
    return field


def _equalities(field: Any, values: Sequence[Any]) -> tuple[Node, ...]:
    return tuple(_comparison(field, "=", value) for value in values)


def _comparison(field: Any, operator: str, value: Any) -> Node:
    return Comparison(str(field), operator, _value(value), field.start_pos)


def _value(token: Any) -> Value:
    kind, offset = token.type, token.start_pos
    if kind == "WORD":
        return Value(Kind.TEXT, str(token), offset)
    if kind == "TEXT":
        return Value(Kind.TEXT, _unescaped(token, offset), offset)
    if kind == "NUMBER":
        # Longer numbers are out of range, and slow to parse.
        number = int(token) if len(token) <= len(str(MAX_ID)) else MAX_ID + 1
        return Value(Kind.NUMBER, number, offset)
    if kind == "BOOLEAN":
        return Value(Kind.BOOLEAN, token.lower() == "true", offset)
    if kind == "MOMENT":
        return Value(Kind.TIME, _moment(token, offset), offset)
    try:
        return Value(Kind.TIME, time_of(str(token)), offset)
    except ValueError as error:
        (message,) = error.args
        raise FilterError(message, message.code, offset) from None


def _unescaped(token: str, offset: int) -> str:
    for escaped in _ESCAPED.finditer(token):
        if escaped[1] not in "\\'\"":
            message = "A backslash must precede a quote or another backslash."
            raise FilterError(message, "syntax", offset + escaped.start())
    return _ESCAPED.sub(r"\1", token[1:-1])


def _moment(token: str, offset: int) -> Moment:
    name = re.split("[+-]", token.lower())[0]
    found = _STEP.findall(token)
    if any(unit == "M" for _, unit in found):
        message = "Write mo for months and m for minutes: M could be either."
        raise FilterError(message, "not_a_time", offset)
    steps = tuple((int(amount), unit.lower()) for amount, unit in found)
    if name == "now":
        return Moment(True, steps)
    if any(unit in "mh" for _, unit in steps):
        message = f"The units of {name} are d, w, mo and y. Use now for hours (h) and minutes (m)."
        raise FilterError(message, "not_a_time", offset)
    return Moment(False, (*_DAYS_FROM_TODAY[name], *steps))


def _unexpected(text: str, offset: int, allowed: set[str]) -> FilterError:
    found = text[offset : offset + _MAX_QUOTED].split()
    quoted = f"'{found[0]}'" if found else "the end"
    expected = next((words for name, words in _EXPECTED.items() if name in allowed), "the end")
    message = f"Expected {expected}, found {quoted} at offset {offset}."
    if advice := hint(text, offset):
        return FilterError(advice, "not_a_time", offset)
    if quoted[1] in "\"'":
        message = f"The text that starts at offset {offset} has no closing quote."
    return FilterError(message, "syntax", offset)
