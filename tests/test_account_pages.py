"""The pages of the service that links in mails lead to without a front end."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from support.api import Api
from support.mails import Mails

PAGES = {
    "/verify-email": "/auth/email/verify",
    "/undo-email": "/auth/email/undo",
    "/reset-password": "/auth/password/reset",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_a_strict_policy_and_only_local_assets(client: FlaskClient, page: str) -> None:
    response = client.get(page)
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    policy = dict(
        one.strip().split(" ", 1) for one in response.headers["Content-Security-Policy"].split(";")
    )
    for directive in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert policy[directive] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    html = response.text
    assert not re.search(r"<script(?![^>]*\bsrc=)", html), "an inline script"
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", html), "an inline style or handler"
    references = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(references) == 3
    for reference in references:
        assert re.match(r"/(?!/)", reference)
        assert client.get(reference).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_its_operation_also_below_a_prefix(client: FlaskClient, page: str) -> None:
    for prefix in ("", "/api"):
        html = client.get(page, environ_overrides={"SCRIPT_NAME": prefix}).text
        assert f'data-operation="{prefix}{PAGES[page]}"' in html


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_revalidated(client: FlaskClient, page: str) -> None:
    first = client.get(page)
    again = client.get(page, headers={"If-None-Match": first.headers["ETag"]})
    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.data) == (304, b"")


def test_opening_a_page_uses_no_token(user: Api, mails: Mails) -> None:
    """As a mail scanner does, also one that sends the fragment."""
    (link,) = mails.links(user.email)
    parts = urlsplit(link)
    assert parts.fragment == f"token={mails.token(user.email)}"
    for _ in range(2):
        assert user.client.get(parts.path).status_code == 200
        assert user.client.head(f"{parts.path}?{parts.fragment}").status_code == 200
    assert user.expect(200, "GET", "/auth/me")["email_verified"] is False
    body = {"token": mails.token(user.email)}
    user.expect(200, "POST", "/auth/email/verify", json=body)
