"""Sign-ins of a front end with a real provider, in a headless Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from support.servers import free_port, serving

pytestmark = [pytest.mark.oidc, pytest.mark.alone]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def test_a_front_end_signs_in(database_url: str, folder: Path, new_provider: Any) -> None:
    chromium = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert chromium, "run make test-oidc, which installs Chromium"
    port, front_end_port = free_port(), free_port()
    public_url = f"http://127.0.0.1:{port}"
    front_end = f"http://127.0.0.1:{front_end_port}"
    example = new_provider(f"{public_url}/auth/oidc/example/callback")
    settings = {
        "PORT": str(port),
        "PUBLIC_URL": public_url,
        "OIDC_PROVIDERS": json.dumps([asdict(example.settings("example"))]),
        "OIDC_REDIRECT_URIS": f"{front_end}/",
        "CORS_ORIGINS": front_end,
    }
    with example.running(), serving(database_url, **settings) as url:
        options = {
            "service": url,
            "chromium": chromium,
            "port": front_end_port,
            "email": example.email,
        }
        ran = subprocess.run(
            ["timeout", "140", "node", "browser.mjs", json.dumps(options)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("passed\n")
