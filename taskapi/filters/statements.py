"""How filters are read, written, counted and sorted."""

from __future__ import annotations

from functools import cache

from sqlalchemy import func, select

from taskapi.core.owned_table import OwnedTable
from taskapi.core.ownership import owned, owned_page
from taskapi.core.pagination import IN_ORDER_OF_CREATION, Sort, by_text
from taskapi.core.statement import Statement
from taskapi.extensions import table_of
from taskapi.filters.models import Filter

_filters = table_of(Filter)

filters = OwnedTable(_filters, "filter")

SORTS = {"created_at": IN_ORDER_OF_CREATION, "name": by_text("name")}


@cache
def filter_page(sort: Sort, *, is_descending: bool, resumes: bool) -> Statement:
    """The statement of a page of the caller's filters."""
    total = select(func.count()).where(owned(_filters)).scalar_subquery()
    return owned_page(_filters, sort, is_descending=is_descending, resumes=resumes, total=total)
