"""Notices: mails about logins and changes of what grants access."""

from __future__ import annotations

import pytest
from support.api import PASSWORD, Api
from support.factor import enabled
from support.mails import Mails, reset_token
from support.resources import sign_in_code
from support.signing_in import VERIFIER

from taskapi.auth.notices.devices import describe

NEW_PASSWORD = "staple 42 times"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
HOSTILE = "Your account is closed. Log in at https://evil.example"
CHANGED, DEVICE, TOKEN = "was changed on", "logged in to", "token was created"


@pytest.fixture
def verified(user: Api, mails: Mails) -> Api:
    """A user with a verified email."""
    user.expect(200, "POST", "/auth/email/verify", json={"token": mails.token(user.email)})
    return user


def notices(mails: Mails, user: Api, words: str) -> list[str]:
    """The mails to a user with these words."""
    texts = [text.replace("\r\n", "\n") for text in mails.to(user.email)]
    return [text for text in texts if words in text]


def log_in(user: Api, user_agent: str = FIREFOX, **fields: str) -> None:
    response = user.client.post(
        "/auth/login",
        json={"email": user.email, "password": PASSWORD} | fields,
        headers={"User-Agent": user_agent},
    )
    assert response.status_code == 200


def change_password(user: Api) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    user.expect(200, "POST", "/auth/password", json=body)


def test_a_changed_password_is_reported(verified: Api, mails: Mails) -> None:
    change_password(verified)
    (text,) = notices(mails, verified, CHANGED)
    assert "(UTC). If you did this, ignore this message." in text
    assert NEW_PASSWORD not in text


def test_a_reset_password_is_reported(user: Api, mails: Mails) -> None:
    body = {"token": reset_token(user), "new_password": NEW_PASSWORD}
    user.client.post("/auth/password/reset", json=body)
    assert len(notices(mails, user, CHANGED)) == 1


def test_a_password_that_was_not_changed_is_not_reported(verified: Api, mails: Mails) -> None:
    body = {"current_password": "wrong password", "new_password": NEW_PASSWORD}
    verified.expect(400, "POST", "/auth/password", json=body)
    assert notices(mails, verified, CHANGED) == []


def test_a_new_token_is_reported(verified: Api, mails: Mails) -> None:
    created = verified.expect(
        201, "POST", "/auth/tokens", json={"name": "private-name", "scopes": ["tasks:read"]}
    )
    (text,) = notices(mails, verified, TOKEN)
    assert created["token"] not in text
    assert "private-name" not in text


def test_a_second_factor_that_is_turned_on_or_off_is_reported(verified: Api, mails: Mails) -> None:
    factor = enabled(verified)
    assert len(notices(mails, verified, "A second factor was turned on")) == 1
    body = {"password": PASSWORD, "code": factor.code()}
    wrong = body | {"code": "000000"}
    verified.expect(400, "POST", "/auth/second-factor/disable", json=wrong)
    assert notices(mails, verified, "was turned off") == []
    verified.expect(204, "POST", "/auth/second-factor/disable", json=body)
    assert len(notices(mails, verified, "was turned off")) == 1


def test_a_sign_in_by_a_provider_is_reported_like_a_login(verified: Api, mails: Mails) -> None:
    for _ in range(2):
        body = {"code": sign_in_code(verified, verified.email, "Ann"), "code_verifier": VERIFIER}
        headers = {"User-Agent": FIREFOX}
        verified.client.post("/auth/oidc/token", json=body, headers=headers)
    assert len(notices(mails, verified, "was linked to your account")) == 1
    (text,) = notices(mails, verified, DEVICE)
    assert "\nDevice: Firefox on Windows\n" in text


def test_a_login_on_a_new_device_is_reported_once(verified: Api, mails: Mails) -> None:
    verified.expect(200, "PATCH", "/auth/me", json={"timezone": "Asia/Tokyo"})
    for _ in range(2):
        log_in(verified)
    (text,) = notices(mails, verified, DEVICE)
    assert "(Asia/Tokyo)\n" in text
    assert "\nDevice: Firefox on Windows\nAddress: 127.0.0.1\n" in text


def test_the_device_that_registered_is_known(verified: Api, mails: Mails) -> None:
    verified.again()
    assert notices(mails, verified, DEVICE) == []


def test_a_device_is_known_by_a_refresh_token(verified: Api, mails: Mails) -> None:
    log_in(verified, refresh_token=verified.login["refresh_token"])
    assert notices(mails, verified, DEVICE) == []


def test_a_failed_login_is_not_reported(verified: Api, mails: Mails) -> None:
    body = {"email": verified.email, "password": "wrong password"}
    verified.client.post("/auth/login", json=body, headers={"User-Agent": FIREFOX})
    assert notices(mails, verified, DEVICE) == []


def test_what_the_client_of_a_login_sends_is_not_part_of_the_mail(
    verified: Api, mails: Mails
) -> None:
    log_in(verified, HOSTILE)
    (text,) = notices(mails, verified, DEVICE)
    assert "evil" not in text
    assert "\nDevice: an unknown program\n" in text


def test_a_new_session_cannot_turn_off_the_notice_of_its_own_login(
    verified: Api, mails: Mails
) -> None:
    log_in(verified)
    verified.expect(200, "PATCH", "/auth/me", json={"notices": False})
    assert len(notices(mails, verified, DEVICE)) == 1


def test_notices_of_devices_can_be_turned_off_but_not_those_of_passwords(
    verified: Api, mails: Mails
) -> None:
    assert verified.expect(200, "GET", "/auth/me")["notices"] is True
    changed = verified.expect(200, "PATCH", "/auth/me", json={"notices": False})
    assert changed["notices"] is False
    log_in(verified)
    change_password(verified)
    assert notices(mails, verified, DEVICE) == []
    assert len(notices(mails, verified, CHANGED)) == 1


@pytest.mark.parametrize(("value", "code"), [(None, "null"), ("false", "not_a_boolean")])
def test_the_setting_is_a_boolean(user: Api, value: object, code: str) -> None:
    problem = user.problem(400, "invalid_input", "PATCH", "/auth/me", json={"notices": value})
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [("/notices", code)]


def test_an_address_that_is_not_verified_receives_no_notices(user: Api, mails: Mails) -> None:
    log_in(user)
    change_password(user)
    assert notices(mails, user, DEVICE) == notices(mails, user, CHANGED) == []


def test_a_deleted_account_receives_no_notices(verified: Api, mails: Mails) -> None:
    log_in(verified)
    verified.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    assert notices(mails, verified, DEVICE) == []


def test_a_device_is_described_by_known_names() -> None:
    for system, program, device in (
        (
            "Windows NT 10.0; Win64",
            "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
            "Edge on Windows",
        ),
        ("X11; Linux x86_64", "Chrome/142.0.0.0 Safari/537.36 OPR/127.0.0.0", "Opera on Linux"),
        ("Linux; Android 10; K", "Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("iPhone; CPU iPhone OS 18_6", "Safari/604.1", "Safari on an iPhone"),
        (
            "iPhone; CPU iPhone OS 18_6",
            "CriOS/142 Safari/604.1",
            "Chrome on an iPhone",
        ),
        ("Macintosh; Intel Mac OS X 10_15_7", "Version/18.6 Safari/605.1", "Safari on a Mac"),
    ):
        assert describe(f"Mozilla/5.0 ({system}) AppleWebKit/537.36 {program}") == device
    assert describe(FIREFOX) == "Firefox on Windows"
    assert describe("curl/8.5.0") == describe(None) == "an unknown program"
