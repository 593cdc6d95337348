"""Mail by a worker: from a request through the queue to a mail server that is away at first."""

from __future__ import annotations

import sys

import pytest
from flask import Flask
from support import smtp, world
from support.api import PASSWORD
from support.contract import Contract
from support.jobs import rows, started, until
from support.revisions import flask

pytestmark = pytest.mark.processes

_OURS = "task_name = 'notify_password_changed'"


def test_mail_is_sent_once_its_server_is_back(
    url: str, queueing: Flask, contract: Contract
) -> None:
    user = world.person(queueing, contract).registered()
    rows(url, "UPDATE users SET email_verified = true; DELETE FROM procrastinate_jobs")
    server = smtp.MailServer()
    settings = {
        "MAIL_URL": f"smtp://127.0.0.1:{server.port}",
        "MAIL_FROM": "Tasks <tasks@example.com>",
        "APP_URL": "https://tasks.example.com",
        "RATELIMIT_ENABLED": "true",
    }
    with started([sys.executable, "-m", "flask", "worker"], url, **settings) as worker:
        body = {"current_password": PASSWORD, "new_password": "staple 42 times"}
        user.expect(200, "POST", "/auth/password", json=body)
        until(
            lambda: (
                rows(url, f"SELECT status::text, attempts FROM procrastinate_jobs WHERE {_OURS}")
                == [("todo", 1)]
            )
        )
        ((job_id,),) = rows(url, f"SELECT id FROM procrastinate_jobs WHERE {_OURS}")
        with smtp.receiving(server):
            assert flask(url, "jobs", "retry", str(job_id))[0] == 0
            until(lambda: server.recipients == [user.email])
            until(lambda: rows(url, f"SELECT id FROM procrastinate_jobs WHERE {_OURS}") == [])
        assert worker.stop() == 0
        log = worker.log.read_text()
    assert server.messages[0]["Subject"] == "Your password was changed"
    assert '"error":"ConnectionRefusedError"' in log
    assert user.email not in log
