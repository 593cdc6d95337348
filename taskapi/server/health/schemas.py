"""The schemas of the service's operations."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.problem_schema import problem_code


def _text(about: str, **metadata: str) -> fields.String:
    return fields.String(required=True, metadata={"description": about, **metadata})


class ServiceLinks(Schema):
    """Paths of the documentation and the health check."""

    docs = _text("The path of Swagger UI.")
    redoc = _text("The path of ReDoc.")
    openapi = _text("The path of the OpenAPI document.")
    health = _text("The path of the readiness check.")


class Service(Schema):
    """Name, version and links of the service."""

    name = _text("The name of the service.")
    version = _text("The version of the service.")
    links = fields.Nested(
        ServiceLinks, required=True, metadata={"description": "Links to other pages."}
    )


class Health(Schema):
    """A passed health check."""

    status = _text("The state of the service.", const="ok")


class ProblemKind(Schema):
    """A kind of error."""

    type = _text("The path of this explanation.", format="uri-reference")
    title = _text("The name of this kind of error.")
    status = fields.Integer(required=True, metadata={"description": "The HTTP status."})
    code = problem_code()
    description = _text("An explanation of this kind of error.")
