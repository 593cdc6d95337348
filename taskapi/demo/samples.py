"""The sample data: lists, labels, filters, and tasks of all kinds around a day."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from typing import Any, NamedTuple

from taskapi.tasks.dues import DateDue, Due, TimedDue
from taskapi.tasks.recurrence.service import Anchor, GivenRecurrence, parse

LISTS: tuple[dict[str, Any], ...] = (
    {"name": "Home", "color": "#2e7d32"},
    {"name": "Work", "color": "#1565c0"},
    {"name": "Errands", "color": None},
    {"name": "Old flat", "color": "#757575", "is_archived": True},
)
LABELS: tuple[dict[str, Any], ...] = (
    {"name": "Urgent", "color": "#c62828"},
    {"name": "Waiting", "color": "#f9a825"},
)
FILTERS: tuple[dict[str, Any], ...] = (
    {"name": "Today", "query": "not completed and due <= today", "color": "#1565c0"},
    {"name": "Urgent at work", "query": "not completed and list = Work and label = Urgent"},
    {"name": "Quick ones", "query": "not completed and estimate <= 15"},
)

SHARED_NAME = "Family"
SHARED_LISTS: tuple[dict[str, Any], ...] = ({"name": "Holiday", "color": "#00838f"},)

_HOME_ZONE, _AWAY_ZONE = "Europe/Berlin", "America/New_York"
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
_WHY = (
    None,
    None,
    "Before the end of the week.",
    "Ask what they think of it first.",
    "The papers are in the blue folder.",
    "It has waited long enough.",
)
_TIMES = (time(9, 30), time(14), time(18, 15))
_ESTIMATES = (None, 10, 15, 30, 60, 240)


class SampleTask(NamedTuple):
    """A sample task."""

    values: dict[str, Any]
    """The fields, except for those that follow."""

    list: str | None
    """The name of the list; None for the inbox."""

    labels: tuple[str, ...] = ()
    parent: str | None = None
    """The title of the parent, which is created before."""

    outcomes: tuple[str, ...] = ()
    """The outcomes of the first occurrences: completed or skipped."""

    comments: tuple[str, ...] = ()


def tasks(count: int, today: date) -> Iterator[SampleTask]:
    """Sample tasks around a day. Recurring tasks and subtasks come first."""
    return islice(chain(_recurring(today), _projects(today), _ordinary(count, today)), count)


def shared_tasks(today: date) -> Iterator[SampleTask]:
    """Sample tasks of the shared workspace."""
    holiday, trip = "Holiday", "Plan the holiday"
    yield SampleTask({"title": trip, "due": DateDue(_day(today, 21)), "priority": 3}, holiday)
    for days, title in ((2, "Book the ferry"), (9, "Find the tent"), (20, "Pack")):
        yield SampleTask({"title": title, "due": DateDue(_day(today, days))}, holiday, parent=trip)
    bins = _recurring_fields("FREQ=WEEKLY", DateDue(_day(today, -7)))
    yield SampleTask({"title": "Put out the bins", **bins}, None, outcomes=("completed",))
    yield SampleTask({"title": "Buy a birthday present for grandmother", "priority": 2}, None)
    yield SampleTask({"title": "Descale the kettle", "is_completed": True}, None)
    yield SampleTask({"title": "Choose a film for Friday", "estimate_minutes": 15}, None)


def _recurring(today: date) -> Iterator[SampleTask]:
    yield SampleTask(
        {
            "title": "Water the plants",
            **_recurring_fields("FREQ=WEEKLY", DateDue(_day(today, -21))),
        },
        "Home",
        outcomes=("completed", "skipped", "completed"),
    )
    review = TimedDue(datetime.combine(_day(today, -14), time(16)), _HOME_ZONE)
    yield SampleTask(
        {"title": "Review the week", "priority": 2, **_recurring_fields("FREQ=WEEKLY", review)},
        "Work",
        outcomes=("completed", "completed"),
    )
    haircut = _recurring_fields(
        "FREQ=DAILY;INTERVAL=40", DateDue(_day(today, 3)), Anchor.COMPLETION
    )
    yield SampleTask({"title": "Have a haircut", **haircut}, "Errands")
    rent = _recurring_fields("FREQ=MONTHLY;BYMONTHDAY=1", DateDue(today.replace(day=1)))
    yield SampleTask({"title": "Pay the rent", "priority": 4, **rent}, None, ("Urgent",))


def _recurring_fields(rule: str, due: Due, anchor: Anchor = Anchor.DUE) -> dict[str, Any]:
    """The due and the recurrence of a recurring task."""
    return {"due": due, "recurrence": GivenRecurrence(parse(rule), anchor, None)}


def _projects(today: date) -> Iterator[SampleTask]:
    party, launch = "Give a birthday party", "Launch the new site"
    evening = TimedDue(datetime.combine(_day(today, 6), time(19)), _HOME_ZONE)
    begun = {"start": DateDue(today), "due": evening, "estimate_minutes": 300, "priority": 3}
    comments = ("Twelve people have accepted so far.", "The cellar is free until midnight.")
    yield SampleTask({"title": party, **begun}, "Home", comments=comments)
    for days, title in enumerate(("Invite everyone", "Order the cake", "Make a playlist")):
        values = {"title": title, "is_completed": days == 0, "due": DateDue(_day(today, days))}
        yield SampleTask(values, "Home", parent=party)
    soon = {"due": DateDue(_day(today, 5)), "priority": 4}
    yield SampleTask({"title": launch, **soon}, "Work", ("Urgent",))
    call = TimedDue(datetime.combine(today, time(11)), _AWAY_ZONE)
    values = {"title": "Agree on a date with New York", "due": call, "estimate_minutes": 30}
    yield SampleTask(values, "Work", ("Waiting",), parent=launch)


def _ordinary(count: int, today: date) -> Iterator[SampleTask]:
    chance = random.Random(count)
    verbs = sorted(_WHAT)
    lists = [None, *(sample["name"] for sample in LISTS)]
    while True:
        verb, list_name = chance.choice(verbs), chance.choice(lists)
        due = _due(chance, today)
        values = {
            "title": f"{verb} {chance.choice(_WHAT[verb])}",
            "description": chance.choice(_WHY),
            "is_completed": list_name == "Old flat" or chance.random() < 0.35,
            "priority": chance.choices(range(5), (10, 3, 4, 3, 1))[0],
            "due": due,
            "start": DateDue(_day(due.date, -3)) if due and chance.random() < 0.3 else None,
            "estimate_minutes": chance.choice(_ESTIMATES),
        }
        labels = tuple(sample["name"] for sample in LABELS if chance.random() < 0.2)
        yield SampleTask(values, list_name, labels)


def _due(chance: random.Random, today: date) -> Due | None:
    """No due, or a random one: in the past, today, within a week or later."""
    ranges = (None, (-10, -1), (0, 0), (1, 6), (7, 60))
    within = chance.choices(ranges, (8, 2, 2, 4, 4))[0]
    if within is None:
        return None
    day = _day(today, chance.randint(*within))
    if chance.random() < 0.6:
        return DateDue(day)
    zone = _HOME_ZONE if chance.random() < 0.8 else _AWAY_ZONE
    return TimedDue(datetime.combine(day, chance.choice(_TIMES)), zone)


def _day(day: date, days: int) -> date:
    return day + timedelta(days)
