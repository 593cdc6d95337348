"""The engine of Flask-SQLAlchemy, which only migrations use."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import NullPool

from config import Settings


def engine_config(settings: Settings) -> dict[str, Any]:
    """Flask-SQLAlchemy's configuration. Its engine bypasses poolers."""
    url = settings.database_url_direct or settings.database_url or ""
    return {
        "SQLALCHEMY_DATABASE_URI": "postgresql+psycopg://",
        "SQLALCHEMY_ENGINE_OPTIONS": {
            # libpq parses the URL, so that all of its parameters are supported.
            "creator": lambda: psycopg.connect(url, application_name="taskapi-migrations"),
            "poolclass": NullPool,
            "hide_parameters": True,
        },
    }
