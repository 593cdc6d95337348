"""Mail: messages from templates, sent by SMTP.

    send("ann@example.com", "password_changed", {"when": when})

`send` waits for the mail server, so it is called from jobs, never in a request. Without `MAIL_URL`,
messages are written to files. This package does not decide who gets a message; the features do.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from time import perf_counter
from typing import Any, cast

import jinja2
from flask import Flask

from config import Settings
from taskapi.jobs import JobRejected
from taskapi.logs import log_event
from taskapi.mail import addresses, limits
from taskapi.mail.addresses import InvalidRecipient
from taskapi.mail.messages import MessageChanged, Messages, TemplateError
from taskapi.mail.transports import Files, RecipientRefused, Smtp, Transport
from taskapi.runtime.context import extensions

__all__ = ["MailError", "init_app", "send"]

_EXTENSION = "taskapi_mail"

_UNBUILDABLE = (jinja2.TemplateError, TemplateError, MessageChanged, MessageError, ValueError)
"""What building a message raises if another attempt would fail in the same way."""


class MailError(JobRejected):
    """A message that will never be delivered, so the job that sends it is not repeated."""


def init_app(app: Flask, settings: Settings) -> None:
    """Configure how the application sends mail. Nothing is opened until the first message."""
    transport: Transport
    if settings.mail_url:
        transport = Smtp(settings.mail_url)
    else:
        transport = Files(settings.taskapi_data_dir / "mail")
    messages = Messages(settings.mail_from, settings.mail_templates)
    app.extensions[_EXTENSION] = (messages, transport)


def send(
    recipient: str, template: str, values: Mapping[str, Any], *, user_id: int | None = None
) -> None:
    """Send a message now.

    Args:
        recipient: an email address.
        template: the name of the template.
        values: of the template. White space in texts is collapsed, because users wrote some.
        user_id: the account that caused the message, whose messages are limited too.

    Raises:
        MailError: the address is invalid or refused, or has received too many messages, or the
            message cannot be built.
        OSError, SMTPException: the mail server is away, slow, or refuses for now.
        Unavailable: the limits cannot be counted.
    """
    messages, transport = cast("tuple[Messages, Transport]", extensions()[_EXTENSION])
    started = perf_counter()
    try:
        address = addresses.delivered(recipient)
        limits.check(str(address), template, user_id)
        message = _built(messages, address, template, values)
        where = transport.deliver(message)
    except (InvalidRecipient, RecipientRefused, limits.TooManyMessages) as error:
        raise _rejected(template, error) from None
    limits.count(str(address), template, user_id)
    duration = round((perf_counter() - started) * 1_000, 2)
    log_event("mail_sent", template=template, duration_ms=duration, **where)


def _built(
    messages: Messages, address: Address, template: str, values: Mapping[str, Any]
) -> EmailMessage:
    try:
        return messages.create(address, template, values)
    except _UNBUILDABLE as error:
        raise _rejected(template, error) from error


def _rejected(template: str, error: Exception) -> MailError:
    reason = type(error).__name__
    log_event("mail_rejected", template=template, reason=reason)
    return MailError(reason)
