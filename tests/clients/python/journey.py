"""A Python client of the service, from registration to the deletion of the account.

It uses a package generated from the OpenAPI document. `scripts/test-clients` generates it, checks
this file against it with mypy and runs `python journey.py BASE_URL`.
"""

from __future__ import annotations

import re
import secrets
import sys
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

from calls import (
    OPENED,
    anonymous,
    expect,
    expect_conflict,
    expect_empty,
    expect_problem,
    signed_in,
    with_token,
)
from taskapi_client import AuthenticatedClient
from taskapi_client.api.auth import (
    change_password,
    delete_account,
    end_other_sessions,
    end_session,
    get_me,
    list_sessions,
    login,
    logout,
    refresh,
    register,
)
from taskapi_client.api.labels import create_label
from taskapi_client.api.occurrences import complete_task, list_occurrences, undo_occurrence
from taskapi_client.api.recurrence import preview_recurrence
from taskapi_client.api.tasks import (
    create_task,
    delete_task,
    get_task,
    list_tasks,
    move_task,
    patch_task,
    update_task,
)
from taskapi_client.api.workspaces import create_workspace, delete_workspace
from taskapi_client.models import (
    Account,
    Credentials,
    DueDate,
    DueTime,
    EndedSessions,
    Label,
    ListTasksSort,
    Login,
    Message,
    NewDueTime,
    NewLabel,
    NewRecurrence,
    NewRecurrencePreview,
    NewTask,
    NewUser,
    NewWorkspace,
    OccurrencePage,
    OccurrenceResult,
    PasswordChange,
    Reauthentication,
    RecurrencePreview,
    RefreshRequest,
    SessionPage,
    Task,
    TaskChanges,
    TaskMove,
    TaskPage,
    TaskPatch,
    Workspace,
)
from taskapi_client.types import UNSET, Unset

FIRST_PASSWORD = "correct horse battery"
SECOND_PASSWORD = "staple ☃ correct horse"


def sign_up(email: str) -> Login:
    """Register after an invalid attempt; a second registration of the email fails."""
    invalid = register.sync_detailed(
        client=anonymous(), body=NewUser(email="nobody", password="short")
    )
    errors = expect_problem(invalid, HTTPStatus.BAD_REQUEST).errors
    assert not isinstance(errors, Unset)
    assert sorted(error.pointer for error in errors) == ["/email", "/password"]

    body = NewUser(email=email.upper(), password=FIRST_PASSWORD)
    tokens = expect(
        register.sync_detailed(client=anonymous(), body=body), HTTPStatus.CREATED, Login
    )
    assert tokens.user.email == email
    assert tokens.token_type == "bearer"
    assert tokens.expires_in > 0
    again = register.sync_detailed(client=anonymous(), body=body)
    assert expect_problem(again, HTTPStatus.BAD_REQUEST).detail == "Email already registered"
    return tokens


def log_in(email: str, password: str) -> AuthenticatedClient:
    """Log in on a second device, after an attempt with a wrong password."""
    wrong = login.sync_detailed(
        client=anonymous(), body=Credentials(email=email, password="not this one")
    )
    assert expect_problem(wrong, HTTPStatus.UNAUTHORIZED).detail == "Invalid email or password"
    right = login.sync_detailed(
        client=anonymous(), body=Credentials(email=email, password=password)
    )
    return signed_in(expect(right, HTTPStatus.OK, Login))


def renew(tokens: Login) -> AuthenticatedClient:
    """Refresh the tokens, and get the account."""
    response = refresh.sync_detailed(
        client=anonymous(), body=RefreshRequest(refresh_token=tokens.refresh_token)
    )
    rotated = expect(response, HTTPStatus.OK, Login)
    assert rotated.refresh_token != tokens.refresh_token
    unknown = refresh.sync_detailed(client=anonymous(), body=RefreshRequest(refresh_token="none"))
    expect_problem(unknown, HTTPStatus.UNAUTHORIZED)

    client = signed_in(rotated)
    me = expect(get_me.sync_detailed(client=client), HTTPStatus.OK, Account)
    assert (me.id, me.email, me.created_at) == (
        rotated.user.id,
        rotated.user.email,
        rotated.user.created_at,
    )
    assert me.quotas.tasks.used == 0
    assert abs(datetime.now(UTC) - me.created_at) < timedelta(minutes=10)
    return client


def create_five(client: AuthenticatedClient) -> list[Task]:
    """Five tasks, newest first."""
    tasks: list[Task] = []
    for title in ("one", "two", "three", "four", "five"):
        description = None if title == "one" else f'<b>{title}</b> & "more" ☃'
        response = create_task.sync_detailed(
            client=client, body=NewTask(title=title, description=description)
        )
        task = expect(response, HTTPStatus.CREATED, Task)
        assert (task.title, task.description) == (title, description)
        assert task.is_completed is False
        assert response.headers["Location"] == f"/tasks/{task.id}"
        assert response.headers["ETag"] == f'"{task.version}"'
        tasks.insert(0, task)
    empty = create_task.sync_detailed(client=client, body=NewTask(title="   "))
    expect_problem(empty, HTTPStatus.BAD_REQUEST)
    return tasks


def page_through(client: AuthenticatedClient, tasks: list[Task]) -> None:
    """List the tasks in pages of two, in one page, and with the ETag of the unchanged list."""
    seen: list[Task] = []
    cursor: str | None = None
    sizes = []
    for _ in tasks:
        response = list_tasks.sync_detailed(
            client=client, limit=2, cursor=UNSET if cursor is None else cursor
        )
        page = expect(response, HTTPStatus.OK, TaskPage)
        assert page.total == len(tasks)
        seen += page.tasks
        sizes.append(len(page.tasks))
        cursor = page.next_cursor
        has_next = 'rel="next"' in response.headers.get("Link", "")
        assert has_next == (cursor is not None)
        if cursor is None:
            break
    assert sizes == [2, 2, 1]
    assert seen == tasks

    everything = list_tasks.sync_detailed(client=client)
    assert expect(everything, HTTPStatus.OK, TaskPage).tasks == tasks
    unchanged = list_tasks.sync_detailed(client=client, if_none_match=everything.headers["ETag"])
    expect_empty(unchanged, HTTPStatus.NOT_MODIFIED)
    too_many = list_tasks.sync_detailed(client=client, limit=1001)
    expect_problem(too_many, HTTPStatus.BAD_REQUEST)


def edit(laptop: AuthenticatedClient, phone: AuthenticatedClient, task: Task) -> None:
    """Change a task on two devices. The device with the outdated version gets a 412."""
    read = get_task.sync_detailed(task.id, client=laptop)
    assert expect(read, HTTPStatus.OK, Task) == task
    etag = read.headers["ETag"]
    again = get_task.sync_detailed(task.id, client=laptop, if_none_match=etag)
    expect_empty(again, HTTPStatus.NOT_MODIFIED)

    # The whole task is sent back with one change. Read-only fields are ignored.
    body = TaskChanges.from_dict(task.to_dict() | {"is_completed": True})
    put = update_task.sync_detailed(task.id, client=laptop, body=body, if_match=etag)
    done = expect(put, HTTPStatus.OK, Task)
    assert done.is_completed
    assert done.title == task.title
    assert done.version > task.version

    stale = patch_task.sync_detailed(
        task.id, client=phone, body=TaskPatch(title="too late"), if_match=etag
    )
    assert expect_conflict(stale).task == done
    patch = patch_task.sync_detailed(
        task.id,
        client=phone,
        body=TaskPatch(title="renamed", description=None),
        if_match=put.headers["ETag"],
    )
    renamed = expect(patch, HTTPStatus.OK, Task)
    assert (renamed.title, renamed.description) == ("renamed", None)
    assert renamed.is_completed

    completed = list_tasks.sync_detailed(client=laptop, is_completed=True)
    assert expect(completed, HTTPStatus.OK, TaskPage).tasks == [renamed]


def remove(client: AuthenticatedClient, task: Task) -> None:
    """Delete a task. It then returns 404."""
    expect_empty(delete_task.sync_detailed(task.id, client=client), HTTPStatus.NO_CONTENT)
    gone = get_task.sync_detailed(task.id, client=client)
    assert expect_problem(gone, HTTPStatus.NOT_FOUND).detail == "Task not found"


def preview_recurrences(client: AuthenticatedClient) -> None:
    """Preview a rule with dates and with local times."""
    christmas = DueDate(date(2026, 12, 24))
    yearly = NewRecurrencePreview(rrule="FREQ=YEARLY;COUNT=2", due=christmas)
    response = preview_recurrence.sync_detailed(client=client, body=yearly)
    preview = expect(response, HTTPStatus.OK, RecurrencePreview)
    assert preview.occurrences == [christmas, DueDate(date(2027, 12, 24))]
    assert not preview.has_more

    evening = NewDueTime("2026-10-25T18:00:00", "Europe/Berlin")
    daily = NewRecurrencePreview(rrule="FREQ=DAILY", due=evening, count=1)
    response = preview_recurrence.sync_detailed(client=client, body=daily)
    (first,) = expect(response, HTTPStatus.OK, RecurrencePreview).occurrences
    assert isinstance(first, DueTime)
    assert first.at == datetime(2026, 10, 25, 17, tzinfo=UTC)


def use_recurrence(client: AuthenticatedClient) -> None:
    """Move, complete and undo a recurring task with a label and subtask."""
    labelled = create_label.sync_detailed(client=client, body=NewLabel(name="Urgent"))
    label = expect(labelled, HTTPStatus.CREATED, Label)
    monday = DueDate(date(2150, 1, 5))
    body = NewTask(
        title="weekly",
        due=monday,
        recurrence=NewRecurrence("FREQ=WEEKLY"),
        label_ids=[label.id],
        priority=4,
    )
    created = create_task.sync_detailed(client=client, body=body)
    task = expect(created, HTTPStatus.CREATED, Task)
    assert (task.due, task.label_ids, task.priority) == (monday, [label.id], 4)
    created = create_task.sync_detailed(
        client=client, body=NewTask(title="below", parent_id=task.id)
    )
    below = expect(created, HTTPStatus.CREATED, Task)
    assert (below.parent_id, below.list_id) == (task.id, task.list_id)

    response = move_task.sync_detailed(task.id, client=client, body=TaskMove(after=None))
    moved = expect(response, HTTPStatus.OK, Task)
    page = list_tasks.sync_detailed(client=client, sort=ListTasksSort.POSITION, limit=1)
    assert expect(page, HTTPStatus.OK, TaskPage).tasks == [moved]

    done = complete_task.sync_detailed(
        task.id, client=client, if_match=response.headers["ETag"], idempotency_key="monday"
    )
    step = expect(done, HTTPStatus.OK, OccurrenceResult)
    assert step.task.due == step.next_ == DueDate(date(2150, 1, 12))
    assert done.headers["ETag"] == f'"{step.task.version}"'
    listed = list_occurrences.sync_detailed(task.id, client=client)
    assert expect(listed, HTTPStatus.OK, OccurrencePage).occurrences == [step.occurrence]
    undone = undo_occurrence.sync_detailed(task.id, client=client)
    back = expect(undone, HTTPStatus.OK, OccurrenceResult)
    assert (back.task.due, back.occurrence) == (monday, step.occurrence)
    nothing = undo_occurrence.sync_detailed(task.id, client=client)
    expect_problem(nothing, HTTPStatus.CONFLICT)

    expect_empty(delete_task.sync_detailed(task.id, client=client), HTTPStatus.NO_CONTENT)
    expect_problem(get_task.sync_detailed(below.id, client=client), HTTPStatus.NOT_FOUND)


def share_a_workspace(client: AuthenticatedClient, personal: Task) -> None:
    """The same client works in a shared workspace, with another base URL."""
    created = create_workspace.sync_detailed(client=client, body=NewWorkspace(name="Family"))
    workspace = expect(created, HTTPStatus.CREATED, Workspace)
    shared = with_token(client.token, f"/workspaces/{workspace.id}")

    response = create_task.sync_detailed(client=shared, body=NewTask(title="ours"))
    task = expect(response, HTTPStatus.CREATED, Task)
    assert task.list_id == workspace.id
    assert response.headers["Location"] == f"/workspaces/{workspace.id}/tasks/{task.id}"
    page = expect(list_tasks.sync_detailed(client=shared), HTTPStatus.OK, TaskPage)
    assert page.tasks == [task]
    foreign = get_task.sync_detailed(task.id, client=client)
    expect_problem(foreign, HTTPStatus.FORBIDDEN)
    expect_problem(get_task.sync_detailed(personal.id, client=shared), HTTPStatus.FORBIDDEN)

    deleted = delete_workspace.sync_detailed(workspace.id, client=client)
    expect_empty(deleted, HTTPStatus.NO_CONTENT)
    expect_problem(list_tasks.sync_detailed(client=shared), HTTPStatus.NOT_FOUND)


def reject_others(email: str, task: Task) -> None:
    """A second account cannot access the task. After its deletion, its token is invalid."""
    newcomer = NewUser(email=f"other-{email}", password=FIRST_PASSWORD)
    response = register.sync_detailed(client=anonymous(), body=newcomer)
    stranger = signed_in(expect(response, HTTPStatus.CREATED, Login))
    read = get_task.sync_detailed(task.id, client=stranger)
    expect_problem(read, HTTPStatus.FORBIDDEN)
    expect_problem(delete_task.sync_detailed(task.id, client=stranger), HTTPStatus.FORBIDDEN)
    closed = delete_account.sync_detailed(
        client=stranger, body=Reauthentication(password=FIRST_PASSWORD)
    )
    expect_empty(closed, HTTPStatus.NO_CONTENT)
    expect_problem(get_me.sync_detailed(client=stranger), HTTPStatus.UNAUTHORIZED)


def manage_sessions(laptop: AuthenticatedClient, phone: AuthenticatedClient, email: str) -> None:
    """Changing the password ends the other session. A new session is ended by its ID."""
    listed = expect(list_sessions.sync_detailed(client=laptop), HTTPStatus.OK, SessionPage)
    assert listed.total == 2
    assert [session.is_current for session in listed.sessions].count(True) == 1

    changed = change_password.sync_detailed(
        client=laptop,
        body=PasswordChange(current_password=FIRST_PASSWORD, new_password=SECOND_PASSWORD),
    )
    expect(changed, HTTPStatus.OK, Message)
    expect_problem(get_me.sync_detailed(client=phone), HTTPStatus.UNAUTHORIZED)

    phone = log_in(email, SECOND_PASSWORD)
    listed = expect(list_sessions.sync_detailed(client=laptop), HTTPStatus.OK, SessionPage)
    other = next(session for session in listed.sessions if not session.is_current)
    expect_empty(end_session.sync_detailed(other.id, client=laptop), HTTPStatus.NO_CONTENT)
    expect_problem(list_tasks.sync_detailed(client=phone), HTTPStatus.UNAUTHORIZED)
    ended = end_other_sessions.sync_detailed(client=laptop)
    assert expect(ended, HTTPStatus.OK, EndedSessions).ended == 0


def leave(client: AuthenticatedClient) -> None:
    """Log out. The token is then invalid."""
    expect(logout.sync_detailed(client=client), HTTPStatus.OK, Message)
    refused = list_tasks.sync_detailed(client=client)
    assert expect_problem(refused, HTTPStatus.UNAUTHORIZED).detail == "Invalid token"
    assert re.match("Bearer", refused.headers["WWW-Authenticate"])


def main() -> None:
    """Run all steps. A failing assertion ends the run."""
    email = f"py-{secrets.token_hex(6)}@example.com"
    tokens = sign_up(email)
    phone = log_in(email, FIRST_PASSWORD)
    laptop = renew(tokens)
    tasks = create_five(laptop)
    page_through(laptop, tasks)
    edit(laptop, phone, tasks[0])
    remove(laptop, tasks[1])
    preview_recurrences(laptop)
    use_recurrence(laptop)
    share_a_workspace(laptop, tasks[0])
    reject_others(email, tasks[0])
    manage_sessions(laptop, phone, email)
    leave(laptop)
    sys.stdout.write("Python client: the whole journey passed.\n")


if __name__ == "__main__":
    with OPENED:
        main()
