"""taskapi: a task management service. `create_app` creates the application."""

from __future__ import annotations

from functools import cache
from logging.config import dictConfig
from typing import Any

import orjson
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings
from taskapi import identity, mail
from taskapi import logs as logging
from taskapi.auth import memberships, passwords, ratelimit
from taskapi.auth.commands import sessions, users
from taskapi.auth.emails.routes import emails
from taskapi.auth.oidc import service as sign_ins
from taskapi.auth.oidc.routes import oidc
from taskapi.auth.personal_tokens.routes import personal_tokens as tokens
from taskapi.auth.routes import auth
from taskapi.auth.second_factor.routes import second_factor
from taskapi.db import database, quotas
from taskapi.db.engine import engine_config
from taskapi.demo.commands import demo
from taskapi.extensions import cors, db, migrate
from taskapi.http import (
    admission,
    idempotency,
    openapi,
    personal_tokens,
    responses,
    verification,
)
from taskapi.http.application import Application
from taskapi.http.operations import IdConverter
from taskapi.http.origins import EXPOSED_HEADERS, origin_patterns
from taskapi.http.workspaces import WorkspaceMount
from taskapi.jobs import wakeup
from taskapi.jobs.commands import jobs
from taskapi.server.account.routes import blueprint as account_pages
from taskapi.server.docs.routes import blueprint as docs
from taskapi.server.health.commands import openapi_commands
from taskapi.server.health.routes import health
from taskapi.server.operate.commands import database as database_commands
from taskapi.server.operate.commands import purge
from taskapi.tasks.assignees.routes import assigned
from taskapi.tasks.assignees.service import unassign_leaving_member
from taskapi.tasks.comments.routes import comments
from taskapi.tasks.filters.routes import filters
from taskapi.tasks.labels.routes import labels
from taskapi.tasks.lists.routes import lists
from taskapi.tasks.occurrences.routes import occurrences
from taskapi.tasks.recurrence.routes import recurrence
from taskapi.tasks.routes import tasks
from taskapi.tasks.search.routes import search
from taskapi.workspaces.invitations.routes import invitations
from taskapi.workspaces.members.routes import members
from taskapi.workspaces.routes import workspaces

__version__ = "0.1.0"


def create_app(settings: Settings) -> Flask:
    """Create the application. The settings must have a database URL and a secret key.

    It opens no connection. Pools and threads start with the first request, after any fork.
    """
    app = Application(__name__, static_folder=None)
    app.config.update(
        SESSION_EXPIRES=settings.session_expires,
        QUOTA_SESSIONS=settings.quota_sessions,
        APP_URL=settings.app_url,
        PUBLIC_URL=settings.public_url or f"http://localhost:{settings.port}",
        SECOND_FACTOR_ISSUER=settings.second_factor_issuer,
        QUOTA_TOKENS=settings.quota_tokens,
        QUOTA_WORKSPACES=settings.quota_workspaces,
        QUOTA_MEMBERS=settings.quota_members,
        QUOTA_INVITATIONS=settings.quota_invitations,
        **engine_config(settings),
    )
    app.url_map.converters["id"] = IdConverter
    app.url_map.merge_slashes = False
    app.extensions["taskapi_version"] = __version__

    dictConfig(logging.logging_config(settings))
    logging.init_app(app)
    responses.init_app(app, settings)
    admission.init_app(app, settings)
    idempotency.init_app(app)
    verification.init_app(app, settings)
    database.init_app(app, settings)
    quotas.init_app(app, settings)
    identity.init_app(app, settings)
    personal_tokens.init_app(app)
    passwords.init_app(app, settings)
    ratelimit.init_app(app, settings)
    memberships.init_app(app, leaving=unassign_leaving_member)
    sign_ins.init_app(app, settings)
    wakeup.init_app(app, settings)
    mail.init_app(app, settings)
    db.init_app(app)
    migrate.init_app(app, db)
    if settings.cors_origins:
        cors.init_app(
            app,
            origins=origin_patterns(settings.cors_origins),
            supports_credentials=True,
            send_wildcard=False,
            always_send=False,
            vary_header=False,
            expose_headers=EXPOSED_HEADERS,
            max_age=600,
        )

    accounts = (auth, emails, oidc, second_factor, tokens)
    sharing = (workspaces, members, invitations)
    content = (lists, labels, filters, tasks, assigned, search, occurrences, comments, recurrence)
    for blueprint in (*accounts, *sharing, *content, health, docs, account_pages):
        app.register_blueprint(blueprint)
    for command in (users, sessions, jobs, demo, openapi_commands, purge, database_commands):
        app.cli.add_command(command)
    app.extensions["taskapi_openapi"] = cache(lambda: openapi_json(app))
    _add_middleware(app, settings.trusted_proxy_hops)
    return app


def openapi_json(app: Flask) -> bytes:
    """The OpenAPI document, as served and committed."""
    document = openapi.build(app, __version__)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _add_middleware(app: Flask, hops: int) -> None:
    # To mypy wsgi_app is a method, but Flask documents that middleware is assigned to it.
    served: Any = app
    served.wsgi_app = WorkspaceMount(app.wsgi_app)
    if hops:
        served.wsgi_app = ProxyFix(app.wsgi_app, hops, hops, hops, 0, 0)
