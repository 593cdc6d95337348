"""Fixtures of sign-ins with a real provider, which `make test-oidc` installs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.api import new_email
from support.real_provider import RealProvider

_HERE = Path(__file__).parent
_TOOLS = _HERE.parents[1] / "tools" / "node_modules"

NewProvider = Callable[[str], RealProvider]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory in which Node.js finds the tools."""
    assert (_TOOLS / "oidc-provider").exists(), "run make test-oidc, which installs the tools"
    work = tmp_path / "oidc"
    shutil.copytree(_HERE, work)
    shutil.copy(_HERE.parent / "browser" / "server.mjs", work)
    (work / "node_modules").symlink_to(_TOOLS)
    return work


@pytest.fixture
def new_provider(folder: Path) -> NewProvider:
    return lambda redirect_uri: RealProvider(folder, redirect_uri, new_email())
