"""The secrets of second factors and the keys that encrypt them, in the steps of docs/operate.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from click.testing import Result
from flask import Flask
from support.api import PASSWORD, Api
from support.factor import Factor, enabled
from support.world import person, sql, worker

from config import Settings
from taskapi.auth.second_factor import administration

NEW = "the new key of a test which is long enough"


class Instance(NamedTuple):
    """An instance with keys of its own."""

    app: Flask
    like: Api

    def log_in(self, account: Api, code: str) -> int:
        body = {"email": account.email, "password": PASSWORD, "code": code}
        return (
            person(self.app, self.like.contract).send("POST", "/auth/login", json=body).status_code
        )

    def reencrypt(self) -> Result:
        return self.app.test_cli_runner().invoke(args=["users", "reencrypt"])


@pytest.fixture
def factor(settings: Settings, user: Api) -> Factor:
    sql(settings, "DELETE FROM second_factors")
    return enabled(user)


@contextmanager
def instance(settings: Settings, like: Api, key: str, *previous: str) -> Iterator[Instance]:
    keys = {"jwt_secret_key": key, "jwt_previous_secret_keys": previous}
    with worker(settings, **keys) as app:
        yield Instance(app, like)


def _use_again(settings: Settings) -> None:
    sql(settings, "UPDATE second_factors SET last_step = 1")


def test_codes_work_in_each_step_of_a_rotation(
    settings: Settings, user: Api, factor: Factor
) -> None:
    old = str(settings.jwt_secret_key)
    for key, previous in ((old, NEW), (NEW, old)):
        with instance(settings, user, key, previous) as step:
            assert step.log_in(user, factor.code()) == 200
        _use_again(settings)
    with instance(settings, user, NEW, old) as step:
        assert step.reencrypt().stdout == "Encrypted 1 secrets with the current key.\n"
        assert step.reencrypt().stdout == "Encrypted 0 secrets with the current key.\n"
        assert step.log_in(user, factor.code()) == 200
    _use_again(settings)
    with instance(settings, user, NEW) as last:
        assert last.log_in(user, factor.code()) == 200


def test_all_secrets_are_encrypted_in_chunks(
    settings: Settings, user: Api, stranger: Api, factor: Factor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(administration, "CHUNK", 1)
    other = enabled(stranger)
    with instance(settings, user, NEW, str(settings.jwt_secret_key)) as step:
        assert step.reencrypt().stdout == "Encrypted 2 secrets with the current key.\n"
    with instance(settings, user, NEW) as last:
        assert last.log_in(user, factor.code()) == 200
        assert last.log_in(stranger, other.code()) == 200


def test_after_a_leak_one_command_knows_the_old_key(
    settings: Settings, user: Api, factor: Factor
) -> None:
    """Instances never accept the leaked key again; only the command decrypts with it."""
    leaked = str(settings.jwt_secret_key)
    with instance(settings, user, NEW) as serving:
        assert serving.log_in(user, factor.code()) == 401
        assert serving.log_in(user, factor.recovery_codes[0]) == 200
        with instance(settings, user, NEW, leaked) as command:
            assert command.reencrypt().exit_code == 0
        assert serving.log_in(user, factor.code()) == 200
    with instance(settings, user, leaked) as thief:
        assert thief.log_in(user, factor.code(1)) == 401


def test_a_secret_whose_key_was_removed_is_reported_and_kept(
    settings: Settings, user: Api, factor: Factor, capsys: pytest.CaptureFixture[str]
) -> None:
    with instance(settings, user, NEW) as too_early:
        assert too_early.log_in(user, factor.code()) == 401
        lines = map(json.loads, capsys.readouterr().err.splitlines())
        reported = [line for line in lines if line["level"] == "ERROR"]
        assert [line["message"] for line in reported] == ["second_factor_unreadable"]
        assert reported[0]["user_id"] == user.user_id
        result = too_early.reencrypt()
        assert result.exit_code == 1
        assert result.stderr == (
            "Error: 1 secrets cannot be decrypted. Add the key that encrypted them to"
            " JWT_PREVIOUS_SECRET_KEYS, and run this command again.\n"
        )
        assert too_early.log_in(user, factor.recovery_codes[0]) == 200
    user.expect(200, "GET", "/auth/me")
    with instance(settings, user, str(settings.jwt_secret_key)) as restored:
        assert restored.log_in(user, factor.code()) == 200


def test_a_secret_is_of_no_use_in_the_row_of_another_account(
    settings: Settings, user: Api, stranger: Api, factor: Factor
) -> None:
    enabled(stranger)
    sql(
        settings,
        "UPDATE second_factors SET encrypted_secret ="
        " (SELECT encrypted_secret FROM second_factors WHERE user_id = %s) WHERE user_id = %s",
        user.user_id,
        stranger.user_id,
    )
    with instance(settings, user, str(settings.jwt_secret_key)) as serving:
        assert serving.log_in(stranger, factor.code()) == 401
        assert serving.log_in(user, factor.code()) == 200
