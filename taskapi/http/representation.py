"""A resource is declared once, as one schema; its input, its output and its JSON follow from it.

Fields that are `dump_only` are written by the service. A client may send them back, and they are
ignored. The metadata `sort` says that lists sort by the field, and `filter` is its name in filters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar

from marshmallow import Schema, fields

from taskapi.http.pagination import PageShape
from taskapi.http.problem_schema import ProblemDetails
from taskapi.http.schemas import Input

Represent = Callable[[Any], dict[str, Any]]
"""The JSON of a row."""

F = TypeVar("F", bound=fields.Field[Any])

_VALUE_OF = "value_of"

_by_noun: dict[str, Represent] = {}


def computed(field: F, value_of: Callable[[Any], Any]) -> F:
    """A field whose JSON follows from a row in another way than its column of the same name."""
    field.metadata = {**field.metadata, _VALUE_OF: value_of}
    return field


def input_schemas(resource: type[Schema]) -> tuple[type[Input], type[Input]]:
    """The schema of a new resource and the schema of changes to one."""
    name = resource.__name__
    given = {n: f for n, f in declared_fields(resource).items() if not f.dump_only}
    read_only = frozenset(declared_fields(resource).keys() - given.keys())
    optional = {n: _changed(field, required=False) for n, field in given.items()}
    new = f"A new {_words(name)}."
    changes = f"Changes to a {_words(name)}. Fields that are not given stay."
    return (
        type(f"New{name}", (Input,), {**given, "read_only": read_only, "__doc__": new}),
        type(f"{name}Changes", (Input,), {**optional, "read_only": read_only, "__doc__": changes}),
    )


def output_schema(resource: type[Schema]) -> type[Schema]:
    """The schema of a resource in a response, which has all fields."""
    shown = {n: _shown(field) for n, field in declared_fields(resource).items()}
    return type(resource.__name__, (Schema,), {**shown, "__doc__": resource.__doc__})


def page_schema(plural: str, output: type[Schema], **more: Any) -> type[Schema]:
    """The schema of a page of resources."""
    rows = fields.List(fields.Nested(output), required=True)
    about = {"__doc__": f"A page of {plural}."}
    return type(f"{output.__name__}Page", (PageShape,), {plural: rows, **about, **more})


def conflict_schema(noun: str, output: type[Schema]) -> type[Schema]:
    """The schema of the problem that shows a resource with its current version."""
    current = fields.Nested(output, required=True, metadata={"description": "Its current state."})
    about = {"__doc__": f"The {noun} has another version."}
    return type(f"{output.__name__}Conflict", (ProblemDetails,), {noun: current, **about})


def representation(noun: str, resource: type[Schema]) -> Represent:
    """The function that makes the JSON of a row.

    Args:
        noun: what a row is called where it is reported as the current state.
    """
    declared = declared_fields(resource)
    values = [(n, f.metadata[_VALUE_OF]) for n, f in declared.items() if _VALUE_OF in f.metadata]
    is_computed = {name for name, _ in values}
    # The id holds the place of what is computed, so that one call fetches all columns in order.
    columns = attrgetter(*("id" if name in is_computed else name for name in declared))
    names = tuple(declared)

    def represent(row: Any) -> dict[str, Any]:
        shown = dict(zip(names, columns(row), strict=True))
        for name, value_of in values:
            shown[name] = value_of(row)
        return shown

    _by_noun[noun] = represent
    return represent


def represent_as(noun: str, row: Any) -> Mapping[str, Any]:
    """The JSON of a row of the resource that is called so."""
    return _by_noun[noun](row)


def declared_fields(resource: type[Schema]) -> dict[str, fields.Field[Any]]:
    """The fields of a schema in the order of their declaration, with their metadata."""
    return resource().declared_fields


def _changed(field: fields.Field[Any], **attributes: Any) -> fields.Field[Any]:
    copied = copy.deepcopy(field)
    for name, value in attributes.items():
        setattr(copied, name, value)
    return copied


def _shown(field: fields.Field[Any]) -> fields.Field[Any]:
    shown = {"required": True, "dump_only": False}
    if hasattr(field, "shown_alternatives"):
        shown["alternatives"] = field.shown_alternatives
    return _changed(field, **shown)


def _words(name: str) -> str:
    """`SavedFilter` as words."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
