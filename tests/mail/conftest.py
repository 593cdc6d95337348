"""Fixtures of the tests of mail: templates, and an application for each mail server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.smtp import MailServer, receiving
from support.world import worker

from config import Settings


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A directory with a template `greeting`."""
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "greeting.txt").write_text("Subject: Hello {{ name }}\n\nHello {{ name }}.\n")
    (folder / "greeting.html").write_text(
        '{% extends "layout.html" %}{% block content %}<p>Hello {{ name }}.</p>{% endblock %}'
    )
    return folder


@pytest.fixture
def server() -> Iterator[MailServer]:
    with receiving() as server:
        yield server


Sending = Callable[..., Flask]


@pytest.fixture
def sending(settings: Settings, templates: Path, tmp_path: Path) -> Iterator[Sending]:
    """Returns a current application that sends mail with these settings."""
    with ExitStack() as stack:

        def enter(**changes: Any) -> Flask:
            given = {"mail_templates": templates, "taskapi_data_dir": tmp_path / "data"}
            app = stack.enter_context(worker(settings, **given | changes))
            stack.enter_context(app.app_context())
            return app

        yield enter
