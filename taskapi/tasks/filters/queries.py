"""The SQL of saved filters."""

from __future__ import annotations

from functools import cache

from taskapi.db.content_sql import ContentStatements
from taskapi.db.content_table import ContentTable
from taskapi.db.pages import BY_CREATION, by_text
from taskapi.db.tenancy import ONE
from taskapi.tasks.filters.models import SavedFilter

filters = ContentTable(
    SavedFilter, "filter", ContentStatements(SavedFilter, {"filter_count": lambda rows: ONE})
)

SORTS = {"created_at": BY_CREATION, "name": by_text("name")}

filter_page = cache(filters.page)
"""A page of the workspace's saved filters."""
