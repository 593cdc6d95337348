"""The schema of every error (RFC 9457)."""

from __future__ import annotations

from marshmallow import Schema, fields


class FieldErrorDetails(Schema):
    """One violation of a rule."""

    pointer = fields.String(
        required=True,
        metadata={"description": "Where: a JSON Pointer into the body, or a parameter's name."},
    )
    message = fields.String(required=True, metadata={"description": "What, for people."})
    code = fields.String(required=True, metadata={"description": "What, for programs."})
    offset = fields.Integer(
        metadata={
            "minimum": 0,
            "description": "Where in a filter, in code points from its beginning.",
        }
    )


class ProblemDetails(Schema):
    """An error (RFC 9457)."""

    type = fields.String(required=True, metadata={"format": "uri-reference"})
    title = fields.String(required=True, metadata={"description": "The kind of error."})
    status = fields.Integer(required=True, metadata={"description": "The HTTP status."})
    detail = fields.String(required=True, metadata={"description": "A sentence for people."})
    code = fields.String(required=True, metadata={"description": "A stable word for programs."})
    request_id = fields.String(required=True, metadata={"description": "What to quote to support."})
    errors = fields.List(
        fields.Nested(FieldErrorDetails),
        metadata={"description": "The violations, for invalid input."},
    )
