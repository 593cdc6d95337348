"""The database as providers run it: TLS and SCRAM on every connection, behind a pooler.

PgBouncer is in transaction mode. Migrations connect directly (DATABASE_URL_DIRECT).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psycopg
import pytest
from support import pgbouncer, secured
from support.databases import KEY
from support.servers import ROOT, started
from support.writers import person

pytestmark = [pytest.mark.deploy, pytest.mark.alone]


class Place(NamedTuple):
    """The database and its pooler."""

    database: secured.Database
    port: int
    folder: Path

    def pooled(self, **parameters: str) -> str:
        return self.database.url(port=self.port, **parameters)

    def direct(self, **parameters: str) -> str:
        return self.database.url(**parameters)

    def log(self) -> str:
        return (self.folder / "pgbouncer.log").read_text()


@pytest.fixture(scope="module")
def place(run_folder: Path) -> Iterator[Place]:
    with TemporaryDirectory(dir=run_folder) as name:
        folder = Path(name)
        with secured.database(folder) as database, secured.bouncing(database, folder) as port:
            yield Place(database, port, folder)


@pytest.fixture(scope="module")
def migrated(place: Place) -> Place:
    """The database after the migrations."""
    environment = {
        "PATH": os.environ["PATH"],
        "FLASK_SKIP_DOTENV": "1",
        "JWT_SECRET_KEY": KEY,
        "DATABASE_URL": place.pooled(),
        "DATABASE_URL_DIRECT": place.direct(channel_binding="require"),
    }
    before = place.log()
    subprocess.run(
        [sys.executable, "-m", "flask", "db", "upgrade"], cwd=ROOT, env=environment, check=True
    )
    assert place.log() == before, "the migrations went through the pooler"
    return place


def _refusal(url: str) -> str:
    """The reason why a connection fails."""
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(url, connect_timeout=5).close()
    return str(refused.value)


def test_the_service_works_through_a_pooler_with_tls_and_scram(
    migrated: Place, record_property: Callable[[str, object], None]
) -> None:
    with started(migrated.pooled(), DATABASE_URL_DIRECT=migrated.direct()) as service:
        with person(service.url) as client, ThreadPoolExecutor(20) as threads:

            def add(number: int) -> int:
                return client.post("/tasks", json={"title": f"Task {number}"}).status_code

            statuses = set(threads.map(add, range(200)))
            assert statuses == {201}
            assert client.get("/tasks?limit=1").json()["total"] == 200
        with psycopg.connect(migrated.direct()) as connection:
            connections = connection.execute(
                "SELECT ssl, version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                " WHERE usename = 'app' AND pid <> pg_backend_pid()"
            ).fetchall()
    assert 0 < len(connections) <= pgbouncer.POOL_SIZE
    assert {encrypted for encrypted, _ in connections} == {True}
    record_property(
        "connections of the service and its pooler", f"{len(connections)}, {connections[0][1]}"
    )


def test_a_direct_connection_uses_channel_binding(place: Place) -> None:
    with psycopg.connect(place.direct(channel_binding="require")) as connection:
        assert connection.pgconn.used_password
        assert connection.execute(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone() == (True,)


def test_through_pgbouncer_channel_binding_can_only_be_preferred(place: Place) -> None:
    psycopg.connect(place.pooled(channel_binding="prefer")).close()
    assert "channel binding" in _refusal(place.pooled(channel_binding="require"))


@pytest.mark.parametrize("way", ["pooled", "direct"])
def test_connections_require_tls_and_its_verification(place: Place, way: str) -> None:
    url = getattr(place, way)
    _refusal(url(sslmode="disable"))
    assert "certificate verify failed" in _refusal(url(sslrootcert=_foreign_authority(place)))
    assert "does not match host name" in _refusal(url().replace("127.0.0.1", "localhost"))
    assert "authentication failed" in _refusal(url().replace(secured.PASSWORD, "a-wrong-one"))


def _foreign_authority(place: Place) -> str:
    folder = place.folder / "foreign"
    folder.mkdir(exist_ok=True)
    return str(secured.certificates(folder).authority)


def test_timeouts_come_from_the_role_and_not_from_the_url(place: Place) -> None:
    assert "unsupported startup parameter" in _refusal(
        place.pooled(options="-cstatement_timeout%3D15s")
    )
    with psycopg.connect(place.direct(), autocommit=True) as owner:
        owner.execute("ALTER ROLE app SET statement_timeout = '15s'")
        # The pooler's existing connections keep their settings.
        owner.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usename = 'app' AND pid <> pg_backend_pid()"
        )
    time.sleep(1)  # until the pooler has reconnected
    with psycopg.connect(place.pooled(), autocommit=True) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("15s",)


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [({}, "certificate verify failed"), ({"SSL_CERT_FILE": "the authority"}, "connected")],
)
def test_the_drivers_openssl_has_its_own_certificate_directory(
    place: Place, environment: dict[str, str], outcome: str
) -> None:
    """The system trusts the authority, and `sslrootcert=system` fails nevertheless."""
    authority = str(place.database.certificates.authority)
    connect = "import psycopg, sys; psycopg.connect(sys.argv[1]).close(); print('connected')"
    ran = subprocess.run(
        [sys.executable, "-c", connect, place.direct(sslrootcert="system")],
        env=dict.fromkeys(environment, authority),
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in ran.stdout + ran.stderr
    assert not Path(_default_folder()).exists()


def _default_folder() -> str:
    """The certificate directory of the driver's OpenSSL."""
    package = importlib.util.find_spec("psycopg_binary")
    assert package
    assert package.origin
    libraries = Path(package.origin).parents[1] / "psycopg_binary.libs"
    library = ctypes.CDLL(str(next(libraries.glob("libcrypto*"))))
    library.X509_get_default_cert_dir.restype = ctypes.c_char_p
    return library.X509_get_default_cert_dir().decode()
