"""Commands of administrators: their output, their effects and their errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from support.api import PASSWORD, Api, new_email
from support.factor import enabled, enroll
from support.world import sql

from config import Settings
from taskapi.auth import administration

NEW_PASSWORD = "staple 42 times"


@pytest.fixture
def run(app: Flask) -> _Run:
    return _Run(app)


class _Run:
    """Commands of the application: `run("users list")`."""

    def __init__(self, app: Flask) -> None:
        self._runner = app.test_cli_runner()

    def __call__(self, command: str, typed: str = "") -> str:
        """The output of a command that must succeed."""
        result = self._invoke(command, typed)
        assert result.exit_code == 0, result.output
        return result.stdout

    def fails(self, command: str, typed: str = "") -> str:
        """The error message of a command that must fail and print nothing else."""
        result = self._invoke(command, typed)
        assert (result.exit_code, result.stdout) == (1, "")
        assert isinstance(result.exception, SystemExit)
        return result.stderr

    def _invoke(self, command: str, typed: str) -> Result:
        return self._runner.invoke(args=command.split(), input=typed)


def _log_in(api: Api, email: str, password: str) -> int:
    body = {"email": email, "password": password}
    return api.send("POST", "/auth/login", json=body).status_code


def _is_dead(api: Api) -> bool:
    body = {"refresh_token": api.login["refresh_token"]}
    answers = (api.send("GET", "/tasks"), api.send("POST", "/auth/refresh", json=body))
    return {answer.status_code for answer in answers} == {401}


def test_create_reads_the_password_from_standard_input(run: _Run, anonymous: Api) -> None:
    email = new_email()
    said = run(f"users create {email.upper()}", f"{PASSWORD}\n")
    body = {"email": email, "password": PASSWORD}
    user = anonymous.expect(200, "POST", "/auth/login", json=body)["user"]
    assert said == f"Created account {user['id']} for {email}.\n"


@pytest.mark.parametrize("typed", [" {} \n", " {} \r\n", " {} ", " {} \nsecond line\n"])
def test_the_password_is_the_whole_first_line(run: _Run, anonymous: Api, typed: str) -> None:
    email = new_email()
    run(f"users create {email}", typed.format(PASSWORD))
    assert _log_in(anonymous, email, f" {PASSWORD} ") == 200
    assert _log_in(anonymous, email, PASSWORD) == 401


@pytest.mark.parametrize(
    ("email", "typed", "sentence"),
    [
        ("ada", PASSWORD, "email: Must be an email address of at most 255 characters."),
        ("new@example.com", "short", "password: Must have 8 to 100 characters."),
        ("new@example.com", "", "password: Must have 8 to 100 characters."),
    ],
)
@pytest.mark.parametrize("command", ["create", "set-password"])
def test_create_validates_as_registration_does(
    run: _Run, command: str, email: str, typed: str, sentence: str
) -> None:
    assert run.fails(f"users {command} {email}", typed) == f"Error: {sentence}\n"


def test_create_rejects_a_taken_email(run: _Run, user: Api) -> None:
    said = run.fails(f"users create {user.email}", f"{NEW_PASSWORD}\n")
    assert said == "Error: Email already registered\n"
    assert _log_in(user, user.email, PASSWORD) == 200


@pytest.mark.parametrize("command", ["show", "set-password", "deactivate", "activate", "delete"])
def test_the_error_for_an_unknown_email_names_it(run: _Run, command: str) -> None:
    said = run.fails(f"users {command} nobody@example.com", f"{NEW_PASSWORD}\n")
    assert said == "Error: There is no account with the email nobody@example.com.\n"


def test_all_accounts_are_listed_once_in_the_order_of_their_ids(
    run: _Run, settings: Settings, user: Api, stranger: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(administration, "CHUNK", 2)
    user.task()
    run(f"users deactivate {stranger.email}")
    header, *lines = run("users list").splitlines()
    assert header.split() == ["ID", "TASKS", "STATE", "REGISTERED", "EMAIL"]
    rows = [line.split() for line in lines]
    everyone = sql(settings, "SELECT id::text FROM users ORDER BY users.id")
    assert [(row[0],) for row in rows] == everyone
    mine = next(row for row in rows if row[0] == str(user.user_id))
    day = user.login["user"]["created_at"][:10]
    assert mine == [str(user.user_id), "1", "active", day, user.email]
    theirs = next(row for row in rows if row[0] == str(stranger.user_id))
    assert theirs[1:3] == ["0", "inactive"]


def test_show_does_not_print_the_password_hash(run: _Run, user: Api) -> None:
    user.again()
    user.task(is_completed=True)
    user.task()
    said = run(f"users show {user.email.upper()}")
    shown = dict(line.split(maxsplit=1) for line in said.replace(" count", "_count").splitlines())
    assert shown["id:"] == str(user.user_id)
    assert shown["email:"] == user.email
    assert (shown["task_count:"], shown["session_count:"]) == ("2", "2")
    assert "$2b$" not in said


def test_set_password_ends_all_sessions(run: _Run, user: Api) -> None:
    other = user.again()
    said = run(f"users set-password {user.email}", f"{NEW_PASSWORD}\n")
    assert said == f"Changed the password of {user.email}; ended 2 sessions.\n"
    assert _is_dead(user)
    assert _is_dead(other)
    assert _log_in(user, user.email, PASSWORD) == 401
    assert _log_in(user, user.email, NEW_PASSWORD) == 200


def test_deactivate_ends_sessions_and_activate_permits_logins_again(run: _Run, user: Api) -> None:
    task = user.task()
    user.again()
    said = run(f"users deactivate {user.email.upper()}")
    assert said == f"Deactivated {user.email}; ended 2 sessions.\n"
    assert _is_dead(user)
    assert _log_in(user, user.email, PASSWORD) == 403
    assert run(f"users activate {user.email}") == f"Activated {user.email}.\n"
    assert _is_dead(user)
    back = user.again()
    assert [found["id"] for found in back.expect(200, "GET", "/tasks")["tasks"]] == [task["id"]]


def test_verify_marks_the_email_as_verified(run: _Run, user: Api) -> None:
    assert run(f"users verify {user.email.upper()}") == f"Marked {user.email} as verified.\n"
    assert user.expect(200, "GET", "/auth/me")["email_verified"] is True
    assert "email verified:       True\n" in run(f"users show {user.email}")
    said = run.fails("users verify nobody@example.com", "")
    assert said == "Error: There is no account with the email nobody@example.com.\n"


@pytest.mark.parametrize(("options", "typed"), [("--yes", ""), ("", "y\n")])
def test_delete_deletes_a_confirmed_account(
    run: _Run, settings: Settings, user: Api, options: str, typed: str
) -> None:
    user.task()
    said = run(f"users delete {user.email} {options}", typed)
    assert said.endswith(f"Deleted {user.email}.\n")
    assert (f"Delete {user.email} and 1 tasks?" in said) is bool(typed)
    assert _is_dead(user)
    assert sql(settings, "SELECT FROM users WHERE id = %s", user.user_id) == []
    for table in ("sessions", "lists", "tasks"):
        assert sql(settings, f"SELECT FROM {table} WHERE user_id = %s", user.user_id) == []


def test_the_second_factor_of_an_account_is_disabled(run: _Run, user: Api) -> None:
    enabled(user)
    assert "second factor:        True" in run(f"users show {user.email}")
    assert _log_in(user, user.email, PASSWORD) == 401
    said = run(f"users disable-second-factor {user.email.upper()}")
    assert said == f"Disabled the second factor of {user.email}.\n"
    assert "second factor:        False" in run(f"users show {user.email}")
    assert _log_in(user, user.email, PASSWORD) == 200
    user.expect(200, "GET", "/tasks")
    enabled(user)


def test_an_account_without_a_second_factor_has_none_to_disable(run: _Run, user: Api) -> None:
    error = f"Error: The account {user.email} has no second factor.\n"
    assert run.fails(f"users disable-second-factor {user.email}") == error
    enroll(user)
    assert run.fails(f"users disable-second-factor {user.email}") == error


def test_all_sessions_are_ended(
    run: _Run, user: Api, stranger: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(administration, "CHUNK", 2)
    other = user.again()
    assert int(run("sessions end-all --yes").split()[1]) >= 3
    for api in (user, other, stranger):
        api.expect(401, "GET", "/auth/me")
    assert _log_in(user, user.email, PASSWORD) == 200


def test_delete_without_confirmation_keeps_the_account(app: Flask, user: Api) -> None:
    for typed in ("n\n", "\n", ""):
        args = ["users", "delete", user.email]
        result = app.test_cli_runner().invoke(args=args, input=typed)
        assert result.exit_code == 1
        assert "Aborted!" in result.stderr
    user.expect(200, "GET", "/tasks")


@pytest.mark.parametrize(
    ("command", "sentences"),
    [
        (
            "users",
            [
                "Create, list and change accounts.",
                "Create an account for EMAIL",
                "List all accounts.",
                "Show the account of EMAIL.",
                "Set the password of EMAIL",
                "Deactivate the account of EMAIL",
                "Activate the account of EMAIL again.",
                "Mark EMAIL as verified",
                "Turn the second factor of EMAIL off",
                "Encrypt stored secrets with the current key.",
                "Delete the account of EMAIL",
            ],
        ),
        ("users create", ["EMAIL", "Prompts for the password, or reads it from standard input."]),
        ("users delete", ["--yes", "Do not ask for confirmation."]),
        ("openapi", ["The OpenAPI document.", "Write the document to FILE"]),
        ("demo", ["--email", "--tasks", "demo@example.com", "Add sample tasks to an account"]),
    ],
)
def test_help_describes_each_command(run: _Run, command: str, sentences: list[str]) -> None:
    said = " ".join(run(f"{command} --help").split())
    for sentence in sentences:
        assert sentence in said


@pytest.mark.parametrize("command", ["users create", "users", "users list extra", "users fly"])
def test_invalid_usage_prints_the_usage(app: Flask, command: str) -> None:
    result = app.test_cli_runner().invoke(args=command.split())
    assert result.exit_code == 2
    assert "Usage:" in result.output


def test_the_openapi_document_is_written_as_it_is_served(
    run: _Run, anonymous: Api, tmp_path: Path
) -> None:
    file = tmp_path / "openapi.json"
    assert run(f"openapi write {file}") == f"Wrote {file}\n"
    assert file.read_bytes() == anonymous.client.get("/openapi.json").data
    assert json.loads(file.read_text())["openapi"].startswith("3.1")
