"""Objects in a JSON merge patch (RFC 7396), which change a part of a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from marshmallow import Schema

from taskapi.http.fields import Value
from taskapi.http.schemas import Input, load_nested


class Patch(NamedTuple):
    """Changes to an object, valid in themselves, as the client sent them."""

    changes: Mapping[str, Any]


class PatchField(Value):
    """An object in a merge patch.

    It is deserialized as the whole value if it determines that, and otherwise as a `Patch`.

    Args:
        whole: the field of a whole value.
        schema: the schema of the changes.
        is_whole: whether changes determine the value, whatever it was before.
    """

    def __init__(
        self, whole: Value, schema: Input, is_whole: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        self._whole, self._schema, self._is_whole = whole, schema, is_whole
        self.alternatives: tuple[type[Schema], ...] = (type(schema),)
        metadata = {"description": whole.metadata["description"]}
        super().__init__(allow_none=whole.allow_none, metadata=metadata)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict) or self._is_whole(value):
            return self._whole.deserialize(value)
        load_nested(self._schema, value)
        return Patch(value)
