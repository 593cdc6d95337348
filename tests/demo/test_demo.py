"""`flask demo`: an account with example data of each kind."""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from support.api import Api, new_email
from support.mails import Mails
from support.world import sql

from config import Settings
from taskapi.demo.samples import tasks


def _run(app: Flask, email: str, count: int | str, *more: str, typed: str | None = None) -> Result:
    arguments = ["demo", "--email", email, "--tasks", str(count), *more]
    return app.test_cli_runner().invoke(args=arguments, input=typed)


def _output(app: Flask, email: str, count: int, *more: str) -> str:
    """What the demo prints about the account when it succeeds."""
    return _lines(app, email, count, *more)[0]


def _lines(app: Flask, email: str, count: int, *more: str) -> list[str]:
    """The last lines: about the account, and about the shared workspace."""
    result = _run(app, email, count, *more)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[-2:]


def _rows(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    page = api.expect(200, "GET", path, query_string=query)
    return list(next(value for value in page.values() if isinstance(value, list)))


def _ids(api: Api, path: str) -> list[tuple[int, int]]:
    return [(row["id"], row["version"]) for row in _rows(api, path)]


@pytest.fixture
def filled(app: Flask, anonymous: Api) -> Api:
    """A user whose account has a demo of the default size."""
    email = new_email()
    output = _output(app, email.upper(), 200)
    message, _, password = output.rpartition(": ")
    assert message == f"{email} has 200 tasks. Log in with the password"
    return _logged_in(anonymous, email, password)


def _logged_in(anonymous: Api, email: str, password: str) -> Api:
    body = {"email": email, "password": password}
    anonymous.email = email
    anonymous.login = anonymous.expect(200, "POST", "/auth/login", json=body)
    return anonymous


def test_there_are_tasks_of_each_kind(filled: Api) -> None:
    found = _rows(filled, "/tasks")
    assert len(found) == filled.expect(200, "GET", "/tasks")["total"] == 200
    assert {task["is_completed"] for task in found} == {True, False}
    assert {task["priority"] for task in found} == {0, 1, 2, 3, 4}
    dues = [task["due"] or {} for task in found]
    assert any("date" in due for due in dues)
    assert len({due["timezone"] for due in dues if "timezone" in due}) > 1
    for name in ("description", "start", "estimate_minutes", "parent_id", "recurrence"):
        assert any(task[name] for task in found)
        assert not all(task[name] for task in found)
    titles = {task["id"]: task["title"] for task in found}
    below = [task for task in found if task["parent_id"]]
    assert {titles[task["parent_id"]] for task in below} == {
        "Give a birthday party",
        "Launch the new site",
    }


def test_tasks_are_overdue_due_today_and_due_this_week(filled: Api) -> None:
    today = datetime.now(UTC).date()
    for query in ("overdue", f"due = {today}", f"due > {today} and due < {today + timedelta(7)}"):
        assert _rows(filled, "/tasks", filter=f"not completed and {query}")


def test_lists_have_tasks_and_one_is_archived(filled: Api) -> None:
    lists = _rows(filled, "/lists")
    assert [one["name"] for one in lists if one["is_archived"]] == ["Old flat"]
    for one in lists:
        inside = _rows(filled, "/tasks", list_id=one["id"])
        assert inside
        assert not one["is_archived"] or all(task["is_completed"] for task in inside)


def test_labels_are_used_and_filters_match(filled: Api) -> None:
    used = {one for task in _rows(filled, "/tasks") for one in task["label_ids"]}
    assert used == {label["id"] for label in _rows(filled, "/labels")}
    filters = _rows(filled, "/filters")
    assert {"Today", "Urgent at work"} <= {one["name"] for one in filters}
    for one in filters:
        assert _rows(filled, "/tasks", filter_id=one["id"])


def test_recurring_tasks_have_a_history(filled: Api) -> None:
    recurring = [task for task in _rows(filled, "/tasks") if task["recurrence"]]
    assert {task["recurrence"]["anchor"] for task in recurring} == {"due", "completion"}
    histories = [_rows(filled, f"/tasks/{task['id']}/occurrences") for task in recurring]
    assert {one["outcome"] for history in histories for one in history} == {"completed", "skipped"}
    assert [] in histories


def test_it_can_be_filled_twice(app: Flask, filled: Api) -> None:
    before = [_ids(filled, path) for path in ("/lists", "/labels", "/filters")]
    assert _output(app, filled.email, 30, "--yes") == f"{filled.email} has 30 more tasks. Log in."
    assert [_ids(filled, path) for path in ("/lists", "/labels", "/filters")] == before
    assert filled.expect(200, "GET", "/tasks")["total"] == 230
    assert filled.expect(200, "GET", "/auth/sessions")["total"] == 1


def test_it_shares_a_workspace_once(app: Flask, anonymous: Api, mails: Mails) -> None:
    email = new_email()
    second = email.replace("@", "+family@")
    shared = _lines(app, email, 1)[1]
    found = re.fullmatch(
        r"The base URL of the workspace Family is http://localhost:\d+/workspaces/(\d+)"
        rf" and its second member is {re.escape(second)} with the password: (\S+)",
        shared,
    )
    assert found
    member = _logged_in(anonymous, second, found[2])
    inside = member.at(int(found[1]))
    assert member.expect(200, "GET", f"/workspaces/{found[1]}")["role"] == "editor"
    before = _rows(inside, "/tasks")
    assert len({task["user_id"] for task in before}) == 2
    assert all(task["assignee_id"] not in (None, task["user_id"]) for task in before)
    assert _rows(member, "/assigned")
    assert [one["name"] for one in _rows(inside, "/lists")] == ["Inbox", "Holiday"]
    inside.task()
    assert mails.to(second) == []

    shared = _lines(app, email, 1, "--yes")[1]
    expected = f"{app.config['PUBLIC_URL']}/workspaces/{found[1]}"
    assert shared == f"The base URL of the workspace Family is {expected}"
    assert len(member.expect(200, "GET", "/workspaces")["workspaces"]) == 1
    assert len(_rows(inside, "/tasks")) == len(before) + 1


def test_it_shares_no_workspace_where_accounts_cannot_own_any(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "QUOTA_WORKSPACES", 0)
    email = new_email()
    assert _lines(app, email, 1)[1].startswith(f"{email} has 1 tasks.")


def test_it_fills_an_existing_account_without_its_password(app: Flask, user: Api) -> None:
    user.task()
    user.label(name="urgent")
    assert _output(app, user.email, 3, "--yes") == f"{user.email} has 3 more tasks. Log in."
    assert user.expect(200, "GET", "/tasks")["total"] == 4
    assert user.expect(200, "GET", "/auth/sessions")["total"] == 1


def test_it_logs_no_event_for_what_it_creates(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # other applications of this process may have raised it
    _output(app, new_email(), 3)
    events = [record for record in caplog.records if record.name == "taskapi.event"]
    assert [record.getMessage() for record in events] == ["user_created"]


def test_it_does_not_fill_a_deactivated_account(app: Flask, settings: Settings, user: Api) -> None:
    app.test_cli_runner().invoke(args=["users", "deactivate", user.email])
    result = _run(app, user.email, 3, "--yes")
    output = f"Error: There is no active account with the email {user.email}.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", output)
    assert sql(settings, "SELECT FROM tasks WHERE user_id = %s", user.user_id) == []


def test_it_takes_seconds(app: Flask) -> None:
    started = time.monotonic()
    _output(app, new_email(), 200)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("day", ["2026-01-01", "2028-02-29", "2026-12-31"])
def test_the_number_of_tasks_is_exact_on_any_day(day: str) -> None:
    today = datetime.fromisoformat(day).date()
    for count in (0, 1, 200, 1_000):
        assert len(list(tasks(count, today))) == count


def test_samples_are_made_one_at_a_time() -> None:
    assert len(list(islice(tasks(10**12, date(2026, 1, 1)), 30))) == 30


@pytest.mark.parametrize("typed", ["n\n", ""])
def test_it_asks_before_it_fills_an_existing_account(app: Flask, user: Api, typed: str) -> None:
    user.task()
    result = _run(app, user.email, 3, typed=typed)
    question = f"{user.email} exists and has 1 tasks. Add 3 sample tasks to it? [y/N]: "
    assert result.exit_code == 1
    assert result.stdout.startswith(question)
    assert user.expect(200, "GET", "/tasks")["total"] == 1
    assert len(user.expect(200, "GET", "/lists")["lists"]) == 1
    assert _run(app, user.email, 3, typed="y\n").exit_code == 0
    assert user.expect(200, "GET", "/tasks")["total"] == 4


@pytest.mark.parametrize(
    ("email", "count", "message"),
    [
        ("nope", 3, "Invalid value for '--email': Must be an email address of at most 255"),
        ("", 3, "Invalid value for '--email': Must be"),
        ("ada@example.com", -3, "Invalid value for '--tasks': -3 is not in the range x>=0."),
        ("ada@example.com", "many", "Invalid value for '--tasks'"),
    ],
)
def test_an_invalid_option_is_a_usage_error(
    app: Flask, email: str, count: int | str, message: str
) -> None:
    result = _run(app, email, count)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
