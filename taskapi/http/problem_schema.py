"""The schema of every error (RFC 9457)."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from taskapi.field_errors import FIELD_ERROR_CODES, MEANINGS
from taskapi.problems import all_problems


class SharedField(fields.String):
    """A string whose schema is a component of the document.

    Args:
        component: the name of the component.
    """

    def __init__(self, component: str, **kwargs: Any) -> None:
        self.component = component
        super().__init__(**kwargs)


def problem_code() -> SharedField:
    """The code of a problem, in a response."""
    return SharedField("ProblemCode", required=True)


def code_components() -> dict[str, dict[str, Any]]:
    """The schemas of the codes of problems and of field errors."""
    meanings = "\n".join(f"- `{code}`: {MEANINGS[code]}" for code in FIELD_ERROR_CODES)
    return {
        "ProblemCode": {
            "type": "string",
            "enum": sorted(all_problems()),
            "description": "The kind of error, for programs. `GET /problems/{code}` explains it."
            " Later versions may add codes.",
        },
        "FieldErrorCode": {
            "type": "string",
            "enum": list(FIELD_ERROR_CODES),
            "description": f"The violated rule. Later versions may add codes.\n\n{meanings}",
        },
    }


class FieldErrorDetails(Schema):
    """A violation of a rule by the input."""

    pointer = fields.String(
        required=True,
        metadata={
            "description": "A JSON Pointer to the value in the body, or the name of the parameter."
        },
    )
    message = fields.String(
        required=True, metadata={"description": "An explanation of the error, for people."}
    )
    code = SharedField("FieldErrorCode", required=True)
    offset = fields.Integer(
        metadata={
            "minimum": 0,
            "description": "The position of the error in a filter, in code points.",
        }
    )


class ProblemDetails(Schema):
    """An error (RFC 9457)."""

    type = fields.String(
        required=True,
        metadata={
            "format": "uri-reference",
            "description": "The path of an explanation of this kind of error.",
        },
    )
    title = fields.String(
        required=True, metadata={"description": "The name of this kind of error."}
    )
    status = fields.Integer(required=True, metadata={"description": "The HTTP status."})
    detail = fields.String(
        required=True, metadata={"description": "An explanation of this error, for people."}
    )
    code = problem_code()
    request_id = fields.String(
        required=True,
        metadata={"description": "The ID of the request in the logs. Quote it to support."},
    )
    errors = fields.List(
        fields.Nested(FieldErrorDetails),
        metadata={"description": "For invalid input, the violated rules; at most 100."},
    )
