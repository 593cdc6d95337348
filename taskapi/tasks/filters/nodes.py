"""The syntax tree of a filter.

Filter expressions and the query parameters of a list both become these nodes, so they mean the
same. A condition is either true or false for a task: comparisons with a missing value are false.
`Not` is therefore the exact complement.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from taskapi.field_errors import FieldErrorCode

ASSIGNEE = "assignee"
ME = "me"
"""As a value of the assignee, the user whose request uses the filter."""


class FilterError(ValueError):
    """A filter is invalid. `offset` is the position of the error in code points."""

    def __init__(self, message: str, code: FieldErrorCode, offset: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.offset = offset


class Kind(Enum):
    """The type of a value. The values are the names in error messages."""

    TEXT = "a text"
    NUMBER = "a whole number"
    BOOLEAN = "true or false"
    TIME = "a date or an instant"


class Moment(NamedTuple):
    """A day or an instant relative to the current time: `today+1w`, `now-2h`."""

    has_time: bool
    steps: tuple[tuple[int, str], ...]
    """Amounts and their units, applied one after another."""


@dataclass(frozen=True)
class Value:
    """A value of a comparison. A time is a date, a datetime in UTC or a `Moment`."""

    kind: Kind
    value: Any
    offset: int | None = None


@dataclass(frozen=True)
class Comparison:
    """A field compared with a value. The operator is one of = < <= > >= ~."""

    field: str
    operator: str
    value: Value
    offset: int | None = None


@dataclass(frozen=True)
class IsNull:
    """True if the field is null."""

    field: str
    offset: int | None = None


@dataclass(frozen=True)
class Not:
    """The negation of a node."""

    part: Node


@dataclass(frozen=True)
class All:
    """True if all parts are true."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    """True if any part is true."""

    parts: tuple[Node, ...]


Node = Comparison | IsNull | Not | All | Either


def negated(node: Node) -> Node:
    """The negation of a node, without a double `Not`."""
    return node.part if isinstance(node, Not) else Not(node)
