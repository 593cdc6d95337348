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

_SUBJECT = "Subject: "
_MAX_SUBJECT = 200

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-z:.]+\]")
_LOCAL_PART = re.compile(r"""[^\s"(),:;<>@\[\\\]]+""")
_QUOTED = re.compile(r'"([^"\\]|\\.)*"')
_ESCAPED = re.compile(r"\\(.)")


class InvalidRecipient(Exception):
    """An email address that a message cannot be sent to."""


class TemplateError(Exception):
    """A template does not begin with its subject."""


class Messages:
    """Creates messages.

    Args:
        sender: the address in `From`.
        folder: of templates that replace those of the package.
    """

    def __init__(self, sender: str, folder: Path | None) -> None:
        self._sender = sender
        self._folder = folder

    def create(self, recipient: str, template: str, values: Mapping[str, Any]) -> EmailMessage:
        """Create a message.

        Raises:
            InvalidRecipient: no message can be sent to this address.
            TemplateError, jinja2.TemplateError: the template is missing or wrong.
        """
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        try:
            message["To"] = _address(recipient)
        except ValueError:
            raise InvalidRecipient from None
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
        subject = " ".join(first.removeprefix(_SUBJECT).split())[:_MAX_SUBJECT]
        return subject, rest.lstrip("\n")


def _on_one_line(value: Any) -> Any:
    """A value for a template. Line breaks in it could pass for text of the message."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return " ".join(value.split())
    return value


def _address(text: str) -> Address:
    """The address for a header, with its domain in ASCII, as all mail servers know it.

    Raises:
        ValueError: the text is not an address.
    """
    local, _, domain = text.rpartition("@")
    domain = domain.encode("idna").decode().lower()
    if not local or not text.isprintable() or not _DOMAIN.fullmatch(domain):
        raise ValueError("not an address")
    if not _LOCAL_PART.fullmatch(local):
        if not _QUOTED.fullmatch(local):
            raise ValueError("not an address")
        local = _ESCAPED.sub(r"\1", local[1:-1])
    return Address(username=local, domain=domain)
