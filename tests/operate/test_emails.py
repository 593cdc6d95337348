"""Emails get a table of their own while code of the release before is at work.

That code is here as the statements that it sends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import flask_migrate
import psycopg
import pytest
from psycopg import sql
from support import databases, revisions
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.world import holding, meanwhile, person, until_blocked, worker
from support.world import sql as ask

from config import Settings
from taskapi import create_app

BEFORE, MADE = "0003", "0004"
MANY = 2_500
"""Accounts, which are filled a thousand at a time."""

SOME = (
    "INSERT INTO users (email, hashed_password)"
    f" SELECT n || '@example.com', '' FROM generate_series(1, {MANY}) n"
)
REGISTER = (
    "INSERT INTO users (email, hashed_password) VALUES (%s, '')"
    " ON CONFLICT (email) DO NOTHING RETURNING id"
)
DELETE = "DELETE FROM users WHERE email = %s RETURNING id"
APART = (
    "SELECT * FROM (SELECT email, id FROM users) one"
    " FULL JOIN (SELECT email, user_id AS id FROM emails) other USING (email, id)"
    " WHERE one IS NULL OR other IS NULL"
)
"""Accounts without their email, and emails without their account."""

EMAIL = "5@example.com"


@pytest.fixture
def before(server_url: str, worker_id: str) -> Iterator[Settings]:
    """A database with many accounts that is at the head of the release before."""
    name = f"emails_{worker_id}_{time.monotonic_ns()}"
    url = databases.create(server_url, name)
    databases.migrate(url, BEFORE)
    settings = databases.settings_for(url)
    ask(settings, SOME)
    yield settings
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def unfilled(before: Settings) -> Settings:
    """The same, when the table is there and nothing has been filled in."""
    _upgrade(before)
    ask(before, "TRUNCATE emails")
    ask(before, "UPDATE alembic_version SET version_num = %s", BEFORE)
    return before


def _upgrade(settings: Settings) -> None:
    assert settings.database_url
    databases.migrate(settings.database_url, MADE)


def _user(settings: Settings, email: str) -> list[tuple[int, int]]:
    """Whose an email is, by the accounts and by the emails."""
    return ask(
        settings,
        "SELECT users.id, user_id FROM users FULL JOIN emails USING (email) WHERE email = %s",
        email,
    )


def test_accounts_from_before_have_their_emails(before: Settings) -> None:
    _upgrade(before)
    assert ask(before, "SELECT count(*) FROM emails") == [(MANY,)]
    assert ask(before, APART) == []


def test_the_way_back_leaves_nothing_and_can_be_gone_again(before: Settings) -> None:
    _upgrade(before)
    with create_app(before).app_context():
        flask_migrate.downgrade(databases.MIGRATIONS, BEFORE)
    left = (
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal UNION ALL"
        " SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    )
    assert ask(before, left) == []
    assert ask(before, REGISTER, new_email()) != []
    _upgrade(before)
    assert ask(before, APART) == []


def test_what_was_broken_off_while_it_filled_is_taken_up_again(unfilled: Settings) -> None:
    ask(unfilled, "INSERT INTO emails SELECT email, id FROM users WHERE id <= 1000")
    _upgrade(unfilled)
    assert ask(unfilled, APART) == []


def test_who_is_deleted_while_it_fills_leaves_no_email(unfilled: Settings) -> None:
    """It waits for that account with its thousand, and with no more: others come and go."""
    last = f"{MANY}@example.com"
    with holding(unfilled, "SELECT FROM users WHERE email = %s FOR UPDATE", last) as held:
        assert unfilled.database_url
        upgrade = revisions.flask_at_work(unfilled.database_url, "db", "upgrade", MADE)
        until_blocked(unfilled, 1)
        assert ask(unfilled, DELETE, EMAIL) != []
        assert ask(unfilled, REGISTER, new_email()) != []
        held.execute(DELETE, [last])
        held.commit()
        said, _ = upgrade.communicate(timeout=30)
    assert upgrade.returncode == 0, said
    assert ask(unfilled, APART) == []
    assert ask(unfilled, "SELECT count(*) FROM emails") == [(MANY - 1,)]


def test_before_it_is_filled_older_code_gives_nobody_an_email_that_is_taken(
    unfilled: Settings,
) -> None:
    assert ask(unfilled, REGISTER, EMAIL) == []
    assert _user(unfilled, EMAIL) == [(5, None)]
    with holding(unfilled, DELETE, EMAIL) as held:
        with meanwhile(lambda: ask(unfilled, REGISTER, EMAIL)) as registered:
            until_blocked(unfilled, 1)
            held.commit()
        ((number,),) = registered.result()
    assert _user(unfilled, EMAIL) == [(number, number)]
    _upgrade(unfilled)
    assert ask(unfilled, APART) == []


def test_what_older_code_does_is_seen_by_todays(settings: Settings, anonymous: Api) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD}
    ((number,),) = ask(settings, REGISTER, email)
    assert _user(settings, email) == [(number, number)]
    anonymous.problem(400, "email_taken", "POST", "/auth/register", json=body)
    assert ask(settings, REGISTER, email) == []
    assert ask(settings, DELETE, email) == [(number,)]
    assert _user(settings, email) == []
    anonymous.login = anonymous.expect(201, "POST", "/auth/register", json=body)
    assert _user(settings, email) == [(anonymous.user_id, anonymous.user_id)]
    assert ask(settings, REGISTER, email) == []
    anonymous.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    assert _user(settings, email) == []


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "taken back"])
def test_of_two_releases_that_register_one_email_at_once_one_gets_it(
    settings: Settings, contract: Contract, is_kept: bool
) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD}
    with worker(settings) as app, holding(settings, REGISTER, email) as held:
        newer = person(app, contract)
        with meanwhile(lambda: newer.send("POST", "/auth/register", json=body)) as registered:
            until_blocked(settings, 1)
            held.commit() if is_kept else held.rollback()
        assert registered.result().status_code == (400 if is_kept else 201)
    ((one, other),) = _user(settings, email)
    assert one == other


CLAIM = "INSERT INTO emails (email, user_id) VALUES (%s, 0)"


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "taken back"])
def test_older_code_waits_for_whom_todays_gives_the_email(
    settings: Settings, is_kept: bool
) -> None:
    email = new_email()
    with holding(settings, CLAIM, email) as held:
        with meanwhile(lambda: ask(settings, REGISTER, email)) as registered:
            until_blocked(settings, 1)
            held.execute(
                "INSERT INTO users (id, email, hashed_password) VALUES (0, %s, '')", [email]
            )
            held.commit() if is_kept else held.rollback()
        found = registered.result()
    assert (found == []) is is_kept
    ((one, other),) = _user(settings, email)
    assert one == other
    assert (one == 0) is is_kept
    ask(settings, DELETE, email)


def test_older_code_waits_for_whom_todays_is_just_deleting(
    settings: Settings, contract: Contract
) -> None:
    """Today's has deleted the account and not yet its email, which so looks taken."""
    lock = "SELECT FROM emails WHERE email = %s FOR UPDATE"
    with worker(settings) as app:
        leaver = person(app, contract).registered()
        email, body = leaver.email, {"password": PASSWORD}
        with (
            holding(settings, lock, email) as held,
            meanwhile(lambda: leaver.send("POST", "/auth/delete", json=body)) as deleted,
        ):
            until_blocked(settings, 1)
            with meanwhile(lambda: ask(settings, REGISTER, email)) as registered:
                until_blocked(settings, 2)
                held.commit()
        assert deleted.result().status_code == 204
        ((number,),) = registered.result()
    assert _user(settings, email) == [(number, number)]


def test_an_email_that_somebody_changes_by_hand_is_changed_in_both(
    settings: Settings, user: Api, stranger: Api
) -> None:
    change = "UPDATE users SET email = %s WHERE id = %s"
    with pytest.raises(psycopg.errors.UniqueViolation):
        ask(settings, change, stranger.email, user.user_id)
    before, user.email = user.email, new_email()
    ask(settings, change, user.email, user.user_id)
    user.again()
    assert _user(settings, before) == []
    body: dict[str, Any] = {"email": before, "password": PASSWORD}
    user.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)
