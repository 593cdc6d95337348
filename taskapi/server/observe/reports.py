"""Reports of unexpected errors to Sentry: types and tracebacks, without user data."""

from __future__ import annotations

import sentry_sdk
from flask import Flask
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.types import Event, Hint


def send(app: Flask, dsn: str) -> None:
    """Report unexpected errors.

    Args:
        dsn: the DSN of the Sentry project.
    """
    sentry_sdk.init(
        dsn=dsn,
        release=f"taskapi@{app.extensions['taskapi_version']}",
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[FlaskIntegration()],
        before_send=_without_texts,
        include_local_variables=False,
        max_request_body_size="never",
        send_default_pii=False,
    )


def _without_texts(event: Event, _hint: Hint) -> Event:
    """The event without possible user data: error messages, headers, query strings."""
    for error in event.get("exception", {}).get("values", ()):
        error["value"] = ""
    request = event.get("request", {})
    event["request"] = {name: request[name] for name in ("method", "url") if name in request}
    return event
