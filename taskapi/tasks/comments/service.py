"""Use cases of comments. The first argument is the caller; the result is rows.

Only its author can change a comment. In a shared workspace, its author, an admin or the owner can
delete it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.db.listing import Page, read_page
from taskapi.db.pages import page_request
from taskapi.db.quotas import QuotaExceeded
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.tasks.comments.models import Comment
from taskapi.tasks.comments.queries import SORTS, comment_page, comments
from taskapi.tasks.service import get_task


def list_comments(
    caller: Caller, task_id: int, query: Mapping[str, Any], *, known: list[int] | None
) -> Page[Comment]:
    """A page of a task's comments.

    Args:
        query: the validated limit, cursor and sort.
        known: versions of the list that the client has; None stands for all.

    Raises:
        InvalidInput: the cursor belongs to another list or order.
        SessionEnded, Forbidden, NotFound: see `ContentTable`; of the task.
    """
    request = page_request(query, SORTS)
    statement = comment_page(request.ordering)
    page = read_page(caller, comments, statement, request, known=known, task_id=task_id)
    if page.total is None:
        get_task(caller, task_id)
    return page


def get_comment(caller: Caller, task_id: int, comment_id: int) -> Comment:
    """One comment on a task.

    Raises:
        SessionEnded, Forbidden, NotFound: see `ContentTable`.
    """
    return comments.get(caller, comment_id, task_id=task_id)


def create_comment(caller: Caller, task_id: int, values: Mapping[str, Any]) -> Comment:
    """Add a comment to a task.

    Raises:
        SessionEnded, Forbidden, NotFound: see `ContentTable`; of the task.
        QuotaExceeded: as it says.
    """
    try:
        created = comments.create(caller, {**values, "task_id": task_id})
    except QuotaExceeded:
        get_task(caller, task_id)
        raise
    log_event("comment_created", comment_id=created.id, task_id=task_id)
    return created


def update_comment(
    caller: Caller,
    task_id: int,
    comment_id: int,
    values: Mapping[str, Any],
    if_match: list[int] | None,
) -> Comment:
    """Set the given fields of a comment of the caller.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        NotAuthor: as it says.
        QuotaExceeded: as it says.
    """
    updated = comments.update(caller, comment_id, values, if_match, task_id=task_id)
    if values:
        log_event("comment_updated", comment_id=comment_id, task_id=task_id)
    return updated


def delete_comment(
    caller: Caller, task_id: int, comment_id: int, if_match: list[int] | None
) -> None:
    """Delete a comment of the caller, or another one as an admin or the owner of the workspace.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        NotAuthor: as it says.
    """
    comments.delete(caller, comment_id, if_match, task_id=task_id)
    log_event("comment_deleted", comment_id=comment_id, task_id=task_id)
