"""The command line of tasks: `flask demo`."""

from __future__ import annotations

import random
from contextlib import suppress

import click
from flask.cli import with_appcontext

from taskapi.auth.administration import create_user, get_user, session_of
from taskapi.core.commands import explained
from taskapi.core.errors import NotFound
from taskapi.core.identity import Caller
from taskapi.core.pagination import MAX_LIMIT
from taskapi.labels.service import LabelExists, create_label, list_labels
from taskapi.lists.service import create_list, inbox_of
from taskapi.tasks import service

DEMO_PASSWORD = "correct horse battery"  # noqa: S105 - meant to be known, for trying things out

_WHAT = {
    "Call": ("the bank about the standing order", "grandmother", "the dentist for an appointment"),
    "Write": ("the minutes of Monday's meeting", "a card for Sam's birthday", "the release notes"),
    "Buy": ("oat milk and bread", "a present for the wedding", "bulbs for the hallway"),
    "Book": ("train tickets to Vienna", "a table for six", "the sports hall"),
    "Repair": ("the garden gate", "the flaky test in CI", "the bicycle's rear light"),
    "Read": ("the contract before signing", "chapter four", "the proposal from the design team"),
    "Pay": ("the electricity bill", "the club's yearly fee", "back Alex for the concert"),
    "Plan": ("the autumn offsite", "the move to the new flat", "meals for the week"),
}
_LISTS = (
    {"name": "Home", "color": "#2e7d32"},
    {"name": "Work", "color": "#1565c0"},
    {"name": "Errands", "color": None},
)
_LABELS = ({"name": "Urgent", "color": "#c62828"}, {"name": "Waiting", "color": "#f9a825"})
_WHY = (
    None,
    None,
    "Before the end of the week.",
    "Ask what they think of it first.",
    "The papers are in the blue folder.",
    "It has waited long enough.",
)


@click.command()
@click.option("--email", default="demo@example.com", show_default=True, help="Whose they are.")
@click.option("--tasks", "count", default=200, show_default=True, help="How many.")
@with_appcontext
@explained
def demo(email: str, count: int) -> None:
    """Fill an account with believable tasks, making it when there is none."""
    is_new = _make_account(email.lower())
    with session_of(email.lower()) as caller:
        places = [inbox_of(caller), *(create_list(caller, dict(one))["id"] for one in _LISTS)]
        labels = _make_labels(caller)
        with click.progressbar(_believable(count, places, labels), label="Adding tasks") as bar:
            for values in bar:
                service.create_task(caller, values)
    secret = f" with the password: {DEMO_PASSWORD}" if is_new else ""
    click.echo(f"{email.lower()} has {count} more tasks. Log in{secret}.")


def _make_account(email: str) -> bool:
    try:
        get_user(email)
    except NotFound:
        create_user(email, DEMO_PASSWORD)
        return True
    return False


def _make_labels(caller: Caller) -> list[int]:
    """The ids of the demo's labels, which may be there from a time before."""
    for one in _LABELS:
        with suppress(LabelExists):
            create_label(caller, dict(one))
    found = list_labels(caller, {"limit": MAX_LIMIT, "sort": "name"}, known=[]).rows or []
    names = {one["name"] for one in _LABELS}
    return [label["id"] for label in found if label["name"] in names]


def _believable(count: int, places: list[int], labels: list[int]) -> list[dict[str, object]]:
    chance = random.Random(count)  # noqa: S311 - the same tasks each time are what a demo wants
    verbs = sorted(_WHAT)
    tasks: list[dict[str, object]] = []
    for _ in range(count):
        verb = chance.choice(verbs)
        title = f"{verb} {chance.choice(_WHAT[verb])}"
        tasks.append(
            {
                "title": title,
                "description": chance.choice(_WHY),
                "is_completed": chance.random() < 0.4,
                "list_id": chance.choice(places),
                "label_ids": [one for one in labels if chance.random() < 0.2],
            }
        )
    return tasks
