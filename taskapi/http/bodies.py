"""Reads request bodies completely, in time, as strict JSON.

JSON parsers disagree on documents with repeated names, NaN, lone surrogates or UTF-16, so these are
invalid (RFC 8259 and RFC 7493).
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NoReturn, TypeAlias

from flask import Request
from gevent import Timeout
from werkzeug.http import parse_options_header

from taskapi.field_errors import MAX_ERRORS, FieldError, reference_token, shortened
from taskapi.problems import (
    ContentTooLarge,
    InvalidInput,
    MalformedBody,
    RequestTimeout,
    UnsupportedMediaType,
)
from taskapi.runtime import MAX_CHUNKS

MAX_BYTES = 256 * 1024
"""More than the longest valid task with all characters escaped."""

READ_SECONDS = 10
_CACHED_TYPES = 64
_INCOMPLETE = "The body could not be read completely."
_MALFORMED_CHUNKS = (
    f"The chunked body is malformed or incomplete, or it has more than {MAX_CHUNKS:,} chunks."
)
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396."""


def read_object(
    request: Request, accepted: tuple[str, ...] = (JSON,), *, is_optional: bool = False
) -> dict[str, Any]:
    """The JSON object in the body of a request.

    Args:
        accepted: the supported media types.
        is_optional: whether an empty body stands for an empty object.

    Raises:
        UnsupportedMediaType, ContentTooLarge, RequestTimeout: as they say.
        MalformedBody: the body is empty, or not one JSON document in UTF-8.
        InvalidInput: it is not an object, or has text that PostgreSQL or JSON cannot represent.
    """
    is_chunked = "HTTP_TRANSFER_ENCODING" in request.environ
    if is_optional and not is_chunked and not request.content_length:
        return {}
    coding = request.environ.get("HTTP_CONTENT_ENCODING", "")
    if coding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            "Send the body without Content-Encoding.", headers={"Accept-Encoding": "identity"}
        )
    raw = _read(request)
    if not raw and is_optional:
        return {}
    if not raw:
        raise MalformedBody("The body is empty. Send a JSON object.")
    _check_type(request, accepted)
    document = _decode(raw)
    if not isinstance(document, dict):
        raise InvalidInput.at("", "Must be a JSON object.", "not_an_object")
    if b"\\u" in raw:
        _check_text(document)
    return document


def require_no_content(request: Request) -> None:
    """Check that the body is empty or an empty object.

    Raises:
        InvalidInput: it is another object.
        MalformedBody, UnsupportedMediaType, ContentTooLarge, RequestTimeout: as `read_object`.
    """
    if read_object(request, is_optional=True):
        raise InvalidInput.at("", "This operation takes no fields.", "unknown_field")


def _read(request: Request) -> bytes:
    is_chunked = "HTTP_TRANSFER_ENCODING" in request.environ
    length = request.content_length or 0
    if length > MAX_BYTES:
        raise ContentTooLarge
    try:
        with Timeout(READ_SECONDS, RequestTimeout):
            stream = request.environ["wsgi.input"]
            raw: bytes = stream.read(MAX_BYTES + 1 if is_chunked else length)
    except OSError:
        raise MalformedBody(_MALFORMED_CHUNKS if is_chunked else _INCOMPLETE) from None
    if len(raw) > MAX_BYTES:
        raise ContentTooLarge
    if len(raw) < length:
        raise MalformedBody("The body is shorter than its Content-Length.")
    return raw


def _check_type(request: Request, accepted: tuple[str, ...]) -> None:
    if not _is_json(request.environ.get("CONTENT_TYPE", ""), accepted):
        raise UnsupportedMediaType(
            f"Content-Type must be {' or '.join(accepted)}, and its charset UTF-8 if it has one.",
            headers={f"Accept-{request.method.capitalize()}": ", ".join(accepted)},
        )


@lru_cache(_CACHED_TYPES)
def _is_json(content_type: str, accepted: tuple[str, ...]) -> bool:
    media_type, parameters = parse_options_header(content_type)
    charset = parameters.get("charset", "utf-8").lower()
    return media_type.lower() in accepted and charset in ("utf-8", "utf8")


_INVALID_TEXT = re.compile("[\0\ud800-\udfff]")

_Path: TypeAlias = "tuple[_Path, str] | None"
"""The path of a value: the path of its container and its name there; None for the document."""


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        name = json.dumps(shortened(repeated))
        raise MalformedBody(f"The body has the name {name} twice in one object.")
    return document


def _raise_for_constant(name: str) -> NoReturn:
    raise MalformedBody(f"The body contains {name}, which is not JSON.")


_decoder = json.JSONDecoder(object_pairs_hook=_unique_names, parse_constant=_raise_for_constant)


def _decode(raw: bytes) -> Any:
    try:
        return _decoder.decode(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8 (at byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(
            f"The body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except ValueError:  # an integer of thousands of digits
        raise MalformedBody("The body contains a number with too many digits.") from None


def _check_text(document: dict[str, Any]) -> None:
    invalid = (path for path, text in _texts(document) if _INVALID_TEXT.search(text))
    errors = [
        FieldError(_pointer(path), "Must not contain NUL or a lone surrogate.", "invalid_text")
        for path in islice(invalid, MAX_ERRORS)
    ]
    if errors:
        raise InvalidInput.of(errors)


def _texts(document: dict[str, Any]) -> Iterator[tuple[_Path, str]]:
    """All strings in a document, including names, with their paths."""
    queue: deque[tuple[_Path, Any]] = deque([(None, document)])
    while queue:
        path, value = queue.popleft()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            for name, item in value.items():
                yield (path, "?"), name
                queue.append(((path, name), item))
        elif isinstance(value, list):
            queue.extend(((path, str(index)), item) for index, item in enumerate(value))


def _pointer(path: _Path) -> str:
    """The JSON Pointer of a path."""
    names: list[str] = []
    while path:
        path, name = path
        names.append(reference_token(name).encode(errors="replace").decode())
    return "".join(f"/{name}" for name in reversed(names))
