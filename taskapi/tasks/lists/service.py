"""Use cases of lists. The first argument is the caller; the result is rows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from taskapi.db import database
from taskapi.db.constraints import ReferenceMissing
from taskapi.db.listing import Page, read_page
from taskapi.db.pages import page_request
from taskapi.db.tenancy import locked, scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import Forbidden, InvalidInput, NotFound, Problem
from taskapi.tasks.lists.models import List
from taskapi.tasks.lists.queries import SORTS, deletion, list_page, lists, manual_order


class InboxStays(Problem):
    """The inbox can be neither deleted nor archived."""

    status = 409
    code = "inbox_stays"
    title = "Inbox stays"
    detail = "The inbox can be neither deleted nor archived."


class ListNotEmpty(Problem):
    """The list contains tasks. Specify `tasks`: whether to move or to delete them."""

    status = 409
    code = "list_not_empty"
    title = "List not empty"
    detail = (
        "The list contains tasks. Specify tasks=move to move them to the inbox, or tasks=delete."
    )


def inbox_of(caller: Caller) -> int:
    """The ID of the caller's inbox."""
    return caller.workspace_id


def require_list(caller: Caller, list_id: int) -> None:
    """Check that the list of the parameter list_id exists.

    Raises:
        InvalidInput: it does not.
    """
    try:
        lists.get(caller, list_id)
    except (Forbidden, NotFound):
        raise InvalidInput.at("list_id", "List not found.", "unknown_reference") from None


def list_lists(caller: Caller, query: Mapping[str, Any], *, known: list[int] | None) -> Page[List]:
    """A page of the caller's lists.

    Args:
        query: the validated limit, cursor, sort and is_archived.
        known: versions of the list that the client has; None stands for all.

    Raises:
        InvalidInput: the cursor belongs to another list or order.
        SessionEnded: the caller's session has ended.
    """
    request = page_request(query, SORTS)
    statement = list_page(request.ordering, is_archived=query.get("is_archived"))
    return read_page(caller, lists, statement, request, known=known)


def get_list(caller: Caller, list_id: int) -> List:
    """One list.

    Raises:
        SessionEnded, Forbidden, NotFound: see `ContentTable`.
    """
    return lists.get(caller, list_id)


def create_list(caller: Caller, values: dict[str, Any]) -> List:
    """Add a list.

    Raises:
        SessionEnded: the caller's session has ended.
        ListExists: another list has its name.
    """
    created = lists.create(caller, values)
    log_event("list_created", list_id=created.id)
    return created


def update_list(
    caller: Caller, list_id: int, values: dict[str, Any], if_match: list[int] | None
) -> List:
    """Set the given fields of a list.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        InboxStays: the inbox cannot be archived.
        ListExists: another list has the name.
    """
    if values.get("is_archived") and list_id == inbox_of(caller):
        lists.raise_for_missing(caller, list_id, "update", if_match, InboxStays())
    updated = lists.update(caller, list_id, values, if_match)
    if values:
        log_event("list_updated", list_id=list_id)
    return updated


def move_list(
    caller: Caller, list_id: int, values: Mapping[str, Any], if_match: list[int] | None
) -> List:
    """Move a list behind another one.

    Args:
        values: after, see `ManualOrder.new_position`.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        InvalidInput: the other list does not exist.
    """
    with locked(caller):
        lists.require(caller, list_id, "update", if_match)
        position = manual_order.new_position(caller, list_id, values)
        moved = lists.update(caller, list_id, {"position": position})
    log_event("list_moved", list_id=list_id)
    return moved


def delete_list(
    caller: Caller, list_id: int, *, tasks: str | None, if_match: list[int] | None
) -> None:
    """Delete a list, and move or delete its tasks.

    Args:
        tasks: `move` them to the inbox, or `delete` them; None deletes only an empty list.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        InboxStays: it is the inbox.
        ListNotEmpty: it contains tasks, and `tasks` is None.
    """
    # After the lock, the occurrences of deleted tasks are counted as they are then.
    lock = locked(caller, changes_many=True) if tasks == "delete" else nullcontext()
    try:
        with lock:
            _delete(caller, list_id, tasks, if_match)
    except ReferenceMissing as missing:
        if missing.constraint != "fk_tasks_lists":
            raise
        # A task was added while the statement waited for the lock. Nobody can add one after it.
        with locked(caller, changes_many=True):
            _delete(caller, list_id, tasks, if_match)
    log_event("list_deleted", list_id=list_id, tasks=tasks)


def _delete(caller: Caller, list_id: int, tasks: str | None, if_match: list[int] | None) -> None:
    parameters = {"id": list_id, "if_match": if_match, **scope(caller)}
    if database.row(deletion(tasks), **parameters) is None:
        reason = InboxStays() if list_id == inbox_of(caller) else ListNotEmpty()
        lists.raise_for_missing(caller, list_id, "delete", if_match, reason)
