"""The OpenAPI document is valid, complete, correct and committed."""

from __future__ import annotations

import ast
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator
from support import databases
from support.api import Api
from support.contract import Contract, validator_of

from taskapi import create_app
from taskapi.field_errors import FIELD_ERROR_CODES, MEANINGS
from taskapi.problems import all_problems

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "taskapi"
COMMITTED = ROOT / "docs" / "openapi.json"
DOCUMENT = json.loads(COMMITTED.read_text())


class Call(NamedTuple):
    """One operation of the document."""

    method: str
    path: str
    described: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


CALLS = [
    Call(method, path, described)
    for path, operations in DOCUMENT["paths"].items()
    for method, described in operations.items()
]


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found = DOCUMENT
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        node = found
    return node


def _media(call: Call) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each content of an operation with its status, or "body" for the request."""
    for media in call.described.get("requestBody", {}).get("content", {}).values():
        yield "body", media
    for status, response in call.described["responses"].items():
        for media in _resolved(response).get("content", {}).values():
            yield status, media


def _examples(media: dict[str, Any]) -> list[Any]:
    several = [_resolved(example)["value"] for example in media.get("examples", {}).values()]
    return [*several, *([media["example"]] if "example" in media else [])]


def test_the_committed_document_is_what_the_service_builds(app: Flask) -> None:
    built = app.extensions["taskapi_openapi"]()
    assert COMMITTED.read_bytes() == built, "run: flask openapi write"


def _takes_key(call: Call) -> bool:
    names = (parameter["name"] for parameter in call.described.get("parameters", ()))
    return "Idempotency-Key" in names


def test_the_guide_names_each_post_that_takes_no_idempotency_key() -> None:
    guide = (ROOT / "docs" / "api.md").read_text()
    table = guide.partition("All `POST` endpoints accept one except")[2].partition("\n## ")[0]
    named = re.findall(r"`(/[^`]+)`", table)
    posts = [call for call in CALLS if call.method == "post"]
    keyless = {call.path for call in posts if not _takes_key(call)}
    assert sorted(named) == sorted(keyless)


def test_the_served_document_is_the_built_one(app: Flask, client: FlaskClient) -> None:
    response = client.get("/openapi.json")
    assert response.mimetype == "application/json"
    assert response.data == app.extensions["taskapi_openapi"]()


def test_the_document_is_compressed_if_the_client_supports_it(client: FlaskClient) -> None:
    plain = client.get("/openapi.json")
    small = client.get("/openapi.json", headers={"Accept-Encoding": "gzip, deflate, br"})
    refused = client.get("/openapi.json", headers={"Accept-Encoding": "gzip;q=0"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.data) == plain.data == refused.data
    assert len(small.data) < len(plain.data) / 5
    assert int(small.headers["Content-Length"]) == len(small.data)
    assert "Content-Encoding" not in plain.headers
    for response in (plain, small):
        assert "Accept-Encoding" in response.headers["Vary"]
        assert response.headers["Cache-Control"] == "private, no-cache"


def test_the_document_is_not_sent_again(client: FlaskClient) -> None:
    tags = set()
    for accepted in ("gzip", "identity"):
        headers = {"Accept-Encoding": accepted}
        tag = client.get("/openapi.json", headers=headers).headers["ETag"]
        again = client.get("/openapi.json", headers=headers | {"If-None-Match": tag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
        other = client.get("/openapi.json", headers=headers | {"If-None-Match": '"x"'})
        assert other.status_code == 200
        tags.add(tag)
    assert len(tags) == 2


def test_the_document_is_the_same_each_time() -> None:
    apps = [create_app(databases.settings_for("postgresql://")) for _ in range(2)]
    first, second = (app.extensions["taskapi_openapi"]() for app in apps)
    assert first == second


def test_the_document_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_operation_ids_are_unique() -> None:
    names = [call.described["operationId"] for call in CALLS]
    assert len(names) == len(set(names))
    summaries = [call.described["summary"] for call in CALLS]
    assert len(summaries) == len(set(summaries))


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_an_operation_is_described(call: Call) -> None:
    described = call.described
    assert described["summary"][0].isupper()
    assert not described["summary"].endswith(".")
    assert described["description"].endswith(".")
    (tag,) = described["tags"]
    assert tag in {known["name"] for known in DOCUMENT["tags"]}
    for parameter in described["parameters"]:
        assert parameter["description"], parameter["name"]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_an_operation_lists_its_errors(call: Call) -> None:
    described, statuses = call.described, set(call.described["responses"])
    assert statuses >= {"400", "500", "503"}
    if {"bearer": []} in described["security"] and {} not in described["security"]:
        assert statuses >= {"401", "403"}
    if call.method != "get":
        assert statuses >= {"408", "413", "415"}
    taken = {parameter["name"] for parameter in described["parameters"]}
    assert ("304" in statuses) == ("If-None-Match" in taken)
    assert ("412" in statuses) == ("If-Match" in taken)
    if "task_id" in taken:
        assert statuses >= {"403", "404"}


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_content_has_valid_examples(call: Call) -> None:
    for where, media in _media(call):
        examples = _examples(media)
        assert examples, f"{where} has no example"
        for example in examples:
            errors = list(validator_of(media["schema"], DOCUMENT).iter_errors(example))
            assert not errors, f"{where}: {errors}"


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_the_example_of_an_error_has_its_status(call: Call) -> None:
    for status, response in call.described["responses"].items():
        media = _resolved(response).get("content", {}).get("application/problem+json")
        assert (media is not None) == (int(status) >= 400)
        for code, example in (media or {}).get("examples", {}).items():
            shown = _resolved(example)["value"]
            assert (str(shown["status"]), shown["code"]) == (status, code)
            assert shown["type"] == f"/problems/{code}"


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_response_headers_are_documented(call: Call) -> None:
    needed = {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
    needed |= {"507": "Retry-After", "304": "ETag", "412": "ETag"}
    for status, response in call.described["responses"].items():
        headers = set(_resolved(response)["headers"])
        assert "X-Request-ID" in headers
        assert needed.get(status, "X-Request-ID") in headers
        assert all(
            _resolved(header)["description"] for header in _resolved(response)["headers"].values()
        )


@pytest.mark.parametrize("code", sorted(all_problems()))
def test_the_type_of_an_error_is_the_url_of_its_documentation(anonymous: Api, code: str) -> None:
    meaning = anonymous.expect(200, "GET", f"/problems/{code}")
    assert meaning["code"] == code
    assert meaning["description"]
    assert meaning["type"] == f"/problems/{code}"


def test_an_unknown_error_code_returns_404(anonymous: Api) -> None:
    for code in ("nothing", "Not_Found", "%00", "..", "InternalError"):
        anonymous.problem(404, "not_found", "GET", f"/problems/{code}")


SCHEMAS = DOCUMENT["components"]["schemas"]
ENUMS = {"FieldErrorCode": list(FIELD_ERROR_CODES), "ProblemCode": sorted(all_problems())}


@pytest.mark.parametrize("name", sorted(SCHEMAS.keys() - ENUMS.keys()))
def test_objects_list_and_describe_their_fields(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["additionalProperties"] is False
    assert set(schema.get("required", [])) <= set(schema["properties"])
    for field, property_ in schema["properties"].items():
        description = property_.get("description") or _resolved(property_)["description"]
        assert description.endswith(".") or description.count("\n- `"), field


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_codes_are_enums(name: str) -> None:
    assert SCHEMAS[name]["enum"] == ENUMS[name]
    assert SCHEMAS["ProblemDetails"]["properties"]["code"]["$ref"].endswith("/ProblemCode")
    assert SCHEMAS["FieldErrorDetails"]["properties"]["code"]["$ref"].endswith("/FieldErrorCode")


def test_every_code_of_a_field_error_is_used_and_explained() -> None:
    """mypy rejects a code that is used and not declared; this finds the reverse."""
    declaration = PACKAGE / "field_errors.py"
    sources = [path for path in PACKAGE.rglob("*.py") if path != declaration]
    constants = {
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
    }
    assert set(FIELD_ERROR_CODES) <= constants
    assert set(MEANINGS) == set(FIELD_ERROR_CODES)
    for code in FIELD_ERROR_CODES:
        assert f"- `{code}`: " in SCHEMAS["FieldErrorCode"]["description"]


def _patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "pattern" and isinstance(value, str):
                yield value
            yield from _patterns(value)
    elif isinstance(node, list):
        for value in node:
            yield from _patterns(value)


def test_patterns_can_be_copied_into_a_program() -> None:
    """hey-api turns Unicode escapes into characters, of which some end a line of TypeScript."""
    patterns = set(_patterns(DOCUMENT))
    assert patterns
    for pattern in patterns:
        re.compile(pattern)
        assert pattern.isascii()
        assert pattern.isprintable()
        assert "\\u" not in pattern


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_the_example_of_a_response_has_the_values_of_the_request(call: Call) -> None:
    media = dict(_media(call))
    success = next((media[s] for s in media if s.startswith("2")), None)
    if "body" not in media or success is None or call.path.startswith("/auth"):
        return
    sent, received = media["body"]["example"], success["example"]
    for name in sent.keys() & received.keys():
        value = received[name]
        if isinstance(value, dict):
            value = {member: value[member] for member in sent[name]}
        assert value == sent[name], name


@pytest.mark.parametrize(
    ("title", "is_valid"),
    [
        ("a", True),
        ("\u200b", True),
        ("🌱" * 255, True),
        ("🌱" * 256, False),
        ("", False),
        (" \t\u3000\u00a0", False),
        ("a\0b", False),
        (None, False),
        (1, False),
    ],
)
def test_the_document_accepts_the_titles_that_the_service_accepts(
    user: Api, contract: Contract, title: Any, is_valid: bool
) -> None:
    body = {"title": title}
    operation = contract.operation("POST", "/tasks")
    assert operation
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert validator_of(schema, DOCUMENT).is_valid(body) == is_valid
    assert user.send("POST", "/tasks", json=body).status_code == (201 if is_valid else 400)
