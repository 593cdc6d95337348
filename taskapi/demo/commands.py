"""The command `flask demo`."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import click
from flask.cli import with_appcontext
from marshmallow import ValidationError

from taskapi.auth.administration import create_user, get_user, session_of
from taskapi.cli import Command
from taskapi.db.pages import MAX_LIMIT
from taskapi.demo.filling import create, create_missing
from taskapi.demo.samples import FILTERS, LABELS, LISTS, tasks
from taskapi.demo.sharing import share_workspace
from taskapi.http.fields import EmailAddress
from taskapi.logs import without_events
from taskapi.problems import NotFound
from taskapi.tasks.filters.service import create_filter, list_filters
from taskapi.tasks.labels.service import create_label, list_labels
from taskapi.tasks.lists.service import create_list, list_lists

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
    """Add sample tasks to an account, which is created if it does not exist.

    The account shares a workspace with a second one, such as demo+family@example.com.
    """
    password = _create_account(email, count, confirmed=yes)
    with session_of(email) as caller, without_events():
        lists = create_missing(caller, LISTS, create_list, list_lists(caller, _ALL, known=[]))
        labels = create_missing(caller, LABELS, create_label, list_labels(caller, _ALL, known=[]))
        create_missing(caller, FILTERS, create_filter, list_filters(caller, _ALL, known=[]))
        task_ids: dict[str, int] = {}
        samples = tasks(count, datetime.now(UTC).date())
        with click.progressbar(samples, length=count, label="Adding tasks") as bar:
            for task in bar:
                task_ids[task.values["title"]] = create(caller, task, lists, labels, task_ids)
        shared = share_workspace(caller, email)
    # Nothing follows a password or a URL, so that they are easy to copy.
    if password:
        click.echo(f"{email} has {count} tasks. Log in with the password: {password}")
    else:
        click.echo(f"{email} has {count} more tasks. Log in.")
    if shared:
        click.echo(shared)


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
