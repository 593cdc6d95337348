"""Mail: to files, and to mail servers that are slow, refuse, or are away."""

from __future__ import annotations

import logging
import smtplib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from support import secured, smtp
from support.servers import free_port
from support.smtp import MailServer

from taskapi.mail import MailError, limits, send
from taskapi.mail.transports import Smtp

RECIPIENT = "ann@example.com"
LONG = 10_000.0
"""Seconds, more than a test may take."""

_ENCODED = "=?utf-8?q?x=0abcc=3a=20eve=40example.com=0asubject=3a=20hi=0a=0ablocked?="


def _url(server: MailServer, scheme: str = "smtp", login: str = "") -> str:
    return f"{scheme}://{login}127.0.0.1:{server.port}"


def _parts(message: EmailMessage) -> tuple[str, str]:
    """The text and the HTML of a message."""
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text
    assert html
    return text.get_content().replace("\r\n", "\n"), html.get_content().replace("\r\n", "\n")


@contextmanager
def _logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Capture the log, whose handlers an application replaces when it is created."""
    log = logging.getLogger("taskapi")
    log.addHandler(caplog.handler)
    try:
        yield
    finally:
        log.removeHandler(caplog.handler)


def _message(text: str = "Hello.") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", RECIPIENT, "Hello"
    message.set_content(text)
    return message


def test_a_message_has_text_and_html_from_a_template(sending: Any, server: MailServer) -> None:
    sending(mail_url=_url(server), mail_from="Tasks <tasks@example.com>")
    send(RECIPIENT, "greeting", {"name": "Ann & <Bob>"})
    (message,) = server.messages
    assert server.recipients == [RECIPIENT]
    assert message["From"] == "Tasks <tasks@example.com>"
    assert message["To"] == RECIPIENT
    assert message["Subject"] == "Hello Ann & <Bob>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.com>")
    text, html = _parts(message)
    assert text == "Hello Ann & <Bob>.\n"
    assert "<p>Hello Ann &amp; &lt;Bob&gt;.</p>" in html


def test_a_template_of_the_operator_replaces_that_of_the_service(
    sending: Any, server: MailServer, templates: Path
) -> None:
    (templates / "layout.html").write_text("<h1>Example</h1>{% block content %}{% endblock %}")
    sending(mail_url=_url(server))
    send(RECIPIENT, "greeting", {"name": "Ann"})
    assert _parts(server.messages[0])[1] == "<h1>Example</h1><p>Hello Ann.</p>\n"


def test_values_add_neither_headers_nor_lines(sending: Any, server: MailServer) -> None:
    sending(mail_url=_url(server))
    send(RECIPIENT, "greeting", {"name": "Ann\r\nBcc: eve@example.com\r\n\r\nYour password:"})
    (message,) = server.messages
    assert server.recipients == [RECIPIENT]
    assert message["Bcc"] is None
    assert message["Subject"] == "Hello Ann Bcc: eve@example.com Your password:"
    assert _parts(message)[0] == "Hello Ann Bcc: eve@example.com Your password:.\n"


def test_encoded_words_in_values_are_not_decoded(sending: Any, server: MailServer) -> None:
    sending(mail_url=_url(server))
    send(RECIPIENT, "greeting", {"name": _ENCODED})
    send(RECIPIENT, "greeting", {"name": _ENCODED.replace("?", "\0?", 1)})
    assert server.recipients == [RECIPIENT, RECIPIENT]
    for message in server.messages:
        assert "Bcc" not in message
        assert message["Subject"] == "Hello " + _ENCODED.replace("=?", "= ?", 1)
        assert _parts(message)[0] == f"Hello {_ENCODED}.\n"


@pytest.mark.parametrize("values", [{"name": "Ann"}, {}])
def test_a_message_that_cannot_be_built_does_not_repeat_the_job(
    sending: Any, server: MailServer, templates: Path, values: dict[str, str]
) -> None:
    if values:
        (templates / "greeting.txt").write_text("Hello {{ name }}.\n")
    sending(mail_url=_url(server))
    with pytest.raises(MailError):
        send(RECIPIENT, "greeting", values)
    with pytest.raises(MailError):
        send(RECIPIENT, "unknown", values)
    assert server.recipients == []


@pytest.mark.parametrize(
    ("address", "received"),
    [
        ("o'neil+tasks@example.com", "o'neil+tasks@example.com"),
        ('"a b"@example.com', '"a b"@example.com'),
        ('"a\\"b"@example.com', '"a\\"b"@example.com'),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        # IDNA 2003 has no letters of their own for these, and delivers to other domains.
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ann@βόλος.example", "ann@xn--nxasmm1c.example"),
        ("ann@\u017fite.example", "ann@site.example"),
        ("änn@example.com", "änn@example.com"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[ipv6:2001:DB8:0::1]", "ann@[IPv6:2001:db8::1]"),
    ],
)
def test_unusual_addresses_receive_messages(
    sending: Any, server: MailServer, address: str, received: str
) -> None:
    sending(mail_url=_url(server))
    send(address, "greeting", {"name": "Ann"})
    assert server.recipients == [received]


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com\r\nRCPT TO:<eve@example.com>",
        "ann@example.com, eve@example.com",
        "ann@example.com,eve@example.com",
        "Ann <eve@example.com>",
        "ann@example.com>",
        "ann(comment)@example.com",
        "ann@exam ple.com",
        '"a"b"@example.com',
        "ann",
        "@example.com",
        "ann@",
        "ann@" + "a" * 64 + ".example",
        "ann@☃.example",
        "ann@-a.example",
        "ann@xn--zzzz.example",
        "ann@[example]",
        # Encoded words, whose decoded text would add headers and a body, or cannot be encoded.
        _ENCODED + "@example.com",
        f'"{_ENCODED}"@example.com',
        f'"{_ENCODED.replace("?", chr(92) + "?", 1)}"@example.com',
        "=?unicode_escape?q?=5cud800?=@example.com",
        "=?utf-8?b?YUBiLmMs?=@example.com",
        "=?utf-8?q?=3d=3futf-8=3fq=3fx=0a=3f=3d?=@example.com",
        "=?utf-8?q??=@example.com",
        "ann=?@example.com",
        # The email package loses the quotes where it folds a long local part.
        '"' + "a b " * 30 + '"@example.com',
    ],
)
def test_what_is_no_address_receives_nothing(
    sending: Any, server: MailServer, address: str
) -> None:
    sending(mail_url=_url(server))
    with pytest.raises(MailError):
        send(address, "greeting", {"name": "Ann"})
    assert server.recipients == []


def test_without_a_mail_server_messages_are_files_that_the_log_names(
    sending: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sending()
    with _logged(caplog):
        send(RECIPIENT, "greeting", {"name": "Ann"})
    folder = tmp_path / "data" / "mail"
    (file,) = folder.iterdir()
    assert str(file) in [vars(record).get("file") for record in caplog.records]
    assert file.suffix == ".eml"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    message = message_from_bytes(file.read_bytes(), policy=default)
    assert message["To"] == RECIPIENT


def test_an_address_that_is_not_in_ascii_is_not_encoded(sending: Any, tmp_path: Path) -> None:
    sending()
    send("änn@example.com", "greeting", {"name": "Ann"})
    (file,) = (tmp_path / "data" / "mail").iterdir()
    assert "\r\nTo: änn@example.com\r\n".encode() in file.read_bytes()


@pytest.mark.parametrize("response", ["450 try later", "421 too busy"])
def test_a_refusal_for_now_is_an_error_that_repeats_the_job(
    sending: Any, server: MailServer, response: str
) -> None:
    server.refuses = response
    sending(mail_url=_url(server))
    with pytest.raises(smtplib.SMTPException):
        send(RECIPIENT, "greeting", {"name": "Ann"})
    server.refuses = ""
    send(RECIPIENT, "greeting", {"name": "Ann"})
    assert server.recipients == [RECIPIENT]


def test_a_refusal_for_good_does_not_repeat_the_job(sending: Any, server: MailServer) -> None:
    server.refuses = "550 no such user"
    sending(mail_url=_url(server))
    with pytest.raises(MailError):
        send(RECIPIENT, "greeting", {"name": "Ann"})


def test_a_server_that_is_away_is_an_error(sending: Any) -> None:
    sending(mail_url=f"smtp://127.0.0.1:{free_port()}")
    with pytest.raises(ConnectionRefusedError):
        send(RECIPIENT, "greeting", {"name": "Ann"})


def test_a_server_that_does_not_respond_is_an_error(server: MailServer) -> None:
    server.pauses = LONG
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        Smtp(_url(server), timeout=0.3, deadline=LONG).deliver(_message())


def test_a_delivery_has_a_deadline(server: MailServer) -> None:
    server.pauses = LONG
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        Smtp(_url(server), timeout=LONG, deadline=0.3).deliver(_message())


def test_the_connection_is_encrypted_and_the_certificate_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = secured.certificates(tmp_path)
    options = {"ssl_context": smtp.tls(certificates)}
    with smtp.receiving(**options) as server:
        transport = Smtp(_url(server, "smtps"))
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            transport.deliver(_message())
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
        transport.deliver(_message())
    assert server.recipients == [RECIPIENT]


def test_starttls_is_required_of_other_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = secured.certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    server = MailServer()
    # 127.0.0.1 under a name that is not known to be this machine's.
    url = f"smtp://0.0.0.0:{server.port}"
    with smtp.receiving(server), pytest.raises(smtplib.SMTPNotSupportedError):
        Smtp(url).deliver(_message())
    assert server.recipients == []


def test_the_login_is_that_of_the_url() -> None:
    server = MailServer()
    options = {
        "authenticator": server.authenticate,
        "auth_require_tls": False,
    }
    with smtp.receiving(server, **options):
        Smtp(_url(server, login="mailer:p%40ss%2Fword@")).deliver(_message())
        with pytest.raises(smtplib.SMTPAuthenticationError):
            Smtp(_url(server, login="mailer:wrong@")).deliver(_message())
    assert server.logins[0] == (smtp.USER.encode(), smtp.PASSWORD.encode())
    assert server.recipients == [RECIPIENT]


def test_the_messages_to_a_recipient_are_limited(sending: Any, server: MailServer) -> None:
    sending(mail_url=_url(server), ratelimit_enabled=True)
    most = limits.PER_RECIPIENT[0].amount
    for _ in range(most):
        send("often@example.com", "greeting", {"name": "Ann"})
    with pytest.raises(MailError, match="TooManyMessages"):
        send("Often@example.com", "greeting", {"name": "Ann"})
    send("seldom@example.com", "greeting", {"name": "Ann"})
    # Nobody can use up the messages that an owner needs by causing others.
    send("often@example.com", "email_changed", {"link": "https://app.example.com/undo-email"})
    assert len(server.recipients) == most + 2


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("stranger@bombed.example", '"s\\tranger"@bombed.example'),
        ("stranger1@bombed.example", '"stranger1"@BOMBED.example'),
        ("victim@site.example", "victim@\u017fite.example"),
        ("victim@bücher.example", "victim@xn--bcher-kva.example"),
        ("vi\u0301ctim@site.example", "v\u00edctim@site.example"),
        ("victim@[IPv6:2001:db8::1]", "victim@[IPv6:2001:0DB8:0::1]"),
    ],
)
def test_the_messages_to_a_recipient_are_limited_however_the_address_is_written(
    sending: Any, server: MailServer, address: str, same: str
) -> None:
    sending(mail_url=_url(server), ratelimit_enabled=True)
    for _ in range(limits.PER_RECIPIENT[0].amount):
        send(address, "greeting", {"name": "Ann"})
    with pytest.raises(MailError, match="TooManyMessages"):
        send(same, "greeting", {"name": "Ann"})


def test_the_messages_that_an_account_causes_are_limited(sending: Any, server: MailServer) -> None:
    sending(mail_url=_url(server), ratelimit_enabled=True)
    most = limits.PER_ACCOUNT[0].amount
    for number in range(most):
        send(f"one{number}@example.com", "greeting", {"name": "Ann"}, user_id=2**40)
    with pytest.raises(MailError, match="TooManyMessages"):
        send("another@example.com", "greeting", {"name": "Ann"}, user_id=2**40)
    assert len(server.recipients) == most


def test_a_message_that_failed_does_not_count(sending: Any, server: MailServer) -> None:
    sending(mail_url=_url(server), ratelimit_enabled=True)
    server.refuses = "450 try later"
    for _ in range(limits.PER_RECIPIENT[0].amount + 1):
        with pytest.raises(smtplib.SMTPException):
            send("later@example.com", "greeting", {"name": "Ann"})
    server.refuses = ""
    send("later@example.com", "greeting", {"name": "Ann"})
    assert server.recipients == ["later@example.com"]


def test_the_log_contains_neither_recipients_nor_values(
    sending: Any, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    sending(mail_url=_url(server))
    with _logged(caplog):
        send(RECIPIENT, "greeting", {"name": "private-name"})
        server.refuses = "550 no such user"
        with pytest.raises(MailError):
            send(RECIPIENT, "greeting", {"name": "private-name"})
    ours = [vars(record) for record in caplog.records if record.name.startswith("taskapi")]
    assert {record["msg"] for record in ours} == {"mail_sent", "mail_rejected"}
    assert "private-name" not in str(ours)
    assert RECIPIENT not in str(ours)
