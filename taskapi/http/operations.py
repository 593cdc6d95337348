"""What a call takes and answers, declared once: enforced here, documented by `core.openapi`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial, wraps
from typing import Any, ParamSpec
from urllib.parse import unquote_plus, unquote_to_bytes

from flask import Request as FlaskRequest
from flask import Response
from marshmallow import Schema
from werkzeug.routing import BaseConverter

from taskapi import problems as errors
from taskapi.db.concurrency import TooManyConcurrentRequests
from taskapi.http import idempotency
from taskapi.http.admission import RequestRateExceeded, admission
from taskapi.http.application import Request, current_request
from taskapi.http.bodies import JSON, read_object
from taskapi.http.schemas import Input, load
from taskapi.identity import MAX_ID, authenticate

_REMEMBERED_QUERIES = 256
_READS = ("GET", "HEAD")

P = ParamSpec("P")
View = Callable[..., Response]


@dataclass(frozen=True)
class Link:
    """Where a success leads to, for the document alone.

    Args:
        operation: the name of the view.
        parameters: what its parameters are then, as runtime expressions of OpenAPI.
        body: what the fields of its body are, likewise.
    """

    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call of the API.

    Args:
        summary: a few words; the view's docstring is the description.
        answers: the shape of a success; None when it has no content.
        example: a success as it looks.
        status: the status of a success.
        body: the shape of the JSON body; None when the call takes none.
        body_example: a body as it looks.
        media_types: what the body may come as.
        query: the shape of the query string; None when the call takes no parameter.
        is_public: whether it works without a token.
        is_safe: whether it changes nothing, though its method may (RFC 9110 section 9.2.1).
        is_token_optional: whether a public call takes note of a token all the same.
        problems: errors it can answer beside those that follow from the rest.
        problem_shapes: by status, the shape of problems that have more members, and these as they
            look.
        headers: names of headers of a success, each described in `core.openapi`.
        parameters: names of request headers that it understands, likewise.
        owner_of: of a public call, the account that a body's idempotency key belongs to; None when
            the body can be of none.
        links: calls that a success gives something for.
    """

    summary: str
    answers: type[Schema] | None = None
    example: Any = None
    status: int = 200
    body: Input | None = None
    body_example: Any = None
    media_types: tuple[str, ...] = (JSON,)
    query: Input | None = None
    is_public: bool = False
    is_safe: bool = False
    is_token_optional: bool = False
    problems: Sequence[type[errors.Problem]] = ()
    problem_shapes: Mapping[int, tuple[type[Schema], Mapping[str, Any]]] = field(
        default_factory=dict
    )
    headers: Sequence[str] = ()
    parameters: Sequence[str] = ()
    owner_of: Callable[[Mapping[str, Any]], idempotency.Owner | None] | None = None
    links: Sequence[Link] = ()

    @property
    def takes_key(self) -> bool:
        """Whether it is done once for each idempotency key; it has a body then."""
        return idempotency.HEADER in self.parameters

    def all_problems(self, *, writes: bool) -> list[type[errors.Problem]]:
        """Every error that the call can answer, as one that writes or as one that only reads."""
        found: list[type[errors.Problem]] = [*self.problems, errors.InvalidInput]
        found += [errors.OutcomeUnknown, errors.InsufficientStorage] if writes else []
        found += [errors.InternalError, errors.Unavailable]
        found += [RequestRateExceeded, TooManyConcurrentRequests]
        if not self.is_public:
            found += [errors.Unauthenticated, errors.TokenExpired, errors.TokenInvalid]
        if self.takes_key:
            found += [errors.KeyInUse, errors.KeyReused]
        if self.body:
            found += [
                errors.MalformedBody,
                errors.RequestTimeout,
                errors.LengthRequired,
                errors.ContentTooLarge,
                errors.UnsupportedMediaType,
            ]
        return sorted(set(found), key=lambda problem: (problem.status, problem.code))


_declared: dict[View, Operation] = {}


def operation(**declared: Any) -> Callable[[View], View]:
    """Make a view a call of the API.

    The view gets `caller` unless the call is public, `query` and `body` where they are declared,
    and the parameters of its path; all are checked by then.
    """
    call = Operation(**declared)
    takes_key = call.takes_key

    def decorate(view: View) -> View:
        def respond(request: Request, given: dict[str, Any]) -> Response:
            arguments = _arguments(call, request, given)
            if takes_key and "HTTP_IDEMPOTENCY_KEY" in request.environ:
                return _once(call, request, arguments, partial(view, **arguments))
            return view(**arguments)

        @wraps(view)
        def checked(**arguments: Any) -> Response:
            request = current_request()
            caller = None
            if not call.is_public:
                caller = arguments["caller"] = authenticate(request)
                request.user_id = caller.user_id
            elif request.method in _READS:
                return view(**_arguments(call, request, arguments))
            return admission().admit(request, caller, partial(respond, request, arguments))

        _declared[checked] = call
        return checked

    return decorate


def _arguments(call: Operation, request: Request, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the view, with the query and the body, both checked."""
    query = _loaded_query(call.query or _no_parameters, request)
    if call.query:
        given["query"] = query
    if call.body:
        given["body"] = load(call.body, read_object(request, call.media_types))
    return given


def _once(
    call: Operation, request: Request, arguments: Mapping[str, Any], respond: Callable[[], Response]
) -> Response:
    said = {**arguments.get("query", {}), **arguments.get("body", {})}
    if call.owner_of:
        owner = call.owner_of(said)
    else:
        owner = idempotency.owner_by_caller(arguments["caller"])
    return idempotency.once(request, owner, said, respond) if owner else respond()


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """The declaration of a view; None when it is no call of the API."""
    return _declared.get(view)


class IdConverter(BaseConverter):
    """An id in a path.

    What cannot be one becomes 0, which names nothing: a 404 like any other id that does not exist,
    and only to those who may ask.
    """

    regex = "[^/]+"

    def to_python(self, value: str) -> int:
        is_id = value.isascii() and value.isdigit() and value[0] != "0" and len(value) <= 16
        return int(value) if is_id and int(value) <= MAX_ID else 0

    def to_url(self, value: int) -> str:
        return str(value)


_no_parameters = Input()


def _loaded_query(schema: Input, request: Request) -> dict[str, Any]:
    """The parameters in the query string, checked; what clients send again and again only once."""
    return dict(_load_query(schema, request.query_string))


def _is_text(sent: bytes) -> bool:
    """Whether a part of a query is UTF-8 that PostgreSQL can hold."""
    try:
        return "\0" not in unquote_to_bytes(sent).decode()
    except UnicodeDecodeError:
        return False


@lru_cache(_REMEMBERED_QUERIES)
def _load_query(schema: Input, query_string: bytes) -> dict[str, Any]:
    # Flask has the rules by which a query string is taken apart.
    given = FlaskRequest({"QUERY_STRING": query_string.decode("latin-1")}).args
    repeated = [name for name, values in given.lists() if len(values) > 1]
    if repeated:
        raise errors.InvalidInput.of(
            [errors.FieldError(name, "Must be given once.", "repeated") for name in repeated]
        )
    if not _is_text(query_string):
        parts = [part for part in query_string.split(b"&") if not _is_text(part)]
        names = [unquote_plus(part.partition(b"=")[0].decode("latin-1")) for part in parts]
        message, code = "Must be UTF-8 without NUL.", "invalid_text"
        raise errors.InvalidInput.of([errors.FieldError(n, message, code) for n in names])
    return load(schema, given, prefix="")
