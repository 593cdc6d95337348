"""Filters over HTTP: parameters, references and entity tags."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from filters.requests import MOST_TEXTS, NOBODYS, new, refusal, titles
from support import wire, world
from support.api import Api
from support.contract import Contract

from config import Settings
from taskapi.tasks.filters import service, terms
from taskapi.tasks.pages import filtered_page


@pytest.fixture
def some(user: Api) -> dict[str, int]:
    """The tasks a to d of a user, and the IDs of their lists and labels."""
    ids = {"work": new(user, "lists", name="Work")}
    ids |= {name: new(user, "labels", name=name) for name in ("urgent", "later")}
    user.task(title="a", priority=4, due={"date": "2026-12-24"}, label_ids=[ids["urgent"]])
    timed = {"datetime": "2026-12-24T23:30:00", "timezone": "America/New_York"}
    both = [ids["urgent"], ids["later"]]
    user.task(title="b", priority=2, due=timed, label_ids=both, list_id=ids["work"])
    parent = user.task(title="c", priority=1, due={"date": "2000-01-01"}, is_completed=True)
    user.task(title="d", due={"date": "2000-01-01"}, parent_id=parent["id"], is_completed=True)
    return ids | {"parent": parent["id"], "inbox": user.user_id}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"priority": 4}, "a"),
        ({"priority": 0}, "d"),
        ({"priority_min": 2}, "ab"),
        ({"due_from": "2026-12-24"}, "ab"),
        ({"due_from": "2026-12-25"}, "b"),
        ({"due_before": "2026-12-25"}, "acd"),
        ({"due_before": "2026-12-25", "timezone": "America/New_York"}, "abcd"),
        ({"due_from": "2026-12-24", "due_before": "2026-12-25"}, "a"),
        ({"due_before": "2026-12-25T04:30:00Z"}, "acd"),
        ({"due_before": "2026-12-25T04:30:00.000001Z"}, "abcd"),
        ({"due_from": "2026-12-25T05:30:00+01:00"}, "b"),
        ({"created_from": "2026-01-01", "updated_from": "2026-01-01"}, "abcd"),
        ({"created_before": "2026-01-01"}, ""),
        ({"updated_before": "2026-01-01T00:00:00Z"}, ""),
        ({"completed_from": "2000-01-01"}, "cd"),
        ({"completed_before": "2000-01-01"}, ""),
        ({"label": "{urgent}"}, "ab"),
        ({"label": "{urgent},{later}"}, "ab"),
        ({"label_all": "{urgent},{later}"}, "b"),
        ({"label_none": "{later}"}, "acd"),
        ({"label": "{urgent}", "label_none": "{later}"}, "a"),
        ({"parent_id": "{parent}"}, "d"),
        ({"is_overdue": "true"}, ""),
        ({"is_overdue": "false"}, "abcd"),
        ({"list_id": "{work}", "priority": 2}, "b"),
        ({"list_id": "{inbox}", "priority_min": 1}, "ac"),
        ({"is_completed": "true", "priority_min": 1}, "c"),
        ({"filter": "priority > 1", "label": "{later}"}, "b"),
        ({"filter": "list = work or label = URGENT"}, "ab"),
        ({"timezone": "Asia/Tokyo"}, "abcd"),
    ],
    ids=str,
)
def test_parameters_are_combined(
    user: Api, some: dict[str, int], query: dict[str, Any], found: str
) -> None:
    filled = {name: str(value).format(**some) for name, value in query.items()}
    assert titles(user, **filled) == list(found)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"priority": 5}, "out_of_range"),
        ({"priority_min": "a"}, "out_of_range"),
        ({"due_from": "today"}, "not_a_time"),
        ({"due_from": "2026-12-24T17:00:00"}, "not_a_time"),
        ({"due_before": "1969-12-31"}, "out_of_range"),
        ({"timezone": "berlin"}, "not_a_zone"),
        ({"label": ""}, "not_ids"),
        ({"label": "1,"}, "not_ids"),
        ({"label": "a"}, "not_ids"),
        ({"label_all": "9007199254740992"}, "not_ids"),
        ({"label_none": ",".join(["1"] * 101)}, "length"),
        ({"parent_id": 0}, "out_of_range"),
        ({"is_overdue": 1}, "not_a_boolean"),
        ({"filter_id": "a"}, "out_of_range"),
        ({"assignee": ""}, "not_a_choice"),
        ({"assignee": "Me"}, "not_a_choice"),
        ({"assignee": "0"}, "not_a_choice"),
        ({"assignee": "9007199254740992"}, "not_a_choice"),
    ],
    ids=str,
)
def test_an_invalid_parameter_returns_400(user: Api, query: dict[str, Any], code: str) -> None:
    assert refusal(user, **query) == (next(iter(query)), code, None)


@pytest.mark.parametrize("has_tasks", [False, True])
def test_an_unknown_reference_returns_400(user: Api, stranger: Api, has_tasks: bool) -> None:
    if has_tasks:
        user.task(priority=4)
    theirs = {
        "list": new(stranger, "lists", name="Theirs"),
        "label": new(stranger, "labels", name="Theirs"),
        "task": stranger.task()["id"],
    }
    other = "priority = 4 or "
    for text in ("list = Theirs", f"list = {theirs['list']}", f"list = {stranger.user_id}"):
        assert refusal(user, filter=other + text) == ("filter", "unknown_reference", 23)
    for text in ("label = theirs", f"label = {theirs['label']}", 'label = ""'):
        assert refusal(user, filter=other + text) == ("filter", "unknown_reference", 24)
    for task_id in (theirs["task"], NOBODYS):
        text = f"priority = 4 or parent = {task_id}"
        assert refusal(user, filter=text) == ("filter", "unknown_reference", 25)
    both = f"label in ({new(user, 'labels', name='Mine')}, nope)"
    assert refusal(user, filter=both) == ("filter", "unknown_reference", both.index("nope"))
    for name, value in (("label", theirs["label"]), ("parent_id", theirs["task"])):
        assert refusal(user, **{name: value}) == (name, "unknown_reference", None)
    for name in ("label_all", "label_none"):
        assert refusal(user, **{name: theirs["label"]})[0] == name
    query = {"filter": "priority = 4", "list_id": theirs["list"]}
    assert refusal(user, **query) == ("list_id", "unknown_reference", None)


def test_no_filter_finds_another_users_tasks(user: Api, stranger: Api) -> None:
    for person in (user, stranger):
        new(person, "lists", name="Work")
        label = new(person, "labels", name="urgent")
        person.task(title=person.email, label_ids=[label])
    text = "not completed or label = urgent or list = work or created < now+1d"
    assert titles(user, filter=text) == [user.email]
    assert titles(user, filter=f"not ({text})") == []


@pytest.mark.parametrize(
    ("query", "is_standing"),
    [
        ({"filter": "priority = 0"}, True),
        ({"filter": "not due < 2026-12-24", "timezone": "UTC"}, True),
        ({"filter": "not due < 2026-12-24"}, False),  # it depends on the account's time zone
        ({"updated_from": "2026-01-01T00:00:00Z"}, True),
        ({"priority": 0}, True),
        ({"filter": "not due < today"}, False),
        ({"filter": "created < now"}, False),
        ({"filter": "not overdue"}, False),
        ({"is_overdue": "false"}, False),
    ],
    ids=str,
)
def test_results_that_depend_on_the_current_time_have_no_etag(
    user: Api, query: dict[str, Any], is_standing: bool
) -> None:
    user.task()
    first = user.send("GET", "/tasks", query_string=query)
    assert len(first.get_json()["tasks"]) == 1
    assert ("ETag" in first.headers) == is_standing
    assert first.headers["Cache-Control"] == ("private, no-cache" if is_standing else "no-store")
    tag = user.send("GET", "/tasks").headers["ETag"]
    for known in (tag, "*"):
        again = user.send("GET", "/tasks", query_string=query, headers={"If-None-Match": known})
        assert again.status_code == (304 if is_standing else 200)


@pytest.mark.parametrize(
    ("timezone", "today", "overdue"),
    [
        ("UTC", "2026-12-24", ["23"]),
        ("America/New_York", "2026-12-24", ["23"]),
        ("Asia/Tokyo", "2026-12-25", ["23", "24"]),
        ("Pacific/Kiritimati", "2026-12-25", ["23", "24"]),
    ],
)
def test_today_is_the_day_in_the_time_zone_of_the_request(
    user: Api, monkeypatch: pytest.MonkeyPatch, timezone: str, today: str, overdue: list[str]
) -> None:
    late = datetime(2026, 12, 24, 23, 30, tzinfo=UTC)
    monkeypatch.setattr(service, "clock", lambda zone: terms.Clock(late, zone))
    for day in range(23, 27):
        user.task(title=str(day), due={"date": f"2026-12-{day}"})
    kept = user.filter(query="due = today")["id"]
    day = today[-2:]
    assert titles(user, filter="due = today", timezone=timezone) == [day]
    assert titles(user, filter="due > today+1d", timezone=timezone) == ["26"][: 26 - int(day) - 1]
    assert titles(user, filter_id=kept, timezone=timezone) == [day]
    assert titles(user, is_overdue="true", timezone=timezone) == overdue


@pytest.mark.parametrize(
    ("now", "moment", "day"),
    [
        ("2026-01-30", "today+1mo", "2026-02-28"),
        ("2026-01-30", "today+2mo", "2026-03-30"),
        ("2026-05-31", "today-1mo", "2026-04-30"),
        ("2026-01-31", "today+2mo", "2026-03-31"),
        ("2024-02-29", "today+1y", "2025-02-28"),
        ("2024-02-29", "today+4y", "2028-02-29"),
    ],
)
def test_adding_a_month_keeps_the_day_or_uses_the_last_of_the_month(
    user: Api, monkeypatch: pytest.MonkeyPatch, now: str, moment: str, day: str
) -> None:
    noon = datetime.fromisoformat(f"{now}T12:00:00Z")
    monkeypatch.setattr(service, "clock", lambda zone: terms.Clock(noon, zone))
    found = date.fromisoformat(day)
    for other in (found - timedelta(1), found, found + timedelta(1)):
        user.task(title=str(other), due={"date": str(other)})
    assert titles(user, filter=f"due = {moment}") == [day]


def test_the_longest_filter_can_be_saved_and_used(user: Api) -> None:
    user.task(title="a")
    query = "title = 'a'".ljust(2_000)
    kept = user.filter(query=query)
    assert kept["query"] == query
    assert titles(user, filter=query) == titles(user, filter_id=kept["id"]) == ["a"]


@pytest.mark.parametrize("edge", ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59Z"])
def test_the_first_and_the_last_instant_are_supported(user: Api, edge: str) -> None:
    wall = edge.removesuffix("Z")
    task = user.task(title="a", due={"datetime": wall, "timezone": "UTC"})
    assert task["due"]["at"] == edge
    assert titles(user, filter=f"due = {edge}") == ["a"]


def test_the_link_to_the_next_page_contains_the_filter(user: Api) -> None:
    for _ in range(3):
        user.task(priority=3)
    query = {"filter": "priority > 2 and title ~ 'a+b' or priority = 3", "limit": 2}
    first = user.send("GET", "/tasks", query_string=query)
    following = first.headers["Link"].partition(">")[0].lstrip("<")
    assert quote("priority > 2", safe="").replace("%20", "+") in following
    assert len(user.expect(200, "GET", following)["tasks"]) == 1


def test_statements_of_filters_are_not_prepared_and_their_cache_is_bounded(
    settings: Settings, contract: Contract
) -> None:
    assert settings.database_url
    with wire.tapped(settings.database_url) as line:
        changes = {"database_url": line.url, "database_prepare": True, "database_pool_size": 1}
        with world.worker(settings, **changes) as app:
            person = world.person(app, contract).registered()
            for number in range(1, 50):
                text = " or ".join(["priority = 1"] * number)
                for _ in range(2):  # sent with its text again, as it is not prepared
                    with line.watched() as traffic:
                        person.expect(200, "GET", "/tasks", query_string={"filter": text})
                    assert len(traffic.statements) == 1
    assert filtered_page.cache_info().currsize <= filtered_page.cache_info().maxsize


def test_few_conditions_search_in_texts(user: Api) -> None:
    user.task(title="a")
    most = f"{MOST_TEXTS} or title ~ c"
    assert titles(user, filter=most) == ["a"]
    query = {"filter": f"{most} or title ~ d"}
    problem = user.problem(400, "invalid_input", "GET", "/tasks", query_string=query)
    (error,) = problem["errors"]
    assert error == {
        "pointer": "filter",
        "message": "Must have at most 5 conditions with ~.",
        "code": "too_costly",
        "offset": len(most) + len(" or "),
    }
    query = {"filter": most, "text": "a"}
    problem = user.problem(400, "invalid_input", "GET", "/tasks", query_string=query)
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
        ("text", "too_costly")
    ]


def test_the_text_of_a_search_counts_towards_its_conditions(user: Api) -> None:
    query = {"text": "a", "filter": MOST_TEXTS}
    user.expect(200, "GET", "/search", query_string=query)
    query["filter"] += " or title ~ c"
    problem = user.problem(400, "invalid_input", "GET", "/search", query_string=query)
    assert [error["code"] for error in problem["errors"]] == ["too_costly"]


@pytest.mark.parametrize(
    "instant", ["2026-12-24T16:59:59.999999999Z", "2026-12-24t17:00:00z", "2026-12-24T18:00+01:00"]
)
def test_an_instant_may_have_each_form_of_rfc_3339(user: Api, instant: str) -> None:
    due = {"datetime": "2026-12-24T17:00:00", "timezone": "UTC"}
    task = user.task(due=due)
    for query in ({"due_from": instant}, {"filter": f"due >= {instant}"}):
        found = user.expect(200, "GET", "/tasks", query_string=query)["tasks"]
        assert [one["id"] for one in found] == [task["id"]]
