"""Every error that a client can see, and the one body they share (RFC 9457).

    Problem
    ├── InvalidInput            400  the body, query or a header breaks a rule; names the place
    │   └── MalformedBody       400  the body is not the JSON that it says it is
    ├── Unauthenticated         401  authentication_required, with WWW-Authenticate
    │   ├── TokenExpired        401
    │   └── TokenInvalid        401  forged, of another kind, or its session is over
    ├── Forbidden               403  the caller is known and may not
    ├── NotFound                404
    ├── MethodNotAllowed        405  with Allow
    ├── RequestTimeout          408  the body did not arrive in time
    ├── KeyInUse                409  with Retry-After; its Idempotency-Key is at work
    ├── LengthRequired          411
    ├── PreconditionFailed      412  If-Match named another version
    ├── ContentTooLarge         413
    ├── UnsupportedMediaType    415
    ├── KeyReused               422  its Idempotency-Key came with another request
    ├── RateLimited             429  with Retry-After
    ├── InternalError           500
    ├── Unavailable             503  with Retry-After
    └── InsufficientStorage     507  with Retry-After; the database has no room for a write

Features raise these or subclasses of their own; `core.responses` turns one into an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, NamedTuple

MAX_ERRORS = 100
"""Of one request, that are said."""

_MAX_POINTER = 200


class FieldError(NamedTuple):
    """One broken rule: where (a JSON Pointer, RFC 6901, or a parameter's name), what and which.

    In a text that has a grammar, `offset` says where in code points; it is None elsewhere.
    """

    pointer: str
    message: str
    code: str
    offset: int | None = None

    def shown(self) -> dict[str, Any]:
        """As it stands in an answer."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def shortened(name: str) -> str:
    """What a client has called something, as long as any name of ours may be."""
    return name if len(name) <= _MAX_POINTER else f"{name[:_MAX_POINTER]}…"


def reference_token(name: str) -> str:
    """A name as a part of a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


class Problem(Exception):
    """An error with an answer. Subclasses say which; an instance may say more.

    Args:
        detail: a sentence for people, instead of the class's own.
        errors: the broken rules, for invalid input.
        headers: headers that the answer carries.
        members: further members of the body (RFC 9457 section 3.2).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    detail: str = "Something went wrong on our side."
    headers: Mapping[str, str] = {}
    instance_headers: ClassVar[Sequence[str]] = ()
    """Names of headers whose values only an instance knows."""

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
        """Names of the headers that an answer carries because of this problem."""
        return [*cls.headers, *cls.instance_headers]

    def body(self, request_id: str) -> dict[str, Any]:
        """The problem details object."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            body["errors"] = [error.shown() for error in self.errors]
        return body | self.members


class InternalError(Problem):
    """The service failed; the log has the reason under the request's id."""


class InvalidInput(Problem):
    """The input breaks a rule; `errors` says where."""

    status = 400
    code = "invalid_input"
    title = "Invalid input"
    detail = "The request breaks a rule."

    @classmethod
    def at(cls, pointer: str, message: str, code: str) -> InvalidInput:
        """The problem for a single broken rule."""
        return cls.of([FieldError(pointer, message, code)])

    @classmethod
    def of(cls, errors: Iterable[FieldError]) -> InvalidInput:
        """The problem for several broken rules, of which it names a hundred at most."""
        shown = [e._replace(pointer=shortened(e.pointer)) for e in islice(errors, MAX_ERRORS)]
        said = " ".join(f"{e.pointer.lstrip('/') or 'body'}: {e.message}" for e in shown)
        return cls(said, errors=shown)


class MalformedBody(InvalidInput):
    """The body is not a JSON document that the service accepts."""

    code = "malformed_body"
    title = "Malformed body"
    detail = "The body is not valid JSON."


class Unauthenticated(Problem):
    """No token was sent (RFC 6750 section 3: no error code in the challenge then)."""

    status = 401
    code = "authentication_required"
    title = "Authentication required"
    detail = "Authentication required"
    headers = {"WWW-Authenticate": "Bearer"}


class TokenExpired(Unauthenticated):
    """The access token was genuine and its time is over: refresh it."""

    code = "token_expired"
    title = "Token expired"
    detail = "Token has expired"
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="expired"'}


class TokenInvalid(Unauthenticated):
    """The token is not ours, not an access token, or its session is over."""

    code = "token_invalid"
    title = "Invalid token"
    detail = "Invalid token"
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status = 403
    code = "forbidden"
    title = "Forbidden"
    detail = "You may not do this."


class NotFound(Problem):
    """Nothing is at this address."""

    status = 404
    code = "not_found"
    title = "Not found"
    detail = "There is nothing at this address."


class MethodNotAllowed(Problem):
    """The address exists and takes other methods, which Allow lists."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"
    detail = "This address does not take this method; the Allow header lists those it takes."


class RequestTimeout(Problem):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"
    title = "Request timeout"
    detail = "The body did not arrive in time."


class KeyInUse(Problem):
    """A request with this idempotency key is being worked on at this moment."""

    status = 409
    code = "idempotency_key_in_use"
    title = "Idempotency key in use"
    detail = "A request with this Idempotency-Key is being worked on; ask again in a moment."
    headers = {"Retry-After": "1"}


class LengthRequired(Problem):
    """The body came in chunks, without a Content-Length."""

    status = 411
    code = "length_required"
    title = "Length required"
    detail = "Send the body with a Content-Length instead of in chunks."


class PreconditionFailed(Problem):
    """If-Match named a version that is no longer the current one.

    Args:
        noun: what the row is called in messages.
        current: the row as it is now, whose representation the response contains.
    """

    status = 412
    code = "precondition_failed"
    title = "Precondition failed"
    detail = "This was changed since you read it; the current state is in this answer."
    instance_headers = ("ETag",)

    def __init__(self, noun: str = "", current: Any = None) -> None:
        super().__init__()
        self.noun = noun
        self.current = current


class ContentTooLarge(Problem):
    """The body is larger than any valid one."""

    status = 413
    code = "content_too_large"
    title = "Content too large"
    detail = "The body is larger than the 256 KiB that the service takes."


class UnsupportedMediaType(Problem):
    """The body is not of a type that this call takes."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"
    detail = "Send the body as application/json, and say so in the Content-Type header."


class KeyReused(Problem):
    """Another request was made with this idempotency key; each needs a key of its own."""

    status = 422
    code = "idempotency_key_reused"
    title = "Idempotency key reused"
    detail = "This Idempotency-Key came with another request before; make a new key for a new one."


class RateLimited(Problem):
    """Too many attempts; Retry-After says when the next one may come."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"
    detail = "Too many attempts; wait as many seconds as Retry-After says."
    headers = {"Retry-After": "60"}


class Unavailable(Problem):
    """The service cannot answer just now; nothing is wrong with the request."""

    status = 503
    code = "unavailable"
    title = "Service unavailable"
    detail = "The service cannot answer just now; try again in a moment."
    headers = {"Retry-After": "1"}


class StatementTimeout(Unavailable):
    """A read took too long and was canceled."""


class OutcomeUnknown(Unavailable):
    """The database was lost while it worked on a write: it may have been done or not."""

    code = "outcome_unknown"
    title = "Outcome unknown"
    detail = (
        "The connection to the database was lost while it worked on this change."
        " It may have been made: look before you send it again."
    )


class InsufficientStorage(Problem):
    """The database has no room left for this change; what is there can still be read."""

    status = 507
    code = "insufficient_storage"
    title = "Insufficient storage"
    detail = "There is no room left to store this; nothing was changed. Try again later."
    headers = {"Retry-After": "60"}


def all_problems() -> dict[str, type[Problem]]:
    """Every kind of problem by its code, those of features included."""

    def walk(kind: type[Problem]) -> list[type[Problem]]:
        return [kind, *(found for sub in kind.__subclasses__() for found in walk(sub))]

    # Reversed, so that where two share a code the base class, which is more general, describes it.
    return {kind.code: kind for kind in reversed(walk(Problem))}
