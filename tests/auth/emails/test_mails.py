"""The mails of accounts, as a mail server receives them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from flask import Flask
from support.api import PASSWORD, new_email
from support.contract import Contract
from support.mails import Mails
from support.smtp import MailServer, receiving
from support.world import person, sql, worker

from config import Settings

APP_URL = "https://app.example.com"
_LINK = re.compile(r"https://\S+?token=[\w-]+")


@pytest.fixture
def server() -> Iterator[MailServer]:
    with receiving() as server:
        yield server


@pytest.fixture
def sending(settings: Settings, server: MailServer) -> Iterator[Flask]:
    """The application with a mail server and a front end."""
    url = f"smtp://127.0.0.1:{server.port}"
    sender = "Tasks <noreply@example.com>"
    with worker(settings, mail_url=url, mail_from=sender, app_url=APP_URL) as app:
        yield app


def _links(message: EmailMessage) -> list[set[str]]:
    """The links in the text and in the HTML."""
    parts = [message.get_body((kind,)) for kind in ("plain", "html")]
    texts = [part.get_content() for part in parts if part]
    assert len(texts) == len(parts)
    assert not [text for text in texts if "None" in text or "{" in text.partition("<style")[0]]
    return [set(_LINK.findall(text)) for text in texts]


def test_each_mail_has_its_link_in_text_and_html(
    sending: Flask, contract: Contract, server: MailServer, settings: Settings
) -> None:
    api, mails = person(sending, contract).registered(), Mails(sending)
    second, third = new_email(), new_email()

    def last(subject: str, recipient: str, page: str) -> str:
        """The token in the link of the last mail."""
        mails.run_jobs()
        message = server.messages[-1]
        assert (message["Subject"], message["To"]) == (subject, recipient)
        assert message["From"] == "Tasks <noreply@example.com>"
        in_text, in_html = _links(message)
        assert in_text == in_html
        assert len(in_text) == (1 if page else 0)
        if not page:
            return ""
        (link,) = in_text
        assert link.startswith(f"{APP_URL}/{page}?token=te_")
        return link.partition("=")[2]

    def use(operation: str, token: str) -> None:
        api.expect(200, "POST", f"/auth/email/{operation}", json={"token": token})

    def change(email: str) -> None:
        body = {"new_email": email, "password": PASSWORD}
        api.expect(202, "POST", "/auth/email", json=body)

    last("Confirm your email address", api.email, "verify-email")
    change(second)
    use("verify", last("Confirm your new email address", second, "verify-email"))
    last("Your email address was changed", api.email, "")  # it was never verified
    change(third)
    use("verify", last("Confirm your new email address", third, "verify-email"))
    undo = last("Your email address was changed", second, "undo-email")
    other = person(sending, contract).registered()
    change(other.email)
    mails.run_jobs()
    assert server.messages[-1]["Subject"] == "Your email address was entered"
    use("undo", undo)
    last("Set a new password", second, "reset-password")
    api.expect(202, "POST", "/auth/password/forgot", json={"email": second})
    last("Reset your password", second, "reset-password")
    tokens = "SELECT count(*) FROM email_tokens WHERE user_id = %s AND purpose <> 'undo'"
    assert sql(settings, tokens, api.user_id) == [(2,)]
