"""How filters are read, written, counted and sorted."""

from __future__ import annotations

from functools import cache

from taskapi.db.content_table import OwnedTable
from taskapi.db.pages import IN_ORDER_OF_CREATION, by_text
from taskapi.extensions import table_of
from taskapi.tasks.filters.models import Filter

filters = OwnedTable(table_of(Filter), "filter")

SORTS = {"created_at": IN_ORDER_OF_CREATION, "name": by_text("name")}


filter_page = cache(filters.page)
"""The statement of a page of the caller's filters."""
