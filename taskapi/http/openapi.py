"""The OpenAPI 3.1 document, built from the operations that the routes declare."""

from __future__ import annotations

import inspect
import re
import sys
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import fields
from werkzeug.routing import Rule

from taskapi.http.operations import Link, Operation, operation_of
from taskapi.http.problem_schema import ProblemDetails
from taskapi.identity import MAX_ID
from taskapi.problems import FieldError, InvalidInput, Problem, all_problems

_EXAMPLE_REQUEST_ID = "6f1e0c9ab2d34b7f8a90c1d2"
_EXAMPLE_ERRORS = [FieldError("/title", "Must be given.", "required")]
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_DESCRIPTION = """\
Accounts and tasks over HTTP: JSON in UTF-8, timestamps in UTC.

- **Tokens.** Register or log in, then send `Authorization: Bearer <access_token>`. When it has
  expired, `POST /auth/refresh` gives a new one.
- **Errors** are `application/problem+json` (RFC 9457): show `detail` to people, let programs decide
  by `code`.
- **Nothing is ignored.** A field or a parameter that does not exist is a 400 that names it. What
  the service itself writes (`id`, `created_at`, ...) may be sent back and changes nothing.
- **Safe writes.** Each task, list, label and filter has a `version`, which is its ETag: send it in
  `If-Match`, and a change that somebody else made meanwhile is a 412, never lost. Send an
  `Idempotency-Key` with a POST, and to repeat it after a broken connection does it once.
"""

HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {
        "description": "The version of what is shown, for If-None-Match and If-Match.",
        "schema": {"type": "string"},
        "example": '"7"',
    },
    "Link": {
        "description": 'Where the next page is, with rel="next" (RFC 8288); absent on the last.',
        "schema": {"type": "string"},
        "example": '</tasks?limit=20&cursor=WyItY3JlYXRlZF9hdCIsbnVsbCw0Ml0>; rel="next"',
    },
    "Location": {
        "description": "The address of what was created.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/tasks/42",
    },
    "Idempotency-Replayed": {
        "description": "`true` when this is the answer that an earlier request with the key had.",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
    "X-Request-ID": {
        "description": "The id under which the logs speak of this request.",
        "schema": {"type": "string"},
        "example": _EXAMPLE_REQUEST_ID,
    },
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 30,
    },
    "WWW-Authenticate": {
        "description": "The challenge of RFC 6750.",
        "schema": {"type": "string"},
        "example": 'Bearer error="invalid_token"',
    },
}
"""Headers of answers, by name."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "description": (
            "A key that the client has made up for this request, such as a UUID. Sent again with"
            " the same key within 24 hours, it is not done again, and gets the answer that it had."
        ),
        "schema": {
            "type": "string",
            "pattern": r'^("[ !#-\[\]-~]{1,255}"|[!#-\[\]-~]{1,255})$',
        },
        # No example: pages to try calls on would fill it in, the same one for each request.
    },
    "If-Match": {
        "description": 'Do it only if the current ETag, like `"7"`, is among these; else 412.',
        "schema": {"type": "string"},
    },
    "If-None-Match": {
        "description": 'ETags that the client has, like `"7"`; if one is current, it is a 304.',
        "schema": {"type": "string"},
    },
}
"""Headers of requests, by name."""


def build(app: Flask, version: str) -> dict[str, Any]:
    """The document of all operations of an application."""
    marshmallow = MarshmallowPlugin(schema_name_resolver=_schema_name)
    spec = APISpec(
        title="taskapi",
        version=version,
        openapi_version="3.1.0",
        plugins=[marshmallow],
        info={
            "summary": "A task backend to build front ends and scripts on.",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
            "contact": {"name": "The people who run this service"},
        },
        servers=[{"url": "/", "description": "This server"}],
        tags=[_tag(app, name) for name in _features(app)],
    )
    converter: Any = marshmallow.converter
    converter.add_attribute_function(_alternatives)
    converter.add_attribute_function(_uses)
    spec.components.security_scheme(
        "bearer",
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` of register, login or refresh.",
        },
    )
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    for rule in app.url_map.iter_rules():
        call = operation_of(app.view_functions[rule.endpoint])
        if call:
            spec.path(path=_path(rule), operations=_operations(app, rule, call))
    document: dict[str, Any] = spec.to_dict()
    document["components"]["examples"] = _examples_in(str(document["paths"]))
    return document


def _features(app: Flask) -> list[str]:
    """Names of the blueprints that have operations, in the order of their registration."""
    calls = {endpoint for endpoint, view in app.view_functions.items() if operation_of(view)}
    return [name for name in app.blueprints if any(c.startswith(f"{name}.") for c in calls)]


def _tag(app: Flask, feature: str) -> dict[str, str]:
    """A feature as its package describes itself in one line."""
    package = sys.modules[app.blueprints[feature].import_name.rpartition(".")[0]]
    return {"name": feature, "description": (package.__doc__ or "").splitlines()[0]}


def _examples_in(paths: str) -> dict[str, Any]:
    """The problems that the operations refer to, as they look."""
    return {
        code: {"value": example_of(kind)}
        for code, kind in sorted(all_problems().items())
        if f"'#/components/examples/{code}'" in paths
    }


def _alternatives(converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """A field that is an object of one of several shapes, which are its `alternatives`."""
    shapes = getattr(field, "alternatives", ())
    refs = [converter.resolve_nested_schema(shape) for shape in shapes]
    refs += [{"type": "null"}] if refs and field.allow_none else []
    return {"oneOf": refs} if refs else {}


def _uses(_: Any, field: fields.Field[Any], **__: Any) -> dict[str, Any]:
    """The description of a field that filters use, with its name in filters."""
    name = field.metadata.get("filter")
    about = field.metadata.get("description", "")
    return {"description": f"{about} Its name in filters is `{name}`.".strip()} if name else {}


def _schema_name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _operations(app: Flask, rule: Rule, call: Operation) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    described = {
        "operationId": view.__name__,
        "tags": [rule.endpoint.split(".")[0]],
        "summary": call.summary,
        "description": inspect.cleandoc(view.__doc__ or ""),
        "parameters": _parameters(rule, call),
        "responses": _responses(
            call, writes=not call.is_safe and "GET" not in (rule.methods or ())
        ),
        "security": _security(call),
    }
    if call.body:
        described["requestBody"] = _request_body(call)
    return {method.lower(): described for method in _METHODS if method in (rule.methods or ())}


def _security(call: Operation) -> list[dict[str, list[str]]]:
    needed: list[dict[str, list[str]]] = [] if call.is_public else [{"bearer": []}]
    return [{}, {"bearer": []}] if call.is_token_optional else needed


def _parameters(rule: Rule, call: Operation) -> list[Any]:
    in_path = [
        {
            "in": "path",
            "name": name,
            "required": True,
            **_argument(name),
        }
        for name in sorted(rule.arguments)
    ]
    in_query = [{"in": "query", "schema": call.query}] if call.query else []
    in_header = [{"in": "header", "name": name, **PARAMETERS[name]} for name in call.parameters]
    return [*in_path, *in_query, *in_header]


def _argument(name: str) -> dict[str, Any]:
    """What a path's parameter is: ids end in `_id`, everything else is a word."""
    if name.endswith("_id"):
        schema = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
        return {"description": f"The id of the {name.removesuffix('_id')}.", "schema": schema}
    return {"description": f"The {name}, as answers give it.", "schema": {"type": "string"}}


def _request_body(call: Operation) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": call.body}
    if call.body_example is not None:
        media["example"] = call.body_example
    return {"required": True, "content": {kind: dict(media) for kind in call.media_types}}


def _responses(call: Operation, *, writes: bool) -> dict[str, Any]:
    success: dict[str, Any] = {
        "description": HTTPStatus(call.status).phrase,
        "headers": _headers(*call.headers),
    }
    if call.answers:
        media: dict[str, Any] = {"schema": call.answers}
        if call.example is not None:
            media["example"] = call.example
        success["content"] = {"application/json": media}
    if call.links:
        success["links"] = {link.operation: _link(link) for link in call.links}
    responses = {str(call.status): success}
    if "If-None-Match" in call.parameters:
        responses["304"] = {
            "description": "Not Modified",
            "headers": _headers("ETag"),
        }
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in call.all_problems(writes=writes):
        by_status.setdefault(problem.status, []).append(problem)
    for status, kinds in by_status.items():
        responses[str(status)] = _problem_response(call, status, kinds)
    return responses


def _link(link: Link) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": link.operation}
    described |= {"parameters": dict(link.parameters)} if link.parameters else {}
    return described | ({"requestBody": dict(link.body)} if link.body else {})


def _problem_response(call: Operation, status: int, kinds: list[type[Problem]]) -> dict[str, Any]:
    shape, members = call.problem_shapes.get(status, (ProblemDetails, {}))
    examples = {
        kind.code: {"value": {**example_of(kind), **members}}
        if members
        else {"$ref": f"#/components/examples/{kind.code}"}
        for kind in kinds
    }
    return {
        "description": HTTPStatus(status).phrase,
        "headers": _headers(*(name for kind in kinds for name in kind.all_headers())),
        "content": {"application/problem+json": {"schema": shape, "examples": examples}},
    }


def _headers(*names: str) -> dict[str, str]:
    """References to these headers, and to the one that every answer has."""
    return {name: name for name in sorted({"X-Request-ID", *names})}


def example_of(kind: type[Problem]) -> dict[str, Any]:
    """A body of this kind of problem as it looks."""
    problem = InvalidInput.of(_EXAMPLE_ERRORS) if kind is InvalidInput else kind()
    return problem.body(_EXAMPLE_REQUEST_ID)
