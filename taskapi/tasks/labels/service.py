"""Use cases of labels. The first argument is the caller; the result is rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from taskapi.db import database
from taskapi.db.listing import Page, read_page
from taskapi.db.pages import page_request
from taskapi.db.statement import Statement
from taskapi.db.tenancy import locked, scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import InvalidInput, Problem
from taskapi.runtime.connection import Row
from taskapi.tasks.labels.models import Label
from taskapi.tasks.labels.queries import SORTS, deletion, label_page, labels, merge


class LabelExists(Problem):
    """Another label has this name."""

    status = 409
    code = "label_exists"
    title = "Label exists"
    detail = "Another label has this name."


def list_labels(
    caller: Caller, query: Mapping[str, Any], *, known: list[int] | None
) -> Page[Label]:
    """A page of the caller's labels.

    Args:
        query: the validated limit, cursor and sort.
        known: versions of the list that the client has; None stands for all.

    Raises:
        InvalidInput: the cursor belongs to another list or order.
        TokenInvalid: the caller's session has ended.
    """
    request = page_request(query, SORTS)
    return read_page(caller, labels, label_page(request.ordering), request, known=known)


def get_label(caller: Caller, label_id: int) -> Label:
    """One label.

    Raises:
        TokenInvalid, Forbidden, NotFound: see `ContentTable`.
    """
    return labels.get(caller, label_id)


def create_label(caller: Caller, values: dict[str, Any]) -> Label:
    """Add a label.

    Raises:
        TokenInvalid: the caller's session has ended.
        LabelExists: another label has its name.
    """
    with _unless_taken(values):
        created = labels.create(caller, values)
    log_event("label_created", label_id=created.id)
    return created


def update_label(
    caller: Caller, label_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Label:
    """Set the given fields of a label.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        LabelExists: another label has the name.
    """
    with _unless_taken(values):
        updated = labels.update(caller, label_id, values, if_match)
    if values:
        log_event("label_updated", label_id=label_id)
    return updated


def delete_label(caller: Caller, label_id: int, if_match: list[int] | None) -> None:
    """Delete a label, and remove it from all tasks.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
    """
    if not _execute_locked(caller, deletion, label_id, if_match):
        labels.raise_for_missing(caller, label_id, "delete", if_match)
    log_event("label_deleted", label_id=label_id)


def merge_label(caller: Caller, label_id: int, into: int, if_match: list[int] | None) -> Label:
    """Replace a label by the label `into` on all tasks, delete it, and return the other.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        InvalidInput: `into` is the same label, or does not exist.
    """
    merged = _execute_locked(caller, merge, label_id, if_match, into=into)
    if not merged:
        if into == label_id:
            reason = InvalidInput.at("/into", "Must be another label.", "same_label")
        else:
            reason = InvalidInput.at("/into", "Label not found.", "unknown_reference")
        labels.raise_for_missing(caller, label_id, "merge", if_match, reason)
    log_event("label_merged", label_id=label_id, into=into)
    return labels.row(merged[0])


def _execute_locked(
    caller: Caller, statement: Statement, label_id: int, if_match: list[int] | None, **more: int
) -> list[Row]:
    """The result of a statement that needs the current tasks, with the workspace locked."""
    with locked(caller):
        return database.rows(statement, id=label_id, if_match=if_match, **scope(caller), **more)


@contextmanager
def _unless_taken(values: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except database.ValueTaken as taken:
        if taken.constraint != "uq_labels_name":
            raise
        raise LabelExists(f"Another label has the name {values['name']}.") from None
