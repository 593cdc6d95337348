"""Use cases of labels. The first argument is the caller; the result is rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from taskapi.db import database
from taskapi.db.listing import Page, read_page
from taskapi.db.pages import page_request
from taskapi.db.statement import Statement
from taskapi.db.tenancy import locked, scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import Forbidden, InvalidInput, NotFound, Unavailable
from taskapi.runtime.connection import Row
from taskapi.tasks.labels.models import Label
from taskapi.tasks.labels.queries import (
    SORTS,
    deletion,
    deletion_piece,
    has_many_tasks,
    label_page,
    labels,
    merge,
    merge_piece,
)


class InProgress(Unavailable):
    """The label is on too many tasks to be deleted or merged by one request."""

    detail = "The label has many tasks, which are changed step by step; try again in a moment."


class _Removal(NamedTuple):
    statement: Statement
    piece: Statement
    """Does the same to some of the tasks, without the label itself."""


PIECES = 5
"""The steps of one request."""


def list_labels(
    caller: Caller, query: Mapping[str, Any], *, known: list[int] | None
) -> Page[Label]:
    """A page of the caller's labels.

    Args:
        query: the validated limit, cursor and sort.
        known: versions of the list that the client has; None stands for all.

    Raises:
        InvalidInput: the cursor belongs to another list or order.
        SessionEnded: the caller's session has ended.
    """
    request = page_request(query, SORTS)
    return read_page(caller, labels, label_page(request.ordering), request, known=known)


def get_label(caller: Caller, label_id: int) -> Label:
    """One label.

    Raises:
        SessionEnded, Forbidden, NotFound: see `ContentTable`.
    """
    return labels.get(caller, label_id)


def create_label(caller: Caller, values: dict[str, Any]) -> Label:
    """Add a label.

    Raises:
        SessionEnded: the caller's session has ended.
        LabelExists: another label has its name.
    """
    created = labels.create(caller, values)
    log_event("label_created", label_id=created.id)
    return created


def update_label(
    caller: Caller, label_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Label:
    """Set the given fields of a label.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        LabelExists: another label has the name.
    """
    updated = labels.update(caller, label_id, values, if_match)
    if values:
        log_event("label_updated", label_id=label_id)
    return updated


def delete_label(caller: Caller, label_id: int, if_match: list[int] | None) -> None:
    """Delete a label, and remove it from all tasks.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
    """
    removal = _Removal(deletion, deletion_piece)
    if not _execute_locked(caller, removal, label_id, if_match):
        labels.raise_for_missing(caller, label_id, "delete", if_match)
    log_event("label_deleted", label_id=label_id)


def merge_label(caller: Caller, label_id: int, into: int, if_match: list[int] | None) -> Label:
    """Replace a label by the label `into` on all tasks, delete it, and return the other.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        InvalidInput: `into` is the same label, or does not exist.
    """
    merged = _execute_locked(caller, _Removal(merge, merge_piece), label_id, if_match, into=into)
    if not merged:
        if into == label_id:
            reason = InvalidInput.at("/into", "Must be another label.", "same_label")
        else:
            reason = InvalidInput.at("/into", "Label not found.", "unknown_reference")
        labels.raise_for_missing(caller, label_id, "merge", if_match, reason)
    log_event("label_merged", label_id=label_id, into=into)
    return labels.row(merged[0])


def _execute_locked(
    caller: Caller, removal: _Removal, label_id: int, if_match: list[int] | None, **more: int
) -> list[Row]:
    """The result of a statement that needs the current tasks, with the workspace locked.

    Raises:
        InProgress: more tasks have the label than one statement changes.
    """
    given = {"id": label_id, "if_match": if_match, **scope(caller), **more}
    with locked(caller):
        found = database.rows(removal.statement, **given)
        if found or not database.rows(has_many_tasks, **given)[0][0]:
            return found
        if not _all_exist(caller, label_id, **more):
            return []
        labels.require(caller, label_id, "update", if_match)
        for _ in range(PIECES):
            database.run_afterwards(removal.piece, **given)
        raise InProgress


def _all_exist(caller: Caller, label_id: int, into: int | None = None) -> bool:
    """Whether the label can be replaced by `into`."""
    if into is None:
        return True
    try:
        return labels.get(caller, into).id != label_id
    except (Forbidden, NotFound):
        return False
