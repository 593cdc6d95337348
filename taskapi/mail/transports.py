"""How messages leave the service: by SMTP, or as files."""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from secrets import token_hex
from threading import Timer
from typing import Protocol
from urllib.parse import unquote, urlsplit

_PORTS = {"smtps": 465, "smtp": 587}
_PERMANENT = 500


class RecipientRefused(Exception):
    """The mail server refuses the recipient for good."""


class Transport(Protocol):
    """Delivers messages."""

    def deliver(self, message: EmailMessage) -> dict[str, str]:
        """Deliver a message, and return facts for the log.

        Raises:
            RecipientRefused: the mail server refuses the recipient for good.
            OSError, SMTPException: the delivery failed.
        """


class Smtp:
    """Sends messages to a mail server, each on a connection of its own.

    Connections are encrypted, except to a server on the same machine.

    Args:
        url: as in `MAIL_URL`.
        timeout: seconds for each response of the server.
        deadline: seconds for a whole delivery, since each response may take almost the timeout.
    """

    def __init__(self, url: str, timeout: float = 15, deadline: float = 60) -> None:
        self._timeout, self._deadline = timeout, deadline
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._is_tls = parts.scheme == "smtps"
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")

    def deliver(self, message: EmailMessage) -> dict[str, str]:
        with self._connected() as server:
            try:
                server.send_message(message)
            except smtplib.SMTPRecipientsRefused as error:
                if all(code >= _PERMANENT for code, _ in error.recipients.values()):
                    raise RecipientRefused from None
                raise
            except smtplib.SMTPNotSupportedError:  # an address that is not in ASCII
                raise RecipientRefused from None
        return {}

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if self._is_tls:
            server = smtplib.SMTP_SSL(
                self._host, self._port, timeout=self._timeout, context=context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=self._timeout)
        with closing(server), _ended_after(self._deadline, server):
            if not self._is_tls and not _is_local(self._host):
                server.starttls(context=context)
            if self._user:
                server.login(self._user, self._password)
            yield server
            with suppress(OSError, smtplib.SMTPException):  # the message was accepted
                server.quit()


class Files:
    """Writes messages to files that only their owner can read, since they may contain tokens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def deliver(self, message: EmailMessage) -> dict[str, str]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(4)}.eml"
        path = self._folder / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(bytes(message))
        return {"file": str(path)}


@contextmanager
def _ended_after(seconds: float, server: smtplib.SMTP) -> Iterator[None]:
    """End the connection of a delivery that takes too long."""

    def end() -> None:
        if connection := server.sock:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
