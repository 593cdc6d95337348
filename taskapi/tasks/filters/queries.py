"""The SQL of saved filters."""

from __future__ import annotations

from functools import cache

from taskapi.db.content_sql import ContentStatements
from taskapi.db.names import BY_NAME, NamedTable
from taskapi.db.pages import BY_CREATION
from taskapi.db.tenancy import ONE
from taskapi.problems import NameTaken
from taskapi.tasks.filters.models import SavedFilter


class FilterExists(NameTaken):
    """Another saved filter has this name."""

    code = "filter_exists"
    title = "Filter exists"
    detail = "Another filter has this name."


filters = NamedTable(
    SavedFilter,
    "filter",
    ContentStatements(SavedFilter, {"filter_count": lambda rows: ONE}),
    FilterExists,
)

SORTS = {"created_at": BY_CREATION, "name": BY_NAME}

filter_page = cache(filters.page)
"""A page of the workspace's saved filters."""
