"""The rows that statements return: named tuples, which are read-only and cheap."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable
from typing import Any

_named_tuple: Any = namedtuple


def row_class(name: str, columns: Iterable[str]) -> Any:
    """The class of rows with these columns."""
    return _named_tuple(name, [*columns])
