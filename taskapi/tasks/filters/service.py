"""Use cases of filters: resolving those of a request, and saved filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from taskapi.db.listing import Page, read_page
from taskapi.db.pages import page_request
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import FieldError, Forbidden, InvalidInput, NotFound
from taskapi.tasks.filters.conditions import Shape, parameters
from taskapi.tasks.filters.grammar import parse
from taskapi.tasks.filters.models import SavedFilter
from taskapi.tasks.filters.nodes import FilterError, Node
from taskapi.tasks.filters.parameters import needs_filter, nodes_of
from taskapi.tasks.filters.queries import SORTS, filter_page, filters
from taskapi.tasks.filters.terms import TOO_COSTLY, Resolver, clock

_UTC = "UTC"


class ResolvedFilter(NamedTuple):
    """The filters and parameters of a request, ready for a statement."""

    shape: Shape
    """See `conditions.condition`."""

    parameters: Mapping[str, Any]
    """Of a statement with that condition and `conditions.MISSING`."""

    is_time_dependent: bool
    """Whether the result depends on the current time."""

    costly: str | None
    """The parameter of the conditions that make it costly; None if it has few of them."""

    names: tuple[tuple[str, int | None, str], ...]
    """For each reference the parameter that contains it, the offset in it, and what it names."""

    def missing(self, number: int) -> InvalidInput:
        """The problem for a reference to what does not exist, by its number from one."""
        pointer, offset, named = self.names[number - 1]
        return _problem(pointer, f"You have no {named}.", "unknown_reference", offset)

    def too_costly(self) -> InvalidInput | None:
        """The problem if it took too long; None if its conditions are not the reason."""
        if not self.costly:
            return None
        message = "Takes too long for this number of tasks: use fewer conditions with ~."
        return InvalidInput.at(self.costly, message, TOO_COSTLY)


def resolve(caller: Caller, query: Mapping[str, Any]) -> ResolvedFilter | None:
    """The filters and the parameters of `parameters.FindingQuery`, combined.

    Returns:
        None if only parameters are given that lists of tasks have statements for.

    Raises:
        InvalidInput: a filter is invalid, or there is no saved filter with this id.
        TokenInvalid: the caller's session is over.
    """
    if not needs_filter(query):
        return None
    resolver = Resolver(clock(query["timezone"]), caller.workspace_id)
    shapes: list[Shape] = []
    pointers: list[str] = []
    pointers_of_texts: list[str] = []
    for pointer, node in [*_filters(caller, query), *nodes_of(query)]:
        shapes.append(_shape(resolver, pointer, node))
        pointers_of_texts += [pointer] * (resolver.text_conditions - len(pointers_of_texts))
        pointers += [pointer] * (len(resolver.references) - len(pointers))
    given = parameters(resolver.values, resolver.references)
    described = [f"{r.noun} with this {'id' if r.id else 'name'}" for r in resolver.references]
    names = tuple(zip(pointers, resolver.named_at, described, strict=True))
    costly = pointers_of_texts[-1] if len(pointers_of_texts) > 1 else None
    return ResolvedFilter(("all", *shapes), given, resolver.is_time_dependent, costly, names)


def list_filters(
    caller: Caller, query: Mapping[str, Any], *, known: list[int] | None
) -> Page[SavedFilter]:
    """A page of the caller's filters.

    Args:
        query: limit, cursor and sort, checked.
        known: versions of the list that the client has; None for whichever there is.

    Raises:
        InvalidInput: the cursor is not one of this list in this order.
        TokenInvalid: the caller's session is over.
    """
    request = page_request(query, SORTS)
    return read_page(caller, filters, filter_page(request.ordering), request, known=known)


def get_filter(caller: Caller, filter_id: int) -> SavedFilter:
    """One filter.

    Raises:
        TokenInvalid, Forbidden, NotFound: see `ContentTable`.
    """
    return filters.get(caller, filter_id)


def create_filter(caller: Caller, values: dict[str, Any]) -> SavedFilter:
    """Keep a filter.

    Raises:
        InvalidInput: its query is invalid.
        TokenInvalid: the caller's session is over.
    """
    _check(caller, values)
    created = filters.create(caller, values)
    log_event("filter_created", filter_id=created.id)
    return created


def update_filter(
    caller: Caller, filter_id: int, values: dict[str, Any], if_match: list[int] | None
) -> SavedFilter:
    """Set the given values of a filter; the others stay.

    Raises:
        InvalidInput: its query is invalid.
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
    """
    _check(caller, values)
    updated = filters.update(caller, filter_id, values, if_match)
    if values:
        log_event("filter_updated", filter_id=filter_id)
    return updated


def delete_filter(caller: Caller, filter_id: int, if_match: list[int] | None) -> None:
    """Remove a filter.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
    """
    filters.delete(caller, filter_id, if_match)
    log_event("filter_deleted", filter_id=filter_id)


def _check(caller: Caller, values: Mapping[str, Any]) -> None:
    if "query" in values:
        resolver = Resolver(clock(_UTC), caller.workspace_id)
        _shape(resolver, "/query", _parsed("/query", values["query"]))


def _filters(caller: Caller, query: Mapping[str, Any]) -> list[tuple[str, Node]]:
    """The filters that are given, each by the parameter that gives it."""
    texts = {}
    if "filter" in query:
        texts["filter"] = query["filter"]
    if "filter_id" in query:
        texts["filter_id"] = _saved(caller, query["filter_id"])
    return [(pointer, _parsed(pointer, text)) for pointer, text in texts.items()]


def _saved(caller: Caller, filter_id: int) -> str:
    try:
        return filters.get(caller, filter_id).query
    except (Forbidden, NotFound):
        message = "You have no filter with this id."
        raise InvalidInput.at("filter_id", message, "unknown_reference") from None


def _parsed(pointer: str, text: str) -> Node:
    try:
        return parse(text)
    except FilterError as error:
        raise _problem(pointer, error.message, error.code, error.offset) from None


def _shape(resolver: Resolver, pointer: str, node: Node) -> Shape:
    try:
        return resolver.shape(node)
    except FilterError as error:
        raise _problem(pointer, error.message, error.code, error.offset) from None


def _problem(pointer: str, message: str, code: str, offset: int | None) -> InvalidInput:
    return InvalidInput.of([FieldError(pointer, message, code, offset)])
