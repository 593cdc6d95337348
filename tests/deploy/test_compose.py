"""compose.yaml, as compose parses it. No container engine is needed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
import yaml
from support import pgbouncer, secured
from support.databases import KEY
from support.servers import ROOT, free_port

from config import Settings

BIN = ROOT / "tests" / "deploy" / "bin"
GIVEN = {"DATABASE_PASSWORD": "s3cret", "JWT_SECRET_KEY": KEY}


def compose(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "podman_compose", "--env-file", os.devnull, "config"],
        cwd=ROOT,
        env={"PATH": f"{os.environ['PATH']}:{BIN}"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    read = compose(**GIVEN)
    assert read.returncode == 0, read.stderr
    return yaml.safe_load(read.stdout)["services"]


@pytest.mark.parametrize("secret", GIVEN)
def test_a_missing_secret_stops_the_start(secret: str) -> None:
    read = compose(**{name: value for name, value in GIVEN.items() if name != secret})
    assert read.returncode != 0
    assert f"{secret} is missing" in read.stderr
    assert "s3cret" not in (ROOT / "compose.yaml").read_text()


@pytest.mark.parametrize("name", ["app", "worker", "migrate", "pooler"])
def test_containers_have_no_unneeded_privileges_and_disks(
    services: dict[str, Any], name: str
) -> None:
    assert services[name]["read_only"] is True
    assert services[name]["cap_drop"] == ["ALL"]
    assert services[name]["security_opt"] == ["no-new-privileges:true"]
    assert not services[name].get("volumes")


def test_each_service_has_limits_of_memory_and_processes(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"[0-9]+[mg]", service["mem_limit"]), name
        assert 0 < service["pids_limit"] <= 256, name


def test_the_schema_and_the_timeouts_are_in_place_before_the_start(
    services: dict[str, Any],
) -> None:
    assert services["migrate"]["command"][-1] == "flask db upgrade && flask set-timeouts"


def test_each_container_waits_for_its_dependencies(services: dict[str, Any]) -> None:
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert waits == {
        "database": {},
        "pooler": {"database": "service_healthy"},
        "migrate": {"database": "service_healthy"},
        "app": {"migrate": "service_completed_successfully", "pooler": "service_healthy"},
        "worker": {"migrate": "service_completed_successfully", "pooler": "service_healthy"},
    }
    for name in ("database", "pooler"):
        assert services[name]["healthcheck"]["test"]
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()


def test_its_settings_are_valid(services: dict[str, Any]) -> None:
    environment = services["app"]["environment"]
    assert environment == services["migrate"]["environment"]
    assert environment == services["worker"]["environment"]
    known = {name.upper() for name in Settings.__dataclass_fields__}
    assert environment.keys() <= known
    settings = Settings.from_environment(environment)
    assert settings.database_url == "postgresql://taskapi:s3cret@pooler:6432/taskapi"
    assert settings.database_url_direct == "postgresql://taskapi:s3cret@database:5432/taskapi"


def test_its_base_image_is_that_of_the_dockerfile(services: dict[str, Any]) -> None:
    default = re.search(
        r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    assert default
    assert services["app"]["build"]["args"] == [f"PYTHON_IMAGE={default[1]}"]


@pytest.mark.deploy
@pytest.mark.alone
def test_its_pooler_accepts_its_configuration(run_folder: Path) -> None:
    with TemporaryDirectory(dir=run_folder) as name, secured.database(Path(name)) as database:
        folder, port = Path(name), free_port()
        configuration = (ROOT / "deploy" / "pgbouncer.ini").read_text()
        users = folder / "userlist.txt"
        users.write_text(f'"app" "{secured.PASSWORD}"\n')
        for old, new in {
            "host=database port=5432": f"host=127.0.0.1 port={database.port}",
            "listen_addr = *": "listen_addr = 127.0.0.1",
            "listen_port = 6432": f"listen_port = {port}",
            "/etc/taskapi/userlist.txt": str(users),
        }.items():
            assert old in configuration
            configuration = configuration.replace(old, new)
        configuration += "server_tls_sslmode = require\n"  # required by this database
        with pgbouncer.running(configuration, port, folder, database.account):
            url = database.url(port=port, sslmode="disable")
            with psycopg.connect(url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
            with pytest.raises(psycopg.OperationalError, match="authentication failed"):
                psycopg.connect(url.replace(secured.PASSWORD, "wrong")).close()
