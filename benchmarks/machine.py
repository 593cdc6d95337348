"""The environment of a run, for the head of the results."""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import psycopg

from benchmarks.databases import ROOT, SMALL_ROWS, TASKS_EACH, Cluster
from benchmarks.workloads import CONNECTIONS

_PACKAGES = ("gunicorn", "gevent", "Flask", "SQLAlchemy", "psycopg", "PyJWT", "orjson")


def description(cluster: Cluster, options: argparse.Namespace) -> dict[str, str]:
    """The machine, the versions and the conditions."""
    durable = cluster.execute(
        "SELECT string_agg(name || ' ' || setting, ', ' ORDER BY name) FROM pg_settings"
        " WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')"
    )[0][0]
    server = cluster.execute("SHOW server_version")[0][0].split()[0]
    versions = [f"{name} {version(name)}" for name in _PACKAGES]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "code": _revision(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()} GiB, {_system()}",
        "versions": f"Python {platform.python_version()}, {', '.join(versions)}, "
        f"PostgreSQL {server}, wrk {_wrk()}",
        "database": f"{durable}; on the same machine, by a Unix socket",
        "data": f"{SMALL_ROWS:,} tasks, {TASKS_EACH} an account; for the account of many"
        f" {options.rows:,} tasks in all",
        "conditions": f"2 workers; wrk with 1 thread and, where nothing else is said,"
        f" {CONNECTIONS} connections; {options.rounds} rounds of {options.seconds} s",
    }


def round_trip(url: str, questions: int = 200) -> float:
    """The median time of an empty query in milliseconds."""
    times = []
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(questions):
            started = time.perf_counter()
            connection.execute("SELECT 1", prepare=True)
            times.append(time.perf_counter() - started)
    return sorted(times)[questions // 2] * 1000


def _revision() -> str:
    git = ["git", "-C", str(ROOT)]
    asked = subprocess.run(
        [*git, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _system() -> str:
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{release}, Linux {platform.release()}"


def _wrk() -> str:
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"wrk (?:debian/)?([\d.]+)", said)
    return found[1] if found else "of unknown version"
