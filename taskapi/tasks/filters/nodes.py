"""A filter, taken apart: conditions, and how they are put together.

Both the language of filters and the parameters of a list become these, so that either means the
same. What a condition says of a task is either true or false: what a task does not have is neither
equal to anything nor before or after it. So `Not` is the exact complement.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple


class FilterError(ValueError):
    """What is wrong with a filter: a sentence, a stable word, and the code point where it is."""

    def __init__(self, message: str, code: str, offset: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.offset = offset


class Kind(Enum):
    """What a value is; each is called what people call it."""

    TEXT = "a text"
    NUMBER = "a whole number"
    BOOLEAN = "true or false"
    TIME = "a date or an instant"


class Moment(NamedTuple):
    """A day, or with a time an instant, that is counted from when the filter is used."""

    has_time: bool
    steps: tuple[tuple[int, str], ...]
    """How many of which unit, one after another."""


@dataclass(frozen=True)
class Value:
    """What a field is compared with: of a time a date, a datetime in UTC or a `Moment`."""

    kind: Kind
    value: Any
    offset: int | None = None


@dataclass(frozen=True)
class Comparison:
    """A field beside a value; the operator is one of = < <= > >= ~."""

    field: str
    operator: str
    value: Value
    offset: int | None = None


@dataclass(frozen=True)
class IsNull:
    """A field that a task does not have."""

    field: str
    offset: int | None = None


@dataclass(frozen=True)
class Not:
    """What is not so."""

    part: Node


@dataclass(frozen=True)
class All:
    """What is all so."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    """Of what something is so."""

    parts: tuple[Node, ...]


Node = Comparison | IsNull | Not | All | Either


def negated(node: Node) -> Node:
    """What is so where a node is not."""
    return node.part if isinstance(node, Not) else Not(node)
