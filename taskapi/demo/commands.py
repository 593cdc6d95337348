"""The command line of the demo: `flask demo`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import with_appcontext

from taskapi.auth.administration import create_user, get_user, session_of
from taskapi.cli import explained
from taskapi.db.listing import Page
from taskapi.db.pages import MAX_LIMIT
from taskapi.demo.believable import FILTERS, LABELS, LISTS, Believable, tasks
from taskapi.identity import Caller
from taskapi.logs import without_events
from taskapi.problems import NotFound
from taskapi.tasks.filters.service import create_filter, list_filters
from taskapi.tasks.labels.service import create_label, list_labels
from taskapi.tasks.lists.service import create_list, list_lists
from taskapi.tasks.occurrences import service as occurrences
from taskapi.tasks.service import create_task

_EVERY = {"limit": MAX_LIMIT, "sort": "name"}


@click.command()
@click.option("--email", default="demo@example.com", show_default=True, help="Whose they are.")
@click.option("--tasks", "count", default=200, show_default=True, help="How many.")
@with_appcontext
@explained
def demo(email: str, count: int) -> None:
    """Fill an account with believable tasks, making it when there is none."""
    email = email.lower()
    password = _make_account(email)
    with session_of(email) as caller, without_events():
        lists = _make(caller, LISTS, create_list, list_lists(caller, _EVERY, known=[]))
        labels = _make(caller, LABELS, create_label, list_labels(caller, _EVERY, known=[]))
        _make(caller, FILTERS, create_filter, list_filters(caller, _EVERY, known=[]))
        made: dict[str, int] = {}
        asked = tasks(count, datetime.now(UTC).date())
        with click.progressbar(asked, label="Adding tasks") as bar:
            for task in bar:
                made[task.values["title"]] = _add(caller, task, lists, labels, made)
    secret = f" with the password: {password}" if password else ""
    click.echo(f"{email} has {count} more tasks. Log in{secret}.")


def _make_account(email: str) -> str | None:
    """The password of an account that had to be made."""
    try:
        get_user(email)
    except NotFound:
        password = secrets.token_urlsafe(12)
        create_user(email, password)
        return password
    return None


def _make(
    caller: Caller,
    wanted: Iterable[Mapping[str, Any]],
    create: Callable[[Caller, dict[str, Any]], Any],
    found: Page[Any],
) -> dict[str, int]:
    """The ids of these by their names; some may be there from a time before."""
    known = {row.name.lower(): row.id for row in found.rows or ()}
    return {
        one["name"]: known.get(one["name"].lower()) or create(caller, dict(one)).id
        for one in wanted
    }


def _add(
    caller: Caller,
    task: Believable,
    lists: Mapping[str, int],
    labels: Mapping[str, int],
    made: Mapping[str, int],
) -> int:
    values = task.values | {"label_ids": [labels[name] for name in task.labels]}
    if task.list:
        values["list_id"] = lists[task.list]
    if task.below:
        values["parent_id"] = made[task.below]
    task_id = create_task(caller, values).id
    for outcome in task.outcomes:
        step = occurrences.complete if outcome == "completed" else occurrences.skip
        step(caller, task_id, keep_missed=True, if_match=None)
    return task_id
