"""The command `flask demo`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import with_appcontext
from marshmallow import ValidationError

from taskapi.auth.administration import create_user, get_user, session_of
from taskapi.cli import Command
from taskapi.db.listing import Page
from taskapi.db.pages import MAX_LIMIT
from taskapi.demo.samples import FILTERS, LABELS, LISTS, SampleTask, tasks
from taskapi.http.fields import EmailAddress
from taskapi.identity import Caller
from taskapi.logs import without_events
from taskapi.problems import NotFound
from taskapi.tasks.comments.service import create_comment
from taskapi.tasks.filters.service import create_filter, list_filters
from taskapi.tasks.labels.service import create_label, list_labels
from taskapi.tasks.lists.service import create_list, list_lists
from taskapi.tasks.occurrences import service as occurrences
from taskapi.tasks.service import create_task

_ALL = {"limit": MAX_LIMIT, "sort": "name"}


@click.command(cls=Command)
@click.option(
    "--email",
    default="demo@example.com",
    show_default=True,
    callback=lambda ctx, param, value: _valid(value),
    help="The account.",
)
@click.option(
    "--tasks",
    "count",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="The number of tasks.",
)
@click.option("--yes", is_flag=True, help="Fill an existing account without confirmation.")
@with_appcontext
def demo(email: str, count: int, *, yes: bool) -> None:
    """Add sample tasks to an account, which is created if it does not exist."""
    password = _create_account(email, count, confirmed=yes)
    with session_of(email) as caller, without_events():
        lists = _create_missing(caller, LISTS, create_list, list_lists(caller, _ALL, known=[]))
        labels = _create_missing(caller, LABELS, create_label, list_labels(caller, _ALL, known=[]))
        _create_missing(caller, FILTERS, create_filter, list_filters(caller, _ALL, known=[]))
        task_ids: dict[str, int] = {}
        samples = tasks(count, datetime.now(UTC).date())
        with click.progressbar(samples, length=count, label="Adding tasks") as bar:
            for task in bar:
                task_ids[task.values["title"]] = _create(caller, task, lists, labels, task_ids)
    secret = f" with the password: {password}" if password else ""
    click.echo(f"{email} has {count} more tasks. Log in{secret}.")


def _valid(email: str) -> str:
    try:
        return EmailAddress().deserialize(email)
    except ValidationError as error:
        raise click.BadParameter(str(error.messages[0])) from None


def _create_account(email: str, count: int, *, confirmed: bool) -> str | None:
    """Create the account if it does not exist, and return its password.

    Args:
        confirmed: whether an existing account is filled without asking.
    """
    try:
        user = get_user(email)
    except NotFound:
        password = secrets.token_urlsafe(12)
        create_user(email, password)
        return password
    if not confirmed:
        has = f"{email} exists and has {user['task_count']} tasks."
        click.confirm(f"{has} Add {count} sample tasks to it?", abort=True)
    return None


def _create_missing(
    caller: Caller,
    samples: Iterable[Mapping[str, Any]],
    create: Callable[[Caller, dict[str, Any]], Any],
    found: Page[Any],
) -> dict[str, int]:
    """Create the rows that do not exist, and return the IDs of all by name."""
    known = {row.name.lower(): row.id for row in found.rows or ()}
    return {
        sample["name"]: known.get(sample["name"].lower()) or create(caller, dict(sample)).id
        for sample in samples
    }


def _create(
    caller: Caller,
    task: SampleTask,
    lists: Mapping[str, int],
    labels: Mapping[str, int],
    task_ids: Mapping[str, int],
) -> int:
    values = task.values | {"label_ids": [labels[name] for name in task.labels]}
    if task.list:
        values["list_id"] = lists[task.list]
    if task.parent:
        values["parent_id"] = task_ids[task.parent]
    task_id = create_task(caller, values).id
    for outcome in task.outcomes:
        advance = occurrences.complete if outcome == "completed" else occurrences.skip
        advance(caller, task_id, keep_missed=True, if_match=None)
    for text in task.comments:
        create_comment(caller, task_id, {"text": text})
    return task_id
