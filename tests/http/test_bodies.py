"""Request bodies: media type, length, decoding and errors.

Every error is a problem with its cause, and changes nothing.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import Api
from support.calls import CALLS
from support.resources import body_of, create

JSON = {"content_type": "application/json"}
MERGE_PATCH = "application/merge-patch+json"
LARGEST = 256 * 1024
TAKES_A_BODY = [call for call in CALLS if call.body]

# Each with a word that the error must contain.
MALFORMED = {
    "empty": (b"", "is empty"),
    "blank": (b" \n", "not valid JSON"),
    "a word": (b"title", "not valid JSON"),
    "cut off": (b'{"title": "a"', "not valid JSON"),
    "single quotes": (b"{'title': 'a'}", "not valid JSON"),
    "trailing comma": (b'{"title": "a",}', "not valid JSON"),
    "comment": (b'{"title": "a"} // b', "not valid JSON"),
    "two documents": (b'{"title": "a"}{"title": "b"}', "not valid JSON"),
    "trailing garbage": (b'{"title": "a"}x', "not valid JSON"),
    "trailing NUL": (b'{"title": "a"}\0', "not valid JSON"),
    "a form": (b"title=a", "not valid JSON"),
    "raw control character": (b'{"title": "a\nb"}', "not valid JSON"),
    "raw NUL": (b'{"title": "a\0b"}', "not valid JSON"),
    "bad escape": (b'{"title": "\\x41"}', "not valid JSON"),
    "half an escape": (b'{"title": "\\u12"}', "not valid JSON"),
    "a name twice": (b'{"title": "a", "title": "b"}', '"title" twice'),
    "the same name twice": (b'{"title": "a", "title": "a"}', '"title" twice'),
    "an escaped name twice": (b'{"title": "a", "t\\u0069tle": "b"}', '"title" twice'),
    "an inner name twice": (b'{"title": {"a": 1, "a": 2}}', '"a" twice'),
    "a surrogate name twice": (b'{"\\ud800": 1, "\\ud800": 2}', '"\\ud800" twice'),
    "NaN": (b'{"title": NaN}', "NaN"),
    "Infinity": (b'{"title": [Infinity]}', "Infinity"),
    "-Infinity": (b'{"title": -Infinity}', "-Infinity"),
    "leading zero": (b'{"title": 01}', "not valid JSON"),
    "two BOMs": (b'\xef\xbb\xbf\xef\xbb\xbf{"title": "a"}', "not valid JSON"),
    "UTF-16": ('{"title": "a"}'.encode("utf-16"), "not UTF-8 (at byte 0)"),
    "UTF-16 without BOM": ('{"title": "a"}'.encode("utf-16-le"), "not valid JSON"),
    "UTF-32": ('{"title": "a"}'.encode("utf-32"), "not UTF-8"),
    "Latin-1": ('{"title": "é"}'.encode("latin-1"), "not UTF-8 (at byte 11)"),
    "an overlong slash": (b'{"title": "\xc0\xaf"}', "not UTF-8"),
    "a raw surrogate": (b'{"title": "\xed\xa0\x80"}', "not UTF-8"),
    "beyond Unicode": (b'{"title": "\xf4\x90\x80\x80"}', "not UTF-8"),
    "5,000 digits": (b'{"title": ' + b"9" * 5_000 + b"}", "too many digits"),
    "-5,000 digits": (b'{"title": -' + b"9" * 5_000 + b"}", "too many digits"),
    "100,000 lists": (b'{"title": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"),
    "100,000 beginnings": (b"[" * 100_000, "too deeply"),
    "40,000 objects": (b'{"a":' * 40_000 + b"1" + b"}" * 40_000, "too deeply"),
}
UNCARRIABLE = {
    "NUL": (b'{"title": "a\\u0000b"}', "/title"),
    "NUL in a name": (b'{"title": "a", "b\\u0000": 1}', "/?"),
    "NUL in an inner name": (b'{"title": [{"b\\u0000": 1}]}', "/title/0/?"),
    "high surrogate": (b'{"title": "\\ud800"}', "/title"),
    "low surrogate": (b'{"title": "\\udfff"}', "/title"),
    "surrogates in the wrong order": (b'{"title": "\\ude00\\ud83d"}', "/title"),
    "surrogate in a name": (b'{"title": "a", "\\udc00": 1}', "/?"),
    "surrogate far down": (b'{"title": ["a", {"b/c~d": "\\ud83d"}]}', "/title/1/b~1c~0d"),
    "below a bad name": (b'{"\\ud800": {"a": "\\u0000"}}', "/?/a"),
    "an escape and NUL": (b'{"description": "\\\\u0000\\u0000"}', "/description"),
}


@pytest.fixture
def task(user: Api) -> dict[str, Any]:
    task = user.task(label_ids=[user.label()["id"]])
    user.comment(task["id"])
    return user.expect(200, "GET", f"/tasks/{task['id']}")


def _unchanged(user: Api, task: dict[str, Any]) -> bool:
    return user.expect(200, "GET", "/tasks") == {"tasks": [task], "total": 1, "next_cursor": None}


def _each_call(user: Api, task: dict[str, Any], *, is_empty: bool = False) -> list[tuple[str, str]]:
    """The method and the path of each operation that takes a body, without a further task.

    Args:
        is_empty: only operations that require a body.
    """
    known = {"task_id": task["id"], "list_id": task["list_id"], "label_id": task["label_ids"][0]}
    (comment,) = user.expect(200, "GET", f"/tasks/{task['id']}/comments")["comments"]
    known["comment_id"] = comment["id"]
    needed = {name for call in TAKES_A_BODY for name in call.arguments} - set(known)
    for argument in sorted(needed, key=lambda name: (name != "workspace_id", name)):
        known[argument] = create(argument, user, known)
    return [
        (call.method, call.path.format(**known))
        for call in TAKES_A_BODY
        if call.described["requestBody"]["required"] or not is_empty
    ]


@pytest.mark.parametrize("name", MALFORMED)
def test_a_body_that_is_not_one_json_document_is_malformed(
    user: Api, task: dict[str, Any], name: str
) -> None:
    body, word = MALFORMED[name]
    for method, path in _each_call(user, task, is_empty=not body):
        problem = user.problem(400, "malformed_body", method, path, data=body, **JSON)
        assert word in problem["detail"]
    assert _unchanged(user, task)


@pytest.mark.parametrize("body", [b"[]", b'[{"title": "a"}]', b'"title"', b"1", b"-0.5", b"null"])
def test_a_document_that_is_not_an_object_returns_400(
    user: Api, task: dict[str, Any], body: bytes
) -> None:
    for method, path in _each_call(user, task):
        problem = user.problem(400, "invalid_input", method, path, data=body, **JSON)
        assert problem["errors"] == [
            {"pointer": "", "message": "Must be a JSON object.", "code": "not_an_object"}
        ]
    assert _unchanged(user, task)


@pytest.mark.parametrize("name", UNCARRIABLE)
def test_text_that_cannot_be_stored_is_reported_with_its_pointer(
    user: Api, task: dict[str, Any], name: str
) -> None:
    body, pointer = UNCARRIABLE[name]
    for method, path in _each_call(user, task):
        problem = user.problem(400, "invalid_input", method, path, data=body, **JSON)
        assert pointer in {error["pointer"] for error in problem["errors"]}
        assert {error["code"] for error in problem["errors"]} == {"invalid_text"}
    assert _unchanged(user, task)


@pytest.mark.parametrize(
    "body",
    [
        b'{"title": "\\ud83c\\udf31"}',
        b'\n\t {"title"\r\n: "\xf0\x9f\x8c\xb1" } \n',
        b'{"\\u0074itle": "\\uD83C\\uDF31"}',
        b'{"description": "\\\\u0000", "title": "\xf0\x9f\x8c\xb1"}',
    ],
)
def test_every_notation_of_a_document_is_accepted(user: Api, body: bytes) -> None:
    assert user.expect(201, "POST", "/tasks", data=body, **JSON)["title"] == "🌱"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "json",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "application/problem+json",
        "application/*",
        "*/*",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        'application/json; charset="iso-8859-1"',
    ],
)
def test_another_media_type_returns_415_with_the_supported_ones(
    user: Api, task: dict[str, Any], content_type: str | None
) -> None:
    for method, path in _each_call(user, task):
        response = user.send(method, path, data=b'{"title": "New"}', content_type=content_type)
        assert response.status_code == 415
        problem = response.get_json()
        assert problem["code"] == "unsupported_media_type"
        accepted = f"application/json, {MERGE_PATCH}" if method == "PATCH" else "application/json"
        assert response.headers[f"Accept-{method.capitalize()}"] == accepted
        assert all(kind in problem["detail"] for kind in accepted.split(", "))
    assert _unchanged(user, task)


def test_only_patch_accepts_a_merge_patch(user: Api, task: dict[str, Any]) -> None:
    for call, (method, path) in zip(TAKES_A_BODY, _each_call(user, task), strict=True):
        data = json.dumps(body_of(call, user))
        response = user.send(method, path, data=data, content_type=MERGE_PATCH)
        assert response.status_code == (200 if method == "PATCH" else 415)


@pytest.mark.parametrize(
    "content_type",
    [
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json ; charset="utf-8"',
        "application/json; profile=x",
    ],
)
def test_every_notation_of_the_media_type_is_accepted(user: Api, content_type: str) -> None:
    user.expect(201, "POST", "/tasks", data=b'{"title": "New"}', content_type=content_type)


def test_a_body_may_have_the_maximum_size_but_no_byte_more(user: Api, task: dict[str, Any]) -> None:
    body = b'{"title": "New"}'
    for method, path in _each_call(user, task):
        problem = user.problem(
            413, "content_too_large", method, path, data=body.ljust(LARGEST + 1), **JSON
        )
        assert "256 KiB" in problem["detail"]
    assert _unchanged(user, task)
    user.expect(201, "POST", "/tasks", data=body.ljust(LARGEST), **JSON)


def test_the_longest_task_fits_with_every_character_escaped(user: Api) -> None:
    longest = {"title": "\U0010ffff" * 255, "description": "\U0010ffff" * 10_000}
    body = json.dumps(longest, ensure_ascii=True).encode()
    shown = user.expect(201, "POST", "/tasks", data=body, **JSON)
    assert {name: shown[name] for name in longest} == longest


@pytest.mark.parametrize("length", [str(LARGEST + 1), str(2**63), "9" * 30])
def test_a_body_with_too_large_a_length_is_not_read(user: Api, length: str) -> None:
    announced = {"CONTENT_LENGTH": length}
    user.problem(413, "content_too_large", "POST", "/tasks", environ_overrides=announced, **JSON)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "identity, gzip", "unknown"])
def test_an_encoded_body_returns_415(user: Api, task: dict[str, Any], coding: str) -> None:
    sent: dict[str, Any] = {"headers": {"Content-Encoding": coding}, "data": b'{"title": "a"}'}
    for method, path in _each_call(user, task):
        problem = user.problem(415, "unsupported_media_type", method, path, **sent | JSON)
        assert "Content-Encoding" in problem["detail"]
        response = user.send(method, path, **sent | JSON)
        assert response.headers["Accept-Encoding"] == "identity"
    assert _unchanged(user, task)


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_may_have_the_identity_encoding(user: Api, coding: str) -> None:
    sent: dict[str, Any] = {"headers": {"Content-Encoding": coding}, "data": b'{"title": "New"}'}
    user.expect(201, "POST", "/tasks", **sent | JSON)


@pytest.mark.parametrize("body", [b'{"title": "New"}', b""])
def test_a_truncated_body_returns_400(user: Api, task: dict[str, Any], body: bytes) -> None:
    announced = {"CONTENT_LENGTH": str(len(body) + 1)}
    sent: dict[str, Any] = {"environ_overrides": announced, "data": body} | JSON
    for method, path in _each_call(user, task):
        problem = user.problem(400, "malformed_body", method, path, **sent)
        assert "shorter than its Content-Length" in problem["detail"]
    assert _unchanged(user, task)


@pytest.mark.parametrize("length", ["", "-1", "x", "1.5"])
def test_an_invalid_length_means_no_body(user: Api, length: str) -> None:
    announced = {"CONTENT_LENGTH": length}
    sent: dict[str, Any] = {"environ_overrides": announced, "data": b'{"title": "a"}'} | JSON
    user.problem(400, "malformed_body", "POST", "/tasks", **sent)


def test_nesting_of_any_depth_is_handled(user: Api, task: dict[str, Any]) -> None:
    for depth in (*range(10, 800, 50), *range(800, 1_001), 2_000, 9_990, 20_000):
        body = b'{"title": ' + b"[" * depth + b'"\\u0000"' + b"]" * depth + b"}"
        response = user.send("PATCH", f"/tasks/{task['id']}", data=body, **JSON)
        assert response.status_code == 400
    assert _unchanged(user, task)


def test_deep_nesting_returns_400_in_a_thread_with_a_small_stack(app: Flask, user: Api) -> None:
    body = MALFORMED["100,000 lists"][0]
    person = world.person(app, user.contract, like=user)
    before = threading.stack_size(512 * 1024)
    try:
        with world.meanwhile(
            lambda: person.problem(400, "malformed_body", "POST", "/tasks", data=body, **JSON)
        ) as call:
            assert "too deeply" in call.result()["detail"]
    finally:
        threading.stack_size(before)
