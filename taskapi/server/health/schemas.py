"""Shapes of what the service says of itself."""

from __future__ import annotations

from marshmallow import Schema, fields


class Links(Schema):
    """Where to go on."""

    docs = fields.String(required=True)
    redoc = fields.String(required=True)
    openapi = fields.String(required=True)
    health = fields.String(required=True)


class Service(Schema):
    """What this is."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    links = fields.Nested(Links, required=True)


class Health(Schema):
    """That all is well."""

    status = fields.String(required=True, metadata={"const": "ok"})


class ProblemKind(Schema):
    """A kind of error."""

    type = fields.String(required=True, metadata={"format": "uri-reference"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True)
    description = fields.String(required=True)
