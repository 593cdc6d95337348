"""Schemas of what clients send, checked strictly, and how a violation is reported."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, missing

from taskapi.http.fields import Message
from taskapi.problems import MAX_ERRORS, FieldError, InvalidInput, reference_token

_MAX_NESTED = 10
"""The unknown names that are reported of an object that is a field's value."""


class Input(Schema):
    """What a client sends. A name that the schema does not know is an error.

    `read_only` names what the service itself writes: a client may send it back, and it is ignored.
    """

    read_only: ClassVar[frozenset[str]] = frozenset()
    error_messages = {"unknown": Message("There is no such field.", "unknown_field")}

    class Meta:
        unknown = RAISE


def load(schema: Input, values: Mapping[str, Any], *, prefix: str = "/") -> dict[str, Any]:
    """Check what a client sent and give it as the service keeps it.

    Args:
        prefix: what stands before a name to point at it: `/` in a body (RFC 6901), else nothing.

    Raises:
        InvalidInput: names every field that is wrong.
    """
    known = {name: value for name, value in values.items() if name not in schema.read_only}
    try:
        return _deserialized(schema, known)
    except ValidationError:
        pass  # of all that is wrong this was the first
    try:
        loaded: dict[str, Any] = schema.load(_looked_at(schema, known))
        return loaded
    except ValidationError as error:
        raise InvalidInput.of(list(_field_errors(error.messages_dict, prefix))) from None


def load_nested(schema: Input, value: Any) -> dict[str, Any]:
    """Check an object inside of what a client sent, for a field's `_deserialize`.

    Raises:
        ValidationError: names every field in it that is wrong.
    """
    if not isinstance(value, dict):
        raise ValidationError(Message("Must be an object.", "not_an_object"))
    known = {name: given for name, given in value.items() if name not in schema.read_only}
    loaded: dict[str, Any] = schema.load(_looked_at(schema, known, most=_MAX_NESTED))
    return loaded


def _deserialized(schema: Input, known: Mapping[str, Any]) -> dict[str, Any]:
    """What `Schema.load` gives where nothing is wrong, without what it does for hooks and lists."""
    if not known.keys() <= schema.load_fields.keys():
        raise ValidationError("unknown fields")
    loaded = {
        name: field.deserialize(known.get(name, missing), name, known)
        for name, field in schema.load_fields.items()
    }
    return {name: value for name, value in loaded.items() if value is not missing}


def _looked_at(
    schema: Input, known: Mapping[str, Any], *, most: int = MAX_ERRORS
) -> dict[str, Any]:
    """What there are fields for, and of the rest as much as a problem names."""
    rest = islice((name for name in known if name not in schema.load_fields), most)
    names = {*schema.load_fields, *rest}
    return {name: value for name, value in known.items() if name in names}


def _field_errors(messages: Mapping[Any, Any], prefix: str) -> list[FieldError]:
    found = []
    for name, said in messages.items():
        pointer = prefix + (reference_token(str(name)) if prefix else name)
        if isinstance(said, dict):
            found += _field_errors(said, f"{pointer}/")
        else:
            found += [FieldError(pointer, m, getattr(m, "code", "invalid")) for m in said]
    return found
