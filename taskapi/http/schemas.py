"""Schemas of input, and reports of what is invalid in it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, missing

from taskapi.field_errors import MAX_ERRORS, FieldError, FieldErrorCode, reference_token
from taskapi.http.fields import Message
from taskapi.problems import InvalidInput

_MAX_NESTED = 10
"""The number of unknown fields of a nested object that are reported."""


class Input(Schema):
    """Input. Unknown fields are errors; fields in `read_only` are ignored."""

    read_only: ClassVar[frozenset[str]] = frozenset()
    drops_null: ClassVar[bool] = False
    """Whether null means that an optional field is not given, as typed clients send it."""

    null_values: ClassVar[Mapping[str, Any]] = {}
    """What null stands for, by field."""

    error_messages = {"unknown": Message("Unknown field or parameter.", "unknown_field")}

    class Meta:
        unknown = RAISE


def load(schema: Input, values: Mapping[str, Any], *, prefix: str = "/") -> dict[str, Any]:
    """Validate and deserialize input.

    Args:
        prefix: the prefix of pointers: `/` for a body (RFC 6901), empty for a query string.

    Raises:
        InvalidInput: with all violations.
    """
    known = _given(schema, values)
    try:
        loaded = _deserialized(schema, known)
    except ValidationError:
        loaded = _loaded(schema, known, prefix)
    for name, value in schema.null_values.items():
        if name in loaded and loaded[name] is None:
            loaded[name] = value
    return loaded


def _loaded(schema: Input, known: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """As `_deserialized`, by marshmallow's own way, which collects all violations."""
    try:
        loaded: dict[str, Any] = schema.load(_limited(schema, known))
        return loaded
    except ValidationError as error:
        raise InvalidInput.of(list(_field_errors(error.messages_dict, prefix))) from None


def _given(schema: Input, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those that are ignored."""
    known = {name: value for name, value in values.items() if name not in schema.read_only}
    if schema.drops_null:
        return {n: v for n, v in known.items() if v is not None or _is_required(schema, n)}
    return known


def _is_required(schema: Input, name: str) -> bool:
    field = schema.load_fields.get(name)
    return field is None or field.required


def require_object(value: Any, like: str) -> dict[str, Any]:
    """The value, if it is a JSON object.

    Args:
        like: an example in JSON, for the message.

    Raises:
        ValidationError: it is no object.
    """
    if not isinstance(value, dict):
        raise ValidationError(Message(f"Must be an object like {like}.", "not_an_object"))
    return value


def load_nested(schema: Input, value: dict[str, Any]) -> dict[str, Any]:
    """Validate and deserialize a nested object, for a field's `_deserialize`.

    Raises:
        ValidationError: with all violations.
    """
    known = _given(schema, value)
    loaded: dict[str, Any] = schema.load(_limited(schema, known, most=_MAX_NESTED))
    return loaded


def _deserialized(schema: Input, known: Mapping[str, Any]) -> dict[str, Any]:
    """As `Schema.load`, without the time it takes for hooks and lists, up to the first error."""
    if not known.keys() <= schema.load_fields.keys():
        raise ValidationError("unknown fields")
    loaded = {
        name: field.deserialize(known.get(name, missing), name, known)
        for name, field in schema.load_fields.items()
    }
    return {name: value for name, value in loaded.items() if value is not missing}


def _limited(schema: Input, known: Mapping[str, Any], *, most: int = MAX_ERRORS) -> dict[str, Any]:
    """The known fields, and as many unknown ones as are reported."""
    rest = islice((name for name in known if name not in schema.load_fields), most)
    names = {*schema.load_fields, *rest}
    return {name: value for name, value in known.items() if name in names}


def _field_errors(messages: Mapping[Any, Any], prefix: str) -> list[FieldError]:
    errors = []
    for name, found in messages.items():
        pointer = prefix + (reference_token(str(name)) if prefix else name)
        if isinstance(found, dict):
            errors += _field_errors(found, f"{pointer}/")
        else:
            errors += [FieldError(pointer, text, _code(text)) for text in found]
    return errors


def _code(text: str) -> FieldErrorCode:
    return text.code if isinstance(text, Message) else "invalid"
