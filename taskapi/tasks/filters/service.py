"""Use cases of filters: the filters of a request, and saved filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from taskapi.db.listing import Page, read_page
from taskapi.db.pages import page_request
from taskapi.field_errors import FieldError
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import Forbidden, InvalidInput, NotFound
from taskapi.tasks.default_timezone import UTC, timezone_or_utc
from taskapi.tasks.filters.conditions import Reference, Shape, parameters
from taskapi.tasks.filters.grammar import parse
from taskapi.tasks.filters.models import SavedFilter
from taskapi.tasks.filters.nodes import FilterError, Node
from taskapi.tasks.filters.parameters import needs_filter, nodes_of
from taskapi.tasks.filters.queries import SORTS, filter_page, filters
from taskapi.tasks.filters.terms import TOO_COSTLY, Resolver, clock


class ResolvedFilter(NamedTuple):
    """The filters and parameters of a request, ready for a statement."""

    shape: Shape
    """See `conditions.condition`."""

    parameters: Mapping[str, Any]
    """Of a statement with that condition and `conditions.MISSING`."""

    is_volatile: bool
    """Whether the result depends on the current time or on the account's time zone."""

    costly: str | None
    """The parameter of the conditions that make it costly; None if it has few of them."""

    names: tuple[tuple[str, int | None, str], ...]
    """For each reference the parameter that contains it, its offset, and the message if its target
    does not exist."""

    def missing(self, number: int) -> InvalidInput:
        """The problem for a reference without a target, by its number, which starts at one."""
        pointer, offset, message = self.names[number - 1]
        return InvalidInput.of([FieldError(pointer, message, "unknown_reference", offset)])

    def too_costly(self) -> InvalidInput | None:
        """The problem if it took too long; None if its conditions are not the reason."""
        if not self.costly:
            return None
        message = "Takes too long for this number of tasks: use fewer conditions with ~."
        return InvalidInput.at(self.costly, message, TOO_COSTLY)


def resolve(caller: Caller, query: Mapping[str, Any]) -> ResolvedFilter | None:
    """The filters and the parameters of `parameters.FilterParameters`, combined.

    Returns:
        None if no parameter requires a filter statement.

    Raises:
        InvalidInput: a filter is invalid, or the saved filter does not exist.
        SessionEnded: the caller's session has ended.
    """
    if not needs_filter(query):
        return None
    defaults: list[str] = []

    def default_zone() -> str:
        defaults.append(timezone_or_utc(caller))
        return defaults[0]

    now = clock(query.get("timezone", default_zone))
    resolver = Resolver(now, caller.workspace_id, caller.user_id)
    shapes: list[Shape] = []
    pointers: list[str] = []
    pointers_of_texts: list[str] = []
    for pointer, node in [*_filters(caller, query), *nodes_of(query)]:
        shapes.append(_shape(resolver, pointer, node))
        pointers_of_texts += [pointer] * (resolver.text_conditions - len(pointers_of_texts))
        pointers += [pointer] * (len(resolver.references) - len(pointers))
    given = parameters(resolver.values, resolver.references)
    messages = [_missing(reference) for reference in resolver.references]
    names = tuple(zip(pointers, resolver.offsets, messages, strict=True))
    costly = pointers_of_texts[-1] if len(pointers_of_texts) > 1 else None
    is_volatile = resolver.is_time_dependent or bool(defaults)
    return ResolvedFilter(("all", *shapes), given, is_volatile, costly, names)


def list_filters(
    caller: Caller, query: Mapping[str, Any], *, known: list[int] | None
) -> Page[SavedFilter]:
    """A page of the caller's filters.

    Args:
        query: the validated limit, cursor and sort.
        known: versions of the list that the client has; None stands for all.

    Raises:
        InvalidInput: the cursor belongs to another list or order.
        SessionEnded: the caller's session has ended.
    """
    request = page_request(query, SORTS)
    return read_page(caller, filters, filter_page(request.ordering), request, known=known)


def get_filter(caller: Caller, filter_id: int) -> SavedFilter:
    """One filter.

    Raises:
        SessionEnded, Forbidden, NotFound: see `ContentTable`.
    """
    return filters.get(caller, filter_id)


def create_filter(caller: Caller, values: dict[str, Any]) -> SavedFilter:
    """Save a filter.

    Raises:
        InvalidInput: its query is invalid.
        SessionEnded: the caller's session has ended.
        FilterExists: another filter has its name.
    """
    _check(caller, values)
    created = filters.create(caller, values)
    log_event("filter_created", filter_id=created.id)
    return created


def update_filter(
    caller: Caller, filter_id: int, values: dict[str, Any], if_match: list[int] | None
) -> SavedFilter:
    """Set the given fields of a saved filter.

    Raises:
        InvalidInput: its query is invalid.
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        FilterExists: another filter has the name.
    """
    _check(caller, values)
    updated = filters.update(caller, filter_id, values, if_match)
    if values:
        log_event("filter_updated", filter_id=filter_id)
    return updated


def delete_filter(caller: Caller, filter_id: int, if_match: list[int] | None) -> None:
    """Delete a saved filter.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
    """
    filters.delete(caller, filter_id, if_match)
    log_event("filter_deleted", filter_id=filter_id)


def _missing(reference: Reference) -> str:
    if reference.id:
        return f"No {reference.noun} has the ID {reference.id}."
    return f"No {reference.noun} has the name {reference.name}."


def _check(caller: Caller, values: Mapping[str, Any]) -> None:
    if "query" in values:
        resolver = Resolver(clock(UTC), caller.workspace_id, caller.user_id)
        _shape(resolver, "/query", _parsed("/query", values["query"]))


def _filters(caller: Caller, query: Mapping[str, Any]) -> list[tuple[str, Node]]:
    """The filters of a request, with the names of their parameters."""
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
        raise InvalidInput.at("filter_id", "Filter not found.", "unknown_reference") from None


def _parsed(pointer: str, text: str) -> Node:
    try:
        return parse(text)
    except FilterError as error:
        raise _invalid(pointer, error) from None


def _shape(resolver: Resolver, pointer: str, node: Node) -> Shape:
    try:
        return resolver.shape(node)
    except FilterError as error:
        raise _invalid(pointer, error) from None


def _invalid(pointer: str, error: FilterError) -> InvalidInput:
    return InvalidInput.of([FieldError(pointer, error.message, error.code, error.offset)])
