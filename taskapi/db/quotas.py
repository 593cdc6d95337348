"""Quotas: how much a workspace may store, counted in its row by the writes themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Flask
from sqlalchemy import BigInteger, BindParameter, bindparam

from config import Settings
from taskapi.problems import Problem
from taskapi.runtime.context import extensions


class Quota(NamedTuple):
    """A limit on a total of a workspace.

    Args:
        name: the name of the quota in JSON and in messages.
        total: the column of the workspace.
        setting: the setting of the limit.
    """

    name: str
    total: str
    setting: str


QUOTAS = (
    Quota("tasks", "task_count", "quota_tasks"),
    Quota("lists", "list_count", "quota_lists"),
    Quota("labels", "label_count", "quota_labels"),
    Quota("filters", "filter_count", "quota_filters"),
    Quota("occurrences", "occurrence_count", "quota_occurrences"),
    Quota("comments", "comment_count", "quota_comments"),
    Quota("text_bytes", "text_bytes", "quota_text_bytes"),
)

TOTALS = frozenset(quota.total for quota in QUOTAS)


class QuotaExceeded(Problem):
    """The change would exceed a quota of the workspace."""

    status = 409
    code = "quota_exceeded"
    title = "Quota exceeded"
    detail = "A quota of the workspace is used up."


def limit_of(total: str) -> BindParameter[int]:
    """The limit of a total, as a parameter. `limits` returns its value."""
    return bindparam(f"quota_{total}", type_=BigInteger)


def init_app(app: Flask, settings: Settings) -> None:
    """Set the limits from the settings."""
    app.extensions["taskapi_quotas"] = {
        f"quota_{quota.total}": getattr(settings, quota.setting) for quota in QUOTAS
    }


def limits() -> dict[str, int]:
    """The parameters of `limit_of`."""
    found: dict[str, int] = extensions()["taskapi_quotas"]
    return found


def usage(row: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Take the totals out of a row, and return the use of each quota."""
    return {
        quota.name: {"used": row.pop(quota.total), "limit": limits()[f"quota_{quota.total}"]}
        for quota in QUOTAS
    }


def exceeded(total: str) -> QuotaExceeded:
    """The problem for a change that would exceed the quota of a total."""
    name = next(quota.name for quota in QUOTAS if quota.total == total)
    limit = limits()[f"quota_{total}"]
    return QuotaExceeded(
        f"This change would exceed the workspace's quota of {limit:,} {name.replace('_', ' ')}."
    )
