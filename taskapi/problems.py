"""All errors of the API, and their common body (RFC 9457).

    Problem
    ├── InvalidInput            400  the body, query or a header is invalid
    │   └── MalformedBody       400  the body is not valid JSON
    ├── Unauthenticated         401  no access token
    │   ├── TokenExpired        401
    │   └── TokenInvalid        401
    │       └── SessionEnded    401
    ├── Forbidden               403
    │   ├── EmailNotVerified    403  the service requires a verified email
    │   ├── InsufficientRole    403  the role in the workspace does not allow it
    │   └── InsufficientScope   403  the personal access token lacks a scope
    ├── NotFound                404
    ├── MethodNotAllowed        405  with Allow
    ├── RequestTimeout          408  the body did not arrive in time
    ├── KeyInUse                409  with Retry-After; a request with the same key is in progress
    ├── ProblemWithRow               the response contains a row
    │   ├── NameTaken           409  another row has the name
    │   └── PreconditionFailed  412  If-Match or If-None-Match excludes the version
    ├── ContentTooLarge         413
    ├── UnsupportedMediaType    415
    ├── KeyReused               422  the key was used for another request
    ├── RateLimited             429  with Retry-After
    ├── InternalError           500
    ├── Unavailable             503  with Retry-After
    └── InsufficientStorage     507  with Retry-After; the database is full

Features raise these or their own subclasses. `http.responses` makes the response. The docstrings
are public: `GET /problems/{code}` returns them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from taskapi.field_errors import MAX_ERRORS, FieldError, FieldErrorCode, shortened


class Problem(Exception):
    """An error that is returned to the client.

    Args:
        detail: an explanation for people; by default that of the class.
        errors: the violated rules, for invalid input.
        headers: headers of the response.
        members: further members of the body (RFC 9457 section 3.2).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    detail: str = "An internal error occurred. Quote the request_id to support."
    headers: Mapping[str, str] = {}
    instance_headers: ClassVar[Sequence[str]] = ()
    """Names of headers whose values differ between instances."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.detail = detail or self.detail
        super().__init__(self.detail)
        self.errors = tuple(errors)
        self.headers = {**type(self).headers, **(headers or {})}
        self.members = dict(members or {})

    @classmethod
    def all_headers(cls) -> list[str]:
        """Names of all headers of the response."""
        return [*cls.headers, *cls.instance_headers]

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON of the response."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            body["errors"] = [error.represent() for error in self.errors]
        return body | self.members


class InternalError(Problem):
    """An internal error occurred. The service's log has the cause, under the request's ID."""


class InvalidInput(Problem):
    """The request is invalid. `errors` lists the violated rules."""

    status = 400
    code = "invalid_input"
    title = "Invalid input"
    detail = "The request is invalid."

    @classmethod
    def at(cls, pointer: str, message: str, code: FieldErrorCode) -> InvalidInput:
        """The problem for one violated rule."""
        return cls.of([FieldError(pointer, message, code)])

    @classmethod
    def of(cls, errors: Iterable[FieldError]) -> InvalidInput:
        """The problem for several violated rules, of which it reports `MAX_ERRORS`."""
        reported = [e._replace(pointer=shortened(e.pointer)) for e in islice(errors, MAX_ERRORS)]
        detail = " ".join(f"{e.pointer.lstrip('/') or 'body'}: {e.message}" for e in reported)
        return cls(detail, errors=reported)


class MalformedBody(InvalidInput):
    """The body is not valid JSON in UTF-8."""

    code = "malformed_body"
    title = "Malformed body"
    detail = "The body is not valid JSON."


_CHALLENGE = 'Bearer realm="taskapi"'
"""RFC 6750 section 3: without a token, the challenge has no error."""

_INVALID_TOKEN = f'{_CHALLENGE}, error="invalid_token"'


class Unauthenticated(Problem):
    """The request has no access token. Send `Authorization: Bearer <access_token>`."""

    status = 401
    code = "authentication_required"
    title = "Authentication required"
    detail = "Authentication required"
    headers = {"WWW-Authenticate": _CHALLENGE}


class TokenExpired(Unauthenticated):
    """The access token has expired. Get a new one with `POST /auth/refresh`."""

    code = "token_expired"
    title = "Token expired"
    detail = "Token has expired"
    headers = {"WWW-Authenticate": f'{_INVALID_TOKEN}, error_description="expired"'}


class TokenInvalid(Unauthenticated):
    """The token is not one that this service issued for this purpose. Log in again."""

    code = "token_invalid"
    title = "Invalid token"
    detail = "Invalid token"
    headers = {"WWW-Authenticate": _INVALID_TOKEN}


class SessionEnded(TokenInvalid):
    """The session of the token has ended, or its account was deleted. Log in again.

    Of a personal access token: it was revoked or has expired. Create another one.
    """

    code = "session_ended"
    title = "Session ended"


class Forbidden(Problem):
    """The caller is not authorized for this."""

    status = 403
    code = "forbidden"
    title = "Forbidden"
    detail = "Not authorized."


class EmailNotVerified(Forbidden):
    """The service requires a verified email for everything but `/auth`.

    Use the link that was sent after registration, or request another one with
    `POST /auth/email/verification`.
    """

    code = "email_not_verified"
    title = "Email not verified"
    detail = "Verify your email address first."


class InsufficientRole(Forbidden):
    """The caller's role in the workspace does not allow the operation."""

    code = "insufficient_role"
    title = "Insufficient role"
    detail = "Your role in this workspace, viewer, does not allow changes."


class InsufficientScope(Forbidden):
    """The token lacks a scope or is not for the workspace, or the operation accepts no such token.

    It is a personal access token. `WWW-Authenticate` lists the scopes that the operation needs
    (RFC 6750 section 3.1). It has none if only the access token of a login can use the operation,
    or if the token is for other workspaces.
    """

    code = "insufficient_scope"
    title = "Insufficient scope"
    detail = "A personal access token cannot use this operation. Log in."
    headers = {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope"'}

    @classmethod
    def of(cls, scopes: Sequence[str]) -> InsufficientScope:
        """The problem for an operation that needs these scopes."""
        if not scopes:
            return cls()
        needed = " ".join(scopes)
        return cls(
            f"This operation needs a token with the scope {' and '.join(scopes)}.",
            headers={"WWW-Authenticate": f'{cls.headers["WWW-Authenticate"]}, scope="{needed}"'},
        )


class NotFound(Problem):
    """The resource does not exist."""

    status = 404
    code = "not_found"
    title = "Not found"
    detail = "Not found."


class MethodNotAllowed(Problem):
    """The URL does not support this method. The Allow header lists the methods it supports."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"
    detail = "This URL does not support this method."


class RequestTimeout(Problem):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"
    title = "Request timeout"
    detail = "The body did not arrive in time."


class KeyInUse(Problem):
    """A request with this idempotency key is in progress. Retry in a moment."""

    status = 409
    code = "idempotency_key_in_use"
    title = "Idempotency key in use"
    detail = "A request with this Idempotency-Key is in progress. Retry in a moment."
    headers = {"Retry-After": "1"}


class ProblemWithRow(Problem):
    """An error whose response contains a row, unless `find` returns none.

    Args:
        noun: the name of the row's resource.
        find: returns the row. It is called when the transaction of the request has ended.
    """

    def __init__(
        self,
        detail: str | None = None,
        noun: str = "",
        find: Callable[[], Any] = lambda: None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail, headers=headers)
        self.noun = noun
        self.find = find


class NameTaken(ProblemWithRow):
    """Another row has this name."""

    status = 409


class PreconditionFailed(ProblemWithRow):
    """The current version is not in If-Match, or it is in If-None-Match.

    The resource has probably changed since you read it. The response to a write contains the
    current version.
    """

    status = 412
    code = "precondition_failed"
    title = "Precondition failed"
    detail = (
        "The resource has changed since you read it. The response contains its current version."
    )
    instance_headers = ("ETag",)


class ContentTooLarge(Problem):
    """The body exceeds the maximum size."""

    status = 413
    code = "content_too_large"
    title = "Content too large"
    detail = "The body exceeds 256 KiB."


class UnsupportedMediaType(Problem):
    """The operation does not support the Content-Type or Content-Encoding of the body."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"
    detail = "Content-Type must be application/json."


class KeyReused(Problem):
    """The idempotency key was used for another request. Generate a new key for each request."""

    status = 422
    code = "idempotency_key_reused"
    title = "Idempotency key reused"
    detail = "This Idempotency-Key was used for another request. Generate a new key."


class RateLimited(Problem):
    """There were too many requests. Wait for the number of seconds in Retry-After."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"
    detail = "Too many attempts. Wait for the number of seconds in Retry-After."
    headers = {"Retry-After": "60"}


class Unavailable(Problem):
    """The service is temporarily unavailable. Retry in a moment."""

    status = 503
    code = "unavailable"
    title = "Service unavailable"
    detail = "The service is temporarily unavailable. Retry in a moment."
    headers = {"Retry-After": "1"}


class StatementTimeout(Unavailable):
    """A read took too long and was canceled."""


class Deadlock(Unavailable):
    """Two writes waited for each other. This one was rolled back."""


class OutcomeUnknown(Unavailable):
    """The connection to the database was lost during a write, which may have been committed.

    Check before you retry, or retry with the same Idempotency-Key.
    """

    code = "outcome_unknown"
    title = "Outcome unknown"
    detail = (
        "The connection to the database was lost during this change."
        " It may have been made. Check before you retry."
    )


class InsufficientStorage(Problem):
    """The database has no space left. Nothing was changed, and reads still work."""

    status = 507
    code = "insufficient_storage"
    title = "Insufficient storage"
    detail = "The database has no space left. Nothing was changed. Retry later."
    headers = {"Retry-After": "60"}


def all_problems() -> dict[str, type[Problem]]:
    """All kinds of problems by code, including those of features."""

    def walk(kind: type[Problem]) -> list[type[Problem]]:
        return [kind, *(found for sub in kind.__subclasses__() for found in walk(sub))]

    # Reversed, so that a base class describes the code that it shares with a subclass.
    return {kind.code: kind for kind in reversed(walk(Problem))}
