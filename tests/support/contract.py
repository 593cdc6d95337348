"""Validates responses against the OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema_rs import Draft202012Validator
from werkzeug.test import TestResponse

_PREFIX = re.compile("^/workspaces/[^/]+(?=/(?!(members|invitations|transfer)\\b))")
"""The base URL of a workspace, below which the operations are the same."""

# The service also accepts local parts of more than 64 characters.
_FORMATS = {"idn-email": lambda text: "@" in text}


def validator_of(schema: dict[str, Any], document: dict[str, Any]) -> Draft202012Validator:
    """A validator for a schema in the document, which can reference others there."""
    rooted = {**schema, "components": document["components"]}
    return Draft202012Validator(rooted, formats=_FORMATS, validate_formats=True)


class Contract:
    """The responses that the document allows."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._validators: dict[str, Draft202012Validator] = {}
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$"), operations)
            for path, operations in sorted(document["paths"].items(), key=lambda p: "{" in p[0])
        ]

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The operation of a request; None if the document has none."""
        bare = _PREFIX.sub("", path.partition("?")[0])
        for pattern, operations in self._paths:
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
        schema = content[response.mimetype]["schema"]
        self._validator(schema).validate(response.get_json())
        self._refuse_unknown(schema, response.get_json())

    def _validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        key = json.dumps(schema)
        if key not in self._validators:
            self._validators[key] = validator_of(schema, self.document)
        return self._validators[key]

    def _refuse_unknown(self, schema: dict[str, Any], body: dict[str, Any]) -> None:
        """Fail for a field that the document does not contain."""
        name = schema.get("$ref", "").rpartition("/")[2]
        shape = self.document["components"]["schemas"][name] if name else schema
        unknown = set(body) - set(shape.get("properties", {}))
        assert not unknown, f"not in the document: {unknown}"
