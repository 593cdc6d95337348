"""A mail server for tests."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from threading import Event
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session
from support.secured import Certificates
from support.servers import free_port

USER, PASSWORD = "mailer", "p@ss/word"


class MailServer:
    """What a server received, and how it responds.

    `refuses` is its response to recipients, such as `550 no such user`; `pauses` are the seconds
    before it responds to a message.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.refuses = ""
        self.ending = Event()
        self.pauses = 0.0

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        self.ending.wait(self.pauses)
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients += envelope.rcpt_tos
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, kind: str, data: Any) -> Any:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@contextmanager
def receiving(server: MailServer | None = None, **options: Any) -> Iterator[MailServer]:
    """A server without TLS, unless options of aiosmtpd's controller say otherwise."""
    server = server or MailServer()
    options = {"hostname": "127.0.0.1", "port": server.port, "enable_SMTPUTF8": True} | options
    controller = Controller(server, **options)
    controller.start()
    try:
        yield server
    finally:
        server.ending.set()
        controller.stop()


def tls(certificates: Certificates) -> ssl.SSLContext:
    """The context of a server with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context
