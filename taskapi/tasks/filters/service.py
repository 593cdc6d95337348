"""Use cases of filters: what finds tasks, and the filters that are kept for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from taskapi.db.listing import Listed, listed
from taskapi.db.pages import page_of
from taskapi.identity import Caller
from taskapi.logs import note
from taskapi.problems import FieldError, Forbidden, InvalidInput, NotFound
from taskapi.tasks.filters.conditions import Shape, parameters
from taskapi.tasks.filters.grammar import parse
from taskapi.tasks.filters.nodes import FilterError, Node
from taskapi.tasks.filters.parameters import finds, nodes_of
from taskapi.tasks.filters.queries import SORTS, filter_page, filters
from taskapi.tasks.filters.terms import Resolver, clock
from taskapi.tasks.lists.service import inbox_of

Filter = dict[str, Any]

_UTC = "UTC"


class Finding(NamedTuple):
    """Which tasks a request asks for."""

    shape: Shape
    """See `conditions.condition`."""

    parameters: Mapping[str, Any]
    """What a statement with that condition and `conditions.MISSING` takes."""

    is_moving: bool
    """Whether time alone may change what it finds."""

    names: tuple[tuple[str, int | None, str], ...]
    """Of each reference the parameter that made it, the offset in it, and what it names."""

    def missing(self, number: int) -> InvalidInput:
        """The problem for a reference, by its number from one, to what is not there."""
        pointer, offset, named = self.names[number - 1]
        return _problem(pointer, f"You have no {named}.", "unknown_reference", offset)


def find(caller: Caller, query: Mapping[str, Any]) -> Finding | None:
    """What the parameters of `parameters.FindingQuery` ask for, together.

    Returns:
        None when they ask for nothing but what lists of tasks have ways of their own for.

    Raises:
        InvalidInput: a filter breaks a rule, or there is none with this id.
        TokenInvalid: the caller's session is over.
    """
    if not finds(query):
        return None
    resolver = Resolver(clock(query["timezone"]), inbox_of(caller))
    shapes: list[Shape] = []
    pointers: list[str] = []
    for pointer, node in [*_filters(caller, query), *nodes_of(query)]:
        shapes.append(_shape(resolver, pointer, node))
        pointers += [pointer] * (len(resolver.references) - len(pointers))
    given = parameters(resolver.values, resolver.references)
    said = [f"{r.noun} with this {'id' if r.id else 'name'}" for r in resolver.references]
    names = tuple(zip(pointers, resolver.named_at, said, strict=True))
    return Finding(("all", *shapes), given, resolver.is_moving, names)


def list_filters(caller: Caller, query: Mapping[str, Any], *, known: list[int] | None) -> Listed:
    """A page of the caller's filters.

    Args:
        query: limit, cursor and sort, checked.
        known: versions of the list that the client has; None for whichever there is.

    Raises:
        InvalidInput: the cursor is not one of this list in this order.
        TokenInvalid: the caller's session is over.
    """
    page = page_of(query, SORTS)
    return listed(caller, filter_page(page.reading), page, known=known)


def get_filter(caller: Caller, filter_id: int) -> Filter:
    """One filter.

    Raises:
        TokenInvalid, Forbidden, NotFound: see `OwnedTable`.
    """
    return filters.get(caller, filter_id)


def create_filter(caller: Caller, values: dict[str, Any]) -> Filter:
    """Keep a filter.

    Raises:
        InvalidInput: its query breaks a rule.
        TokenInvalid: the caller's session is over.
    """
    _check(caller, values)
    created = filters.create(caller, values)
    note("filter_created", filter_id=created["id"])
    return created


def update_filter(
    caller: Caller, filter_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Filter:
    """Set the given values of a filter; the others stay.

    Raises:
        InvalidInput: its query breaks a rule.
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    _check(caller, values)
    updated = filters.update(caller, filter_id, values, if_match)
    if values:
        note("filter_updated", filter_id=filter_id)
    return updated


def delete_filter(caller: Caller, filter_id: int, if_match: list[int] | None) -> None:
    """Remove a filter.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    filters.delete(caller, filter_id, if_match)
    note("filter_deleted", filter_id=filter_id)


def _check(caller: Caller, values: Mapping[str, Any]) -> None:
    if "query" in values:
        resolver = Resolver(clock(_UTC), inbox_of(caller))
        _shape(resolver, "/query", _parsed("/query", values["query"]))


def _filters(caller: Caller, query: Mapping[str, Any]) -> list[tuple[str, Node]]:
    """The filters that are given, each by the parameter that gives it."""
    texts = {}
    if "filter" in query:
        texts["filter"] = query["filter"]
    if "filter_id" in query:
        texts["filter_id"] = _kept(caller, query["filter_id"])
    return [(pointer, _parsed(pointer, text)) for pointer, text in texts.items()]


def _kept(caller: Caller, filter_id: int) -> str:
    try:
        return str(filters.get(caller, filter_id)["query"])
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
