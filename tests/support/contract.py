"""Validates responses against the OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from werkzeug.test import TestResponse

_DOCUMENT = "urn:openapi"
_PREFIX = re.compile("^/workspaces/[^/]+(?=/(?!(members|invitations|transfer)\\b))")
"""The base URL of a workspace, below which the operations are the same."""


class Contract:
    """The responses that the document allows."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._registry = Registry().with_resource(_DOCUMENT, DRAFT202012.create_resource(document))
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$"), path, operations)
            for path, operations in document["paths"].items()
        ]

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The operation of a request; None if the document has none."""
        bare = _PREFIX.sub("", path.partition("?")[0])
        for pattern, _, operations in sorted(self._paths, key=lambda p: "{" in p[1]):
            if pattern.match(bare):
                return operations.get("get" if method == "HEAD" else method.lower())
        return None

    def check(self, method: str, path: str, response: TestResponse) -> None:
        """Fail unless the document allows this response of an operation."""
        assert response.headers.get("X-Request-ID")
        call = self.operation(method, path)
        if call is None:
            return
        documented = call["responses"].get(str(response.status_code))
        assert documented, f"{method} {path} answers {response.status_code}: not in the document"
        name = documented.get("$ref", "").rpartition("/")[2]
        documented = self.document["components"]["responses"][name] if name else documented
        known = set(documented.get("headers", {}))
        for name in ("ETag", "Link", "Location", "Retry-After", "WWW-Authenticate"):
            assert name not in response.headers or name in known, f"{name} is not in the document"
        if method != "HEAD":
            self._check_body(documented, response)

    def _check_body(self, documented: dict[str, Any], response: TestResponse) -> None:
        content = documented.get("content", {})
        if not content:
            assert not response.data
            return
        assert response.mimetype in content, f"{response.mimetype} is not in the document"
        schema = self._absolute(content[response.mimetype]["schema"])
        checker = Draft202012Validator.FORMAT_CHECKER
        validator = Draft202012Validator(schema, registry=self._registry, format_checker=checker)
        validator.validate(response.get_json())
        self._refuse_unknown(schema, response.get_json())

    def _absolute(self, schema: dict[str, Any]) -> dict[str, Any]:
        reference = schema.get("$ref")
        return {"$ref": _DOCUMENT + reference} if reference else schema

    def _refuse_unknown(self, schema: dict[str, Any], body: dict[str, Any]) -> None:
        """Fail for a field that the document does not contain."""
        name = schema.get("$ref", "").rpartition("/")[2]
        shape = self.document["components"]["schemas"][name] if name else schema
        unknown = set(body) - set(shape.get("properties", {}))
        assert not unknown, f"not in the document: {unknown}"
