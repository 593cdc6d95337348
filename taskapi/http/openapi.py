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

from taskapi.field_errors import FieldError
from taskapi.http.operations import Link, Operation, operation_of
from taskapi.http.problem_schema import ProblemDetails, SharedField, code_components
from taskapi.http.scopes import SCOPES
from taskapi.identity import MAX_ID
from taskapi.problems import InvalidInput, Problem, ProblemWithRow, all_problems

_EXAMPLE_REQUEST_ID = "6f1e0c9ab2d34b7f8a90c1d2"
_EXAMPLE_ERRORS = [FieldError("/title", "Required.", "required")]
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_DESCRIPTION = """\
A REST API for accounts and tasks. Bodies are JSON in UTF-8. Timestamps are in UTC.

- **Authentication.** Register or log in, then send `Authorization: Bearer <access_token>`. When the
  access token has expired, get a new one with `POST /auth/refresh`. Scripts send a personal access
  token instead, whose scopes limit what it can be used for.
- **Errors** are `application/problem+json` (RFC 9457). Show `detail` to people. Programs should use
  `code`.
- **Unknown fields** and parameters are errors (400). Read-only fields such as `id` and `created_at`
  are ignored in a body, so a client can send back what it received.
- **Workspaces.** At the root, tasks and all other content are those of your personal workspace. The
  content of the shared workspace 7 has the same operations below `/workspaces/7`. So a client
  changes only its base URL to work in another workspace.
- **Concurrent changes.** Each task, list, label, filter and comment has a `version`, which is its
  ETag. Send it in `If-Match`, and the change fails with 412 if the resource has changed since.
- **Retries.** Send an `Idempotency-Key` with a POST, and repeat the request with the same key after
  a connection error. It is performed once.
"""

_SERVERS = [
    {"url": "/", "description": "Personal workspace"},
    {
        "url": "/workspaces/{workspace_id}",
        "description": "Shared workspace",
        "variables": {
            "workspace_id": {
                "default": "7",
                "description": "The ID of the workspace, from `GET /workspaces`.",
            }
        },
    },
]

HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {
        "description": "The version of the response, for If-None-Match and If-Match.",
        "schema": {"type": "string"},
        "example": '"7"',
    },
    "Link": {
        "description": 'The URL of the next page, with rel="next" (RFC 8288); absent on the last.',
        "schema": {"type": "string"},
        "example": '</tasks?limit=20&cursor=WyItY3JlYXRlZF9hdCIsbnVsbCw0Ml0>; rel="next"',
    },
    "Location": {
        "description": "The URL of the created resource, or where the browser goes next.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/tasks/42",
    },
    "Set-Cookie": {
        "description": "The cookie that binds a sign-in to the browser.",
        "schema": {"type": "string"},
        "example": "__Secure-sign_in_0f1e2d3c4b5a6978=gAAAA...; Path=/auth/oidc/; HttpOnly",
    },
    "Idempotency-Replayed": {
        "description": "`true` if this is the stored response to an earlier request with this key.",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
    "X-Request-ID": {
        "description": "The ID of the request in the logs.",
        "schema": {"type": "string"},
        "example": _EXAMPLE_REQUEST_ID,
    },
    "Retry-After": {
        "description": "The number of seconds to wait before retrying.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 30,
    },
    "WWW-Authenticate": {
        "description": "The challenge (RFC 6750).",
        "schema": {"type": "string"},
        "example": 'Bearer realm="taskapi", error="invalid_token"',
    },
}
"""Response headers, by name."""

_TAG = '(W/)?"[!#-~]*"'
_ENTITY_TAGS = rf"^(\*|[ ,]*{_TAG}( *,[ ,]*({_TAG})?)*)$"
"""The form of If-Match: `*`, or entity tags in quotes (RFC 9110 section 13.1.1)."""

_WORDS = {
    "code": "The code of an error response.",
    "provider": "The name of the provider.",
}
"""Descriptions of the parameters of paths that are not IDs."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "description": (
            "A unique key that the client generates for this request, such as a UUID. A request"
            " that is repeated with the same key within 24 hours is not performed again: it gets"
            " the stored response. Responses with tokens are stored"
            " for two minutes."
        ),
        "schema": {
            "type": "string",
            "pattern": r'^("[ !#-\[\]-~]{1,255}"|[!#-\[\]-~]{1,255})$',
        },
        # No example: Swagger UI would send it with every request.
    },
    "If-Match": {
        "description": 'ETags in quotes, like `"7"`. The response is 412 unless one is current.',
        "schema": {"type": "string", "pattern": _ENTITY_TAGS},
    },
    "If-None-Match": {
        "description": 'ETags in quotes, like `"7"`. The response is 304 if one is current.',
        "schema": {"type": "string"},
    },
}
"""Request headers, by name."""


def build(app: Flask, version: str) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    marshmallow = MarshmallowPlugin(schema_name_resolver=_schema_name)
    spec = APISpec(
        title="taskapi",
        version=version,
        openapi_version="3.1.0",
        plugins=[marshmallow],
        info={
            "summary": "A backend for task managers.",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
            "contact": {"name": "The operators of this service"},
        },
        servers=_SERVERS,
        tags=[_tag(app, name) for name in _features(app)],
    )
    converter: Any = marshmallow.converter
    converter.add_attribute_function(_alternatives)
    converter.add_attribute_function(_uses)
    converter.add_attribute_function(_shared)
    spec.components.security_scheme(
        "bearer",
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` from register, login or refresh.",
        },
    )
    spec.components.security_scheme(
        "personal_access_token",
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "tapi_...",
            "description": _scopes_as_text(),
        },
    )
    for name, schema in code_components().items():
        spec.components.schema(name, schema)
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    for rule in app.url_map.iter_rules():
        declared = operation_of(app.view_functions[rule.endpoint])
        if declared:
            spec.path(path=_path(rule), operations=_operations(app, rule, declared))
    document: dict[str, Any] = spec.to_dict()
    document["components"]["examples"] = _examples_in(str(document["paths"]))
    document["components"]["responses"] = _shared_responses(document["paths"])
    return document


def _features(app: Flask) -> list[str]:
    """Names of the blueprints that have operations, in the order of their registration."""
    endpoints = {endpoint for endpoint, view in app.view_functions.items() if operation_of(view)}
    return [name for name in app.blueprints if any(e.startswith(f"{name}.") for e in endpoints)]


def _tag(app: Flask, feature: str) -> dict[str, str]:
    """The tag of a feature, described by the first line of its package's docstring."""
    package = sys.modules[app.blueprints[feature].import_name.rpartition(".")[0]]
    return {"name": feature, "description": (package.__doc__ or "").splitlines()[0]}


def _shared_responses(paths: dict[str, Any]) -> dict[str, Any]:
    """Replace the error responses of operations, most of which are equal, by references to them."""
    shared: dict[str, Any] = {}
    operations = (one for methods in paths.values() for one in methods.values())
    for responses in (operation["responses"] for operation in operations):
        for status, response in responses.items():
            problem = response.get("content", {}).get("application/problem+json", {})
            name = "_or_".join(problem.get("examples", ()))
            if name and shared.setdefault(name, response) == response:
                responses[status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


def _examples_in(paths: str) -> dict[str, Any]:
    """Examples of the problems that operations reference."""
    return {
        code: {"value": example_of(kind)}
        for code, kind in sorted(all_problems().items())
        if f"'#/components/examples/{code}'" in paths
    }


def _alternatives(converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """The schema of a field that is an object of one of several schemas, its `alternatives`."""
    schemas = getattr(field, "alternatives", ())
    refs = [converter.resolve_nested_schema(schema) for schema in schemas]
    refs += [{"type": "null"}] if refs and field.allow_none else []
    return {"oneOf": refs} if refs else {}


def _uses(_: Any, field: fields.Field[Any], **__: Any) -> dict[str, Any]:
    """The description of a field that filters use, with its name in filters."""
    name = field.metadata.get("filter")
    about = field.metadata.get("description", "")
    return {"description": f"{about} Its name in filters is `{name}`.".strip()} if name else {}


def _shared(_converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    if not isinstance(field, SharedField):
        return {}
    return {"$ref": f"#/components/schemas/{field.component}"}


def _schema_name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _operations(app: Flask, rule: Rule, declared: Operation) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    documented = {
        "operationId": view.__name__,
        "tags": [rule.endpoint.split(".")[0]],
        "summary": declared.summary,
        "description": inspect.cleandoc(view.__doc__ or ""),
        "parameters": _parameters(rule, declared),
        "responses": _responses(rule, declared),
        "security": _security(declared),
    }
    if declared.body:
        documented["requestBody"] = _request_body(declared)
    return {method.lower(): documented for method in _METHODS if method in (rule.methods or ())}


def _security(declared: Operation) -> list[dict[str, list[str]]]:
    login: list[dict[str, list[str]]] = [{"bearer": []}]
    if declared.is_token_optional:
        return [{}, *login]
    if declared.is_public:
        return []
    return [*login, *([{"personal_access_token": [*declared.scopes]}] if declared.scopes else [])]


def _scopes_as_text() -> str:
    """The description of personal access tokens, with their scopes in Markdown."""
    listed = "\n".join(f"- `{name}`: {about}" for name, about in SCOPES.items())
    return f"A `token` from `POST /auth/tokens`, with all scopes of the operation.\n\n{listed}"


def _parameters(rule: Rule, declared: Operation) -> list[Any]:
    in_path = [
        {
            "in": "path",
            "name": name,
            "required": True,
            **_argument(name),
        }
        for name in sorted(rule.arguments)
    ]
    in_query = [{"in": "query", "schema": declared.query}] if declared.query else []
    in_header = [{"in": "header", "name": name, **PARAMETERS[name]} for name in declared.parameters]
    return [*in_path, *in_query, *in_header]


def _argument(name: str) -> dict[str, Any]:
    """A parameter of a path: an ID if its name ends in `_id`, otherwise a word."""
    if name.endswith("_id"):
        schema = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
        return {"description": f"The ID of the {name.removesuffix('_id')}.", "schema": schema}
    return {"description": _WORDS[name], "schema": {"type": "string"}}


def _request_body(declared: Operation) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": declared.body}
    if declared.body_example is not None:
        media["example"] = declared.body_example
    content = {kind: dict(media) for kind in declared.media_types}
    return {"required": not declared.is_body_optional, "content": content}


def _responses(rule: Rule, declared: Operation) -> dict[str, Any]:
    writes = not declared.is_safe and "GET" not in (rule.methods or ())
    success: dict[str, Any] = {
        "description": HTTPStatus(declared.status).phrase,
        "headers": _headers(*declared.headers),
    }
    if declared.response:
        media: dict[str, Any] = {"schema": declared.response}
        if declared.example is not None:
            media["example"] = declared.example
        success["content"] = {"application/json": media}
    if declared.links:
        success["links"] = {link.operation: _link(link) for link in declared.links}
    responses = {str(declared.status): success}
    if "If-None-Match" in declared.parameters:
        responses["304"] = {
            "description": "Not Modified",
            "headers": _headers("ETag"),
        }
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in declared.all_problems(rule.rule, writes=writes):
        by_status.setdefault(problem.status, []).append(problem)
    for status, kinds in by_status.items():
        responses[str(status)] = _problem_response(declared, status, kinds)
    return responses


def _link(link: Link) -> dict[str, Any]:
    documented: dict[str, Any] = {"operationId": link.operation}
    documented |= {"parameters": dict(link.parameters)} if link.parameters else {}
    return documented | ({"requestBody": dict(link.body)} if link.body else {})


def _problem_response(
    declared: Operation, status: int, kinds: list[type[Problem]]
) -> dict[str, Any]:
    schema, members = declared.problem_schemas.get(status, (ProblemDetails, {}))
    examples = {
        kind.code: {"value": {**example_of(kind), **members}}
        if members and issubclass(kind, ProblemWithRow)
        else {"$ref": f"#/components/examples/{kind.code}"}
        for kind in kinds
    }
    return {
        "description": HTTPStatus(status).phrase,
        "headers": _headers(*(name for kind in kinds for name in kind.all_headers())),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    }


def _headers(*names: str) -> dict[str, str]:
    """References to these headers, and to the one that every response has."""
    return {name: name for name in sorted({"X-Request-ID", *names})}


def example_of(kind: type[Problem]) -> dict[str, Any]:
    """An example of a problem of this kind."""
    problem = InvalidInput.of(_EXAMPLE_ERRORS) if kind is InvalidInput else kind()
    return problem.body(_EXAMPLE_REQUEST_ID)
