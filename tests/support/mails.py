"""The mails that jobs send, read as their recipients do.

Jobs are run here, in their order, and not by a worker: a test then knows when they have ended.
"""

from __future__ import annotations

import email
import re
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from flask import Flask
from support.api import PASSWORD, Api, new_email
from support.databases import data_folder

from taskapi.auth.emails import jobs as jobs_of_emails
from taskapi.auth.notices import jobs as notices
from taskapi.db import database
from taskapi.tasks.assignees import service as assignees
from taskapi.workspaces.invitations import jobs as invitations

_LINK = re.compile(r"https?://\S+token=([\w-]+)")
_MOST_JOBS = 100
"""Older ones are of other tests."""

_JOBS = {
    one.name: one
    for one in (
        jobs_of_emails.send_verification,
        jobs_of_emails.send_password_reset,
        jobs_of_emails.send_email_restored,
        jobs_of_emails.send_email_change,
        jobs_of_emails.send_email_changed,
        notices.notify_password_changed,
        notices.notify_token_created,
        notices.notify_identity_linked,
        notices.notify_second_factor_enabled,
        notices.notify_second_factor_disabled,
        notices.notify_new_device,
        invitations.send_invitation,
        assignees.unassign_later,
    )
}

_TAKE_JOBS = "DELETE FROM procrastinate_jobs WHERE status = 'todo' RETURNING id, task_name, args"
_read: dict[Path, tuple[str, EmailMessage]] = {}
"""The recipient, which takes long to parse, and the mail."""


class Mails:
    """Runs the jobs of an application, and reads the mails."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def run_jobs(self) -> None:
        """Run the jobs that wait."""
        with self._app.app_context():
            with database.transaction():
                jobs = database.lent_connection().execute(_TAKE_JOBS).fetchall()
            for _, name, arguments in sorted(jobs)[-_MOST_JOBS:]:
                _JOBS[name](**arguments)

    def to(self, address: str) -> list[str]:
        """The texts of all mails to an address, oldest first."""
        self.run_jobs()
        paths = (data_folder() / "mail").glob("*.eml")
        for path in sorted(set(paths) - _read.keys(), key=lambda path: path.stat().st_mtime_ns):
            mail = email.message_from_bytes(path.read_bytes(), policy=default)
            _read[path] = str(mail["To"]), mail
        found = [mail for recipient, mail in _read.values() if recipient == address]
        return [str(mail.get_body(("plain",)).get_content()) for mail in found]

    def links(self, address: str) -> list[str]:
        """The links in all mails to an address, oldest first."""
        return [found[0] for text in self.to(address) if (found := _LINK.search(text))]

    def tokens(self, address: str) -> list[str]:
        """The tokens of the links in all mails to an address, oldest first."""
        return [found[1] for text in self.to(address) if (found := _LINK.search(text))]

    def token(self, address: str) -> str:
        """The token of the last link to an address."""
        return self.tokens(address)[-1]


def verification_token(person: Api) -> str:
    """A token that verifies the email of a user who has not done so."""
    person.expect(202, "POST", "/auth/email/verification")
    return Mails(person.client.application).token(person.email)


def reset_token(person: Api) -> str:
    """A token that resets the password of a user."""
    person.expect(202, "POST", "/auth/password/forgot", json={"email": person.email})
    return Mails(person.client.application).token(person.email)


def undo_token(person: Api) -> str:
    """A token that undoes a change of the email of a user, which is made."""
    mails, me = Mails(person.client.application), person.expect(200, "GET", "/auth/me")
    if not me["email_verified"]:
        body = {"token": verification_token(person)}
        person.expect(200, "POST", "/auth/email/verify", json=body)
    body = {"new_email": new_email(), "password": PASSWORD}
    person.expect(202, "POST", "/auth/email", json=body)
    body = {"token": mails.token(body["new_email"])}
    person.expect(200, "POST", "/auth/email/verify", json=body)
    return mails.token(me["email"])
