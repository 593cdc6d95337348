"""Fixtures of the failure tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from support.place import Figures, Place, new_database
from support.servers import started


@pytest.fixture(scope="session")
def faults_folder(run_folder: Path) -> Path:
    """The data directory of the database server."""
    return run_folder / f"faults-{os.getpid()}"


@pytest.fixture
def place(faults_folder: Path) -> Iterator[Place]:
    """The service with two workers on a new database."""
    with new_database(faults_folder) as url, started(url, DATABASE_PREPARE="true") as service:
        yield Place(service, faults_folder, url)


@pytest.fixture
def anybody() -> Iterator[httpx.Client]:
    """A client that exists before its requests are timed."""
    with httpx.Client(timeout=20) as client:
        yield client


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    return Figures(record_property)
