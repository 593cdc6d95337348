"""Request bodies: read whole and in time, then decoded strictly.

Not every JSON reader agrees on what a document says that repeats a name, holds NaN or a lone
surrogate, or comes in UTF-16; such documents are refused rather than guessed at (RFC 8259 and
RFC 7493).
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

from taskapi.problems import (
    MAX_ERRORS,
    ContentTooLarge,
    FieldError,
    InvalidInput,
    LengthRequired,
    MalformedBody,
    RequestTimeout,
    UnsupportedMediaType,
    reference_token,
    shortened,
)

MAX_BYTES = 256 * 1024
"""More than the longest valid task, every character of it escaped."""

READ_SECONDS = 10
_REMEMBERED_TYPES = 64
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396."""


def read_object(request: Request, accepted: tuple[str, ...] = (JSON,)) -> dict[str, Any]:
    """The JSON object that the request carries.

    Args:
        accepted: the media types that the call takes.

    Raises:
        UnsupportedMediaType, LengthRequired, ContentTooLarge, RequestTimeout: as they say.
        MalformedBody: no body, or not exactly one JSON document in UTF-8.
        InvalidInput: not an object, or text that PostgreSQL or JSON cannot carry.
    """
    raw = _read(request)
    if not raw:
        raise MalformedBody("The request has no body; send a JSON object.")
    _check_type(request, accepted)
    document = _decode(raw)
    if not isinstance(document, dict):
        raise InvalidInput.at("", "Must be a JSON object.", "not_an_object")
    if b"\\u" in raw:
        _refuse_uncarriable_text(document)
    return document


def _read(request: Request) -> bytes:
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        raise LengthRequired
    length = request.content_length or 0
    if length > MAX_BYTES:
        raise ContentTooLarge
    try:
        with Timeout(READ_SECONDS, RequestTimeout):
            raw: bytes = request.environ["wsgi.input"].read(length)
    except OSError:
        raise MalformedBody("The body could not be read to its end.") from None
    if len(raw) < length:
        raise MalformedBody("The body ends before its Content-Length.")
    return raw


def _check_type(request: Request, accepted: tuple[str, ...]) -> None:
    if not _is_json(request.environ.get("CONTENT_TYPE", ""), accepted):
        raise UnsupportedMediaType(
            f"Send the body as {' or '.join(accepted)}, and say so in the Content-Type header.",
            headers={f"Accept-{request.method.capitalize()}": ", ".join(accepted)},
        )


@lru_cache(_REMEMBERED_TYPES)
def _is_json(content_type: str, accepted: tuple[str, ...]) -> bool:
    media_type, parameters = parse_options_header(content_type)
    return media_type.lower() in accepted and parameters.get("charset", "utf-8").lower() == "utf-8"


_UNCARRIABLE = re.compile("[\0\ud800-\udfff]")

_Way: TypeAlias = "tuple[_Way, str] | None"
"""How to come to a value: the way to what holds it, and its name there; no way to the document."""


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        shown = json.dumps(shortened(twice))
        raise MalformedBody(f"The body names {shown} twice in one object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(f"The body holds {name}, which is not JSON.")


_decoder = json.JSONDecoder(object_pairs_hook=_unique_names, parse_constant=_refuse_constant)


def _decode(raw: bytes) -> Any:
    try:
        return _decoder.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8 (at byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(
            f"The body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except ValueError:  # an integer of thousands of digits
        raise MalformedBody("The body holds a number with too many digits.") from None


def _refuse_uncarriable_text(document: dict[str, Any]) -> None:
    found = ((way, text) for way, text in _texts(document) if _UNCARRIABLE.search(text))
    errors = [
        FieldError(_pointer(way), "Must not contain NUL or a lone surrogate.", "invalid_text")
        for way, _ in islice(found, MAX_ERRORS)
    ]
    if errors:
        raise InvalidInput.of(errors)


def _texts(document: dict[str, Any]) -> Iterator[tuple[_Way, str]]:
    """Every string in a document, names included, with the way to it."""
    waiting: deque[tuple[_Way, Any]] = deque([(None, document)])
    while waiting:
        way, value = waiting.popleft()
        if isinstance(value, str):
            yield way, value
        elif isinstance(value, dict):
            for name, item in value.items():
                yield (way, "?"), name
                waiting.append(((way, name), item))
        elif isinstance(value, list):
            waiting.extend(((way, str(index)), item) for index, item in enumerate(value))


def _pointer(way: _Way) -> str:
    """The JSON Pointer of a way."""
    names: list[str] = []
    while way:
        way, name = way
        names.append(reference_token(name).encode(errors="replace").decode())
    return "".join(f"/{name}" for name in reversed(names))
