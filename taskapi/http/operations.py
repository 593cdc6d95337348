"""Operations: input and output, declared once, enforced here and documented by `openapi`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial, wraps
from typing import Any, ParamSpec
from urllib.parse import unquote_plus, unquote_to_bytes

from flask import Request as FlaskRequest
from flask import Response
from marshmallow import Schema
from werkzeug.routing import BaseConverter

from taskapi import problems as errors
from taskapi.db.concurrency import TooManyConcurrentRequests
from taskapi.db.tenancy import refusal, require_access
from taskapi.field_errors import FieldError
from taskapi.http import idempotency
from taskapi.http.admission import RequestRateExceeded, Turn, admission
from taskapi.http.application import Request, current_request
from taskapi.http.bodies import JSON, read_object, require_no_content
from taskapi.http.personal_tokens import authenticate_by_token, record_use
from taskapi.http.schemas import Input, load
from taskapi.http.scopes import SCOPES, is_of_content, is_of_writes
from taskapi.http.verification import needs_verified_email, require_verified_email
from taskapi.http.workspaces import caller_in_workspace, id_in_path
from taskapi.identity import Caller

_CACHED_QUERIES = 256

P = ParamSpec("P")
View = Callable[..., Response]


@dataclass(frozen=True)
class Link:
    """A link from a successful response to another operation; it is only documented.

    Args:
        operation: the name of the other view.
        parameters: its parameters, as runtime expressions of OpenAPI.
        body: the fields of its body, as runtime expressions.
    """

    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the API.

    Args:
        summary: a short title. The view's docstring is the description.
        response: the schema of the response; None without content.
        example: an example of the response.
        status: the status of the response.
        body: the schema of the JSON body; None without a body.
        is_body_optional: whether an empty body stands for an empty object.
        body_example: an example of the body.
        media_types: the accepted content types of the body.
        query: the schema of the query string; None without parameters.
        is_public: whether the operation needs no token.
        scopes: the scopes that a personal access token needs, all of them. Without any, the
            operation accepts no personal access token.
        spans_workspaces: whether the operation ignores the workspace of the path.
        is_safe: whether the operation changes nothing, although it is a POST.
        is_token_optional: whether a public operation uses a token that is sent.
        problems: errors in addition to those that follow from the other arguments.
        problem_schemas: by status, the schema of errors with more members, and an example of these.
        headers: names of response headers, which `openapi.HEADERS` describes.
        parameters: names of request headers, which `openapi.PARAMETERS` describes.
        idempotency_owner: for a public operation, returns the account that an idempotency key
            belongs to, given the body and the query; None if there can be no such account.
        returns_token: whether the response contains a token, so that it is stored for a short time.
        links: links to other operations.
    """

    summary: str
    response: type[Schema] | None = None
    example: Any = None
    status: int = 200
    body: Input | None = None
    is_body_optional: bool = False
    body_example: Any = None
    media_types: tuple[str, ...] = (JSON,)
    query: Input | None = None
    is_public: bool = False
    scopes: Sequence[str] = ()
    spans_workspaces: bool = False
    is_safe: bool = False
    is_token_optional: bool = False
    problems: Sequence[type[errors.Problem]] = ()
    problem_schemas: Mapping[int, tuple[type[Schema], Mapping[str, Any]]] = field(
        default_factory=dict
    )
    headers: Sequence[str] = ()
    parameters: Sequence[str] = ()
    idempotency_owner: Callable[[Mapping[str, Any]], idempotency.Owner | None] | None = None
    returns_token: bool = False
    links: Sequence[Link] = ()

    def __post_init__(self) -> None:
        unknown = set(self.scopes) - SCOPES.keys()
        assert not unknown, f"{unknown} are not in http.scopes"

    @cached_property
    def is_in_workspace(self) -> bool:
        """Whether the operation is on the content of one workspace, that of the path."""
        return not self.spans_workspaces and any(is_of_content(scope) for scope in self.scopes)

    @cached_property
    def needs_editor(self) -> bool:
        """Whether the operation needs a role that allows changes, in a shared workspace."""
        return self.is_in_workspace and any(is_of_writes(scope) for scope in self.scopes)

    @property
    def is_idempotent_by_key(self) -> bool:
        """Whether the operation supports Idempotency-Key."""
        return idempotency.HEADER in self.parameters

    def all_problems(self, path: str, *, writes: bool) -> list[type[errors.Problem]]:
        """All errors that the operation can return at this path."""
        found: list[type[errors.Problem]] = [*self.problems, errors.InvalidInput]
        found += [errors.OutcomeUnknown, errors.InsufficientStorage] if writes else []
        found += [errors.InternalError, errors.Unavailable]
        found += [RequestRateExceeded, TooManyConcurrentRequests]
        if not self.is_public:
            found += [errors.Unauthenticated, errors.TokenExpired]
            found += [errors.TokenInvalid, errors.SessionEnded, errors.InsufficientScope]
            found += [errors.EmailNotVerified] if needs_verified_email(path) else []
        if self.is_in_workspace:
            found += [errors.Forbidden, errors.NotFound]
            found += [errors.InsufficientRole] if self.needs_editor else []
        if self.is_idempotent_by_key:
            found += [errors.KeyInUse, errors.KeyReused, idempotency.StorageRateExceeded]
        if self.body or writes:  # a body that is not expected is read, too
            found += [
                errors.MalformedBody,
                errors.RequestTimeout,
                errors.ContentTooLarge,
                errors.UnsupportedMediaType,
            ]
        return sorted(set(found), key=lambda problem: (problem.status, problem.code))


_declared: dict[View, Operation] = {}


def operation(**arguments_of_operation: Any) -> Callable[[View], View]:
    """Declare a view as an operation of the API. The arguments are those of `Operation`.

    The view gets the parameters of its path, `caller` unless the operation is public, and `query`
    and `body` if they are declared, all validated.
    """
    declared = Operation(**arguments_of_operation)
    is_idempotent_by_key = declared.is_idempotent_by_key

    def decorate(view: View) -> View:
        def respond(request: Request, in_path: dict[str, Any], turn: Turn) -> Response:
            caller: Caller | None = in_path.get("caller")
            with_token = _check_scopes(declared, request, caller, turn)
            arguments = _arguments(declared, request, in_path)
            with turn:
                if caller:
                    require_verified_email(request, caller)
                if with_token:
                    record_use(arguments["caller"])
                perform = partial(view, **arguments)
                if is_idempotent_by_key and "HTTP_IDEMPOTENCY_KEY" in request.environ:
                    perform = partial(_once, declared, request, arguments, perform)
                return _with_reason(caller, perform)

        @wraps(view)
        def handle(**arguments: Any) -> Response:
            request = current_request()
            caller = None
            if not declared.is_public:
                caller = arguments["caller"] = _authenticated(declared, request)
            elif request.is_read:
                return view(**_arguments(declared, request, arguments))
            return admission().admit(request, caller, partial(respond, request, arguments))

        _declared[handle] = declared
        return handle

    return decorate


def _authenticated(declared: Operation, request: Request) -> Caller:
    try:
        caller = authenticate_by_token(request)
    except errors.Unauthenticated:
        admission().delay_refusal(request)
        raise
    request.user_id = caller.user_id
    if declared.is_in_workspace:
        return caller_in_workspace(request, caller, writes=declared.needs_editor)
    return caller


def _with_reason(caller: Caller | None, perform: Callable[[], Response]) -> Response:
    """The response. If the caller has no access to a shared workspace, the error says why."""
    try:
        return perform()
    except errors.SessionEnded:
        if caller and caller.is_in_shared_workspace:
            raise refusal(caller) from None
        raise


def _check_scopes(declared: Operation, request: Request, caller: Caller | None, turn: Turn) -> bool:
    """Check the scopes of a personal access token. Return whether the caller has such a token.

    Raises:
        InsufficientScope: it lacks a scope, it is not for the workspace, or the operation accepts
            no such token.
        SessionEnded: the same, and it is not valid any more.
    """
    if caller is None or caller.scopes is None:
        return False
    request.log_fields["token_id"] = caller.session_id
    problem = None
    if not declared.scopes or not caller.scopes.issuperset(declared.scopes):
        problem = errors.InsufficientScope.of(declared.scopes)
    elif declared.is_in_workspace and not caller.may_use(caller.workspace_id):
        problem = errors.InsufficientScope("This token is not for this workspace.")
    if problem:
        with turn:
            require_access(Caller.of(caller.user_id, caller.session_id))
        raise problem
    return True


def _arguments(declared: Operation, request: Request, in_path: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the view: those in the path, and the validated query and body."""
    query = _loaded_query(declared.query or _no_parameters, request)
    arguments = in_path
    if declared.query:
        arguments["query"] = query
    if declared.body:
        given = read_object(request, declared.media_types, is_optional=declared.is_body_optional)
        arguments["body"] = load(declared.body, given)
    elif not request.is_read:
        require_no_content(request)
    return arguments


def _once(
    declared: Operation,
    request: Request,
    arguments: Mapping[str, Any],
    respond: Callable[[], Response],
) -> Response:
    values = {**arguments.get("query", {}), **arguments.get("body", {})}
    if declared.idempotency_owner:
        owner = declared.idempotency_owner(values)
    else:
        is_brief = declared.returns_token
        lifetime = idempotency.TOKENS_LIFETIME if is_brief else idempotency.LIFETIME
        owner = idempotency.owner_by_caller(arguments["caller"], lifetime)
    return idempotency.once(request, owner, values, respond) if owner else respond()


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """The declaration of a view; None if the view is not an operation."""
    return _declared.get(view)


class IdConverter(BaseConverter):
    """An ID in a path.

    Invalid IDs become 0, which does not exist: the response is 404, after authentication.
    """

    regex = "[^/]+"

    def to_python(self, value: str) -> int:
        return id_in_path(value)

    def to_url(self, value: int) -> str:
        return str(value)


_no_parameters = Input()


def _loaded_query(schema: Input, request: Request) -> dict[str, Any]:
    """The validated parameters of the query string. Clients repeat them, so they are cached."""
    return dict(_load_query(schema, request.query_string))


def _is_text(part: bytes) -> bool:
    """Whether a part of a query is UTF-8 that PostgreSQL can store."""
    try:
        return "\0" not in unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False


@lru_cache(_CACHED_QUERIES)
def _load_query(schema: Input, query_string: bytes) -> dict[str, Any]:
    given = FlaskRequest({"QUERY_STRING": query_string.decode("latin-1")}).args
    repeated = [name for name, values in given.lists() if len(values) > 1]
    if repeated:
        raise errors.InvalidInput.of(
            [FieldError(name, "Must not be repeated.", "repeated") for name in repeated]
        )
    if not _is_text(query_string):
        parts = [part for part in query_string.split(b"&") if not _is_text(part)]
        names = [unquote_plus(part.partition(b"=")[0].decode("latin-1")) for part in parts]
        raise errors.InvalidInput.of(
            [FieldError(name, "Must be UTF-8 without NUL.", "invalid_text") for name in names]
        )
    return load(schema, given, prefix="")
