"""Messages from templates: a subject, text, and HTML.

A template is two files: `NAME.txt`, which begins with a line `Subject: ...`, and `NAME.html`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)
from markupsafe import Markup

from taskapi.mail.addresses import ENCODED_WORD

_SUBJECT = "Subject: "
_MAX_SUBJECT = 200

_HEADERS = [
    *(b"Auto-Submitted", b"Content-Type", b"Date", b"From"),
    *(b"MIME-Version", b"Message-ID", b"Subject", b"To"),
]
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class TemplateError(Exception):
    """A template does not begin with its subject."""


class MessageChanged(Exception):
    """The email package did not write the headers that were set."""


class Messages:
    """Creates messages.

    Args:
        sender: the address in `From`.
        folder: of templates that replace those of the package.
    """

    def __init__(self, sender: str, folder: Path | None) -> None:
        self._sender = sender
        self._folder = folder

    def create(self, recipient: Address, template: str, values: Mapping[str, Any]) -> EmailMessage:
        """Create a message.

        Raises:
            MessageChanged: the message has not exactly these headers and this recipient.
            TemplateError, jinja2.TemplateError: the template is missing or wrong.
        """
        message = EmailMessage(policy=SMTP.clone(utf8=not recipient.username.isascii()))
        message["From"] = self._sender
        message["To"] = recipient
        subject, text = self._text(template, values)
        message["Subject"] = subject
        message["Date"] = format_datetime(localtime())
        sender: Any = message["From"]
        message["Message-ID"] = make_msgid(domain=sender.addresses[0].domain)
        # So that no automatic reply is sent (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        html = self._environment.get_template(f"{template}.html").render(values, subject=subject)
        message.add_alternative(html, subtype="html")
        _raise_for_changed(bytes(message), recipient)
        return message

    @cached_property
    def _environment(self) -> Environment:
        loaders: list[BaseLoader] = [PackageLoader("taskapi.mail")]
        if self._folder:
            loaders.insert(0, FileSystemLoader(self._folder))
        return Environment(
            loader=ChoiceLoader(loaders),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            finalize=_on_one_line,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def _text(self, template: str, values: Mapping[str, Any]) -> tuple[str, str]:
        rendered = self._environment.get_template(f"{template}.txt").render(values)
        first, _, rest = rendered.partition("\n")
        if not first.startswith(_SUBJECT):
            raise TemplateError(f"{template}.txt does not begin with {_SUBJECT!r}")
        subject = " ".join(first.removeprefix(_SUBJECT).split())
        subject = subject.replace(ENCODED_WORD, "= ?")[:_MAX_SUBJECT]
        return subject, rest.lstrip("\n")


def _on_one_line(value: Any) -> Any:
    """A value for a template. Line breaks in it could pass for text of the message."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNPRINTABLE.sub("", " ".join(value.split()))
    return value


def _raise_for_changed(message: bytes, recipient: Address) -> None:
    head, _, _ = message.partition(b"\r\n\r\n")
    lines = _FOLD.sub(b"", head).split(b"\r\n")
    headers = sorted(tuple(line.split(b":", 1)) for line in lines)
    is_expected = [header[0] for header in headers] == _HEADERS
    if not is_expected or b"\n" in b"".join(lines) or b"\r" in b"".join(lines):
        raise MessageChanged
    if headers[-1][1].strip() != str(recipient).encode():
        raise MessageChanged
