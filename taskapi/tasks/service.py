"""Use cases of tasks: each takes the caller first and answers with plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.core import database
from taskapi.core.due_columns import stored_due
from taskapi.core.dues import Due
from taskapi.core.errors import Forbidden, NotFound, Problem
from taskapi.core.identity import Caller
from taskapi.core.listing import Listed, Missing, listed
from taskapi.core.logging import note
from taskapi.core.ownership import scope
from taskapi.core.pagination import Page, page_of
from taskapi.filters.service import Finding, find
from taskapi.labels.service import get_label
from taskapi.lists.service import demand_list, inbox_of
from taskapi.recurrence.service import Recurrence
from taskapi.tasks import arranging, subtrees
from taskapi.tasks.columns import may_need_more, recurrence_of, stored
from taskapi.tasks.orders import SORTS
from taskapi.tasks.statements import Within, found_page, labelling, task_page, tasks

Task = dict[str, Any]


class TooManyLabels(Problem):
    """The task has as many labels as it can have."""

    status = 409
    code = "too_many_labels"
    title = "Too many labels"
    detail = "The task has 100 labels, and can have no more."


def list_tasks(caller: Caller, query: Mapping[str, Any], *, known: list[int] | None) -> Listed:
    """A page of the caller's tasks.

    Args:
        query: limit, cursor, sort, and what `filters` finds by, checked.
        known: versions of the list that the client has; None for whichever there is.

    Raises:
        InvalidInput: the cursor is not one of this list in this order, a filter breaks a rule, or
            what is named is not there.
        TokenInvalid: the caller's session is over.
    """
    page, list_id = page_of(query, SORTS), query.get("list_id")
    finding = find(caller, query)
    if finding:
        return _found(caller, page, finding, is_completed=query.get("is_completed"), known=known)
    statement = task_page(
        page.sort,
        is_descending=page.is_descending,
        resumes=page.resumes,
        is_completed=query.get("is_completed"),
        within=_within(caller, list_id),
    )
    found = listed(caller, statement, page, known=known, list_id=list_id)
    if found.rows == [] and list_id:
        demand_list(caller, list_id)
    return found


def get_task(caller: Caller, task_id: int) -> Task:
    """One task.

    Raises:
        TokenInvalid, Forbidden, NotFound: see `OwnedTable`.
    """
    return tasks.get(caller, task_id)


def create_task(caller: Caller, values: dict[str, Any]) -> Task:
    """Add a task.

    Raises:
        TokenInvalid: the caller's session is over.
        InvalidInput: there is no such list, parent or label, the task cannot be there, or its due
            and its recurrence do not fit each other.
    """
    values = arranging.fitted(values)
    if values.get("parent_id") is None:
        task = tasks.create(caller, stored(caller.user_id, values))
    else:
        task = arranging.create_below(caller, values)
    note("task_created", task_id=task["id"])
    return task


def update_task(
    caller: Caller, task_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Task:
    """Set the given values of a task; the others stay.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
        InvalidInput: there is no such list, parent or label, the task cannot be there, or its due
            and its recurrence do not fit each other.
    """
    kept = stored(caller.user_id, arranging.fitted(values) if "due" in values else values)
    if may_need_more(kept):
        task = tasks.update_alone(caller, task_id, kept, if_match)
        task = task or arranging.change(caller, task_id, values, if_match)
    else:
        task = tasks.update(caller, task_id, kept, if_match)
    if values:
        note("task_updated", task_id=task_id)
    return task


def move_task(
    caller: Caller, task_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Task:
    """Put a task somewhere else: see `arranging.move`."""
    task = arranging.move(caller, task_id, values, if_match)
    note("task_moved", task_id=task_id)
    return task


def delete_task(caller: Caller, task_id: int, if_match: list[int] | None) -> None:
    """Remove a task, and those below it.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    try:
        tasks.delete(caller, task_id, if_match)
    except database.ReferenceMissing:
        arranging.delete(caller, task_id, if_match)
    note("task_deleted", task_id=task_id)


def add_label(caller: Caller, task_id: int, label_id: int, if_match: list[int] | None) -> Task:
    """Put a label on a task; one that has it stays as it is.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`; of the label too.
        TooManyLabels: it has a hundred others.
    """
    task = _labelled(caller, task_id, label_id, if_match, adds=True)
    if label_id not in task["label_ids"]:
        raise TooManyLabels
    return task


def remove_label(caller: Caller, task_id: int, label_id: int, if_match: list[int] | None) -> Task:
    """Take a label off a task; one that does not have it stays as it is.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`; of the label too.
    """
    return _labelled(caller, task_id, label_id, if_match, adds=False)


def demand_task(caller: Caller, task_id: int, if_match: list[int] | None) -> Task:
    """A task that is to be changed.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    return tasks.demand(caller, task_id, "update", if_match)


def is_recurring(task: Task) -> bool:
    """Whether there is an occurrence to complete."""
    return task["recurrence"] is not None and not task["is_completed"]


def recurrence_of_task(task: Task) -> Recurrence:
    """How a task comes again that does."""
    asked = recurrence_of(task)
    assert asked, "it comes again"
    return Recurrence(asked.rule, asked.anchor, task["recurrence"]["timezone"])


def set_occurrence(caller: Caller, task_id: int, due: Due, occurred: int | None) -> Task:
    """Make a task open and due, as the occurrence of its rule that has this number."""
    values = {"is_completed": False, "occurred": occurred, **stored_due("due", due)}
    return tasks.update(caller, task_id, values)


def open_below(caller: Caller, task_id: int) -> None:
    """Open all tasks below one, while the account is locked."""
    database.rows(subtrees.REOPENING, id=task_id, **scope(caller))


def _labelled(
    caller: Caller, task_id: int, label_id: int, if_match: list[int] | None, *, adds: bool
) -> Task:
    parameters = {"id": task_id, "label_id": label_id, "if_match": if_match, **scope(caller)}
    task = tasks.write(labelling(adds=adds), **parameters)
    if task is None:
        tasks.refuse(caller, task_id, "update", if_match, _no_label(caller, label_id))
    note("task_updated", task_id=task_id)
    return task


def _no_label(caller: Caller, label_id: int) -> Problem | None:
    """Why the caller cannot use a label."""
    try:
        get_label(caller, label_id)
    except (Forbidden, NotFound) as problem:
        return problem
    return None


def _found(
    caller: Caller,
    page: Page,
    finding: Finding,
    *,
    is_completed: bool | None,
    known: list[int] | None,
) -> Listed:
    statement = found_page(
        page.sort,
        is_descending=page.is_descending,
        resumes=page.resumes,
        is_completed=is_completed,
        shape=finding.shape,
    )
    # No version says whether what time changes is still the same.
    known = [] if finding.is_moving else known
    try:
        found = listed(caller, statement, page, known=known, **finding.parameters)
    except Missing as missing:
        raise finding.missing(missing.number) from None
    return found._replace(version=None) if finding.is_moving else found


def _within(caller: Caller, list_id: int | None) -> Within:
    if list_id is None:
        return Within.ALL
    return Within.INBOX if list_id == inbox_of(caller) else Within.LIST
