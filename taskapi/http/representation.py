"""Derives the input, the output and the JSON of a resource from its schema.

Fields with `dump_only` are read-only: clients may send them back, and they are ignored. The
metadata `sort` means that lists can be sorted by the field, `filter` is its name in filters, and
`null` is what null in a change stands for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from marshmallow import Schema, fields

from taskapi.http.pagination import PageFields
from taskapi.http.problem_schema import ProblemDetails
from taskapi.http.schemas import Input

Represent = Callable[[Any], dict[str, Any]]
"""The JSON of a row."""

F = TypeVar("F", bound=fields.Field[Any])

_VALUE_OF = "value_of"


@runtime_checkable
class Merged(Protocol):
    """A field whose value is an object, which a merge patch changes in part."""

    def merged(self) -> fields.Field[Any]:
        """The field in a merge patch."""


_by_noun: dict[str, Represent] = {}


def computed(field: F, value_of: Callable[[Any], Any]) -> F:
    """A field whose JSON is `value_of(row)` instead of the column of the same name."""
    field.metadata = {**field.metadata, _VALUE_OF: value_of}
    return field


class InputSchemas(NamedTuple):
    """The schemas of a new resource, of changes to one, and of a merge patch (RFC 7396)."""

    new: type[Input]
    changes: type[Input]
    patch: type[Input]


def input_schemas(resource: type[Schema], in_responses: Iterable[str]) -> InputSchemas:
    """The schemas of input.

    In a new resource, null means that an optional field is not given. In changes, null restores the
    default, the field's metadata `null`.

    Args:
        in_responses: all fields that the resource has in responses.
    """
    name = resource.__name__
    writable = {n: f for n, f in declared_fields(resource).items() if not f.dump_only}
    read_only = frozenset(in_responses) - writable.keys()
    new = {n: f if f.required else _copy(f, allow_none=True) for n, f in writable.items()}
    changes = {n: _changed_field(field) for n, field in writable.items()}
    merged = {n: f.merged() for n, f in writable.items() if isinstance(f, Merged)}
    defaults = {n: f.metadata["null"] for n, f in writable.items() if "null" in f.metadata}
    words = _words(name)
    about = f"Changes to a {words}. Omitted fields keep their values."
    changing = {"read_only": read_only, "null_values": defaults, "__doc__": about}
    creating = {"read_only": read_only, "drops_null": True, "__doc__": f"A new {words}."}
    of_changes = type(f"{name}Changes", (Input,), {**changes, **changing})
    patching = {**changes, **merged, **changing, "__doc__": f"A merge patch of a {words}."}
    return InputSchemas(
        type(f"New{name}", (Input,), {**new, **creating}),
        of_changes,
        type(f"{name}Patch", (Input,), patching) if merged else of_changes,
    )


def output_schema(resource: type[Schema]) -> type[Schema]:
    """The schema of a resource in a response, which has all fields."""
    output = {n: _output_field(field) for n, field in declared_fields(resource).items()}
    return type(resource.__name__, (Schema,), {**output, "__doc__": resource.__doc__})


def page_schema(name: str, plural: str, row: type[Schema], **overrides: Any) -> type[Schema]:
    """The schema of a page of resources; `overrides` replace its fields."""
    about = f"The {plural} of this page."
    rows = fields.List(fields.Nested(row), required=True, metadata={"description": about})
    members = {plural: rows, "__doc__": f"A page of {plural}.", **overrides}
    return type(name, (PageFields,), members)


def conflict_schema(noun: str, output: type[Schema]) -> type[Schema]:
    """The schema of the error for another version, which contains the current one."""
    about = {"description": f"The {noun} in its current version."}
    current = fields.Nested(output, required=True, metadata=about)
    members = {noun: current, "__doc__": f"The {noun} has another version."}
    return type(f"{output.__name__}Conflict", (ProblemDetails,), members)


def taken_schema(noun: str, output: type[Schema]) -> type[Schema]:
    """The schema of the errors 409, which contain the row that has a taken name."""
    about = {"description": f"For a taken name, the {noun} that has it."}
    found = fields.Nested(output, metadata=about)
    members = {noun: found, "__doc__": f"The {noun} conflicts with another row or a quota."}
    return type(f"{output.__name__}Taken", (ProblemDetails,), members)


def representation(resource: type[Schema]) -> Represent:
    """The function that returns the JSON of a row."""
    declared = declared_fields(resource)
    values = [(n, f.metadata[_VALUE_OF]) for n, f in declared.items() if _VALUE_OF in f.metadata]
    is_computed = {name for name, _ in values}
    # One call fetches all columns in order; the ID is a placeholder for computed fields.
    columns = attrgetter(*("id" if name in is_computed else name for name in declared))
    names = tuple(declared)

    def represent(row: Any) -> dict[str, Any]:
        json = dict(zip(names, columns(row), strict=True))
        for name, value_of in values:
            json[name] = value_of(row)
        return json

    return represent


def register(noun: str, represent: Represent) -> None:
    """Make a representation known to `represent_as`."""
    _by_noun[noun] = represent


def represent_as(noun: str, row: Any) -> Mapping[str, Any]:
    """The JSON of a row of the resource with this name."""
    return _by_noun[noun](row)


def declared_fields(resource: type[Schema]) -> dict[str, fields.Field[Any]]:
    """The fields of a schema in the order of their declaration, with their metadata."""
    return resource().declared_fields


def _changed_field(field: fields.Field[Any]) -> fields.Field[Any]:
    allow_none = field.allow_none or "null" in field.metadata
    return _copy(field, required=False, allow_none=allow_none)


def _copy(field: fields.Field[Any], **attributes: Any) -> fields.Field[Any]:
    copied = copy.deepcopy(field)
    for name, value in attributes.items():
        setattr(copied, name, value)
    return copied


def _output_field(field: fields.Field[Any]) -> fields.Field[Any]:
    attributes = {"required": True, "dump_only": False}
    if hasattr(field, "output_alternatives"):
        attributes["alternatives"] = field.output_alternatives
    return _copy(field, **attributes)


def _words(name: str) -> str:
    """`SavedFilter` as `saved filter`."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
