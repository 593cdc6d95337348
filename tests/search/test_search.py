"""Search: matches, order and snippets, only among the caller's tasks."""

from __future__ import annotations

from typing import Any

import pytest
from support.api import Api

TEXTS = (
    ("Call the bank", None),
    ("Visit", "Ask at the bank about the standing order, and whether the bank has a form."),
    ("Banking software", "Try it."),
    ("Bänke streichen", "Ärger vermeiden: écrire à l'équipe"),
    ("well-known e-mail to anna@example.com", "see https://example.org/path?x=1"),
    ("O'Reilly \\ back'slash", "100% :* & | ! ( ) <-> 'quoted'"),
    ("🌱 pflanzen 日本語", "1234 -5 3.14"),
)


def _search(user: Api, text: str, **query: Any) -> dict[str, Any]:
    return dict(user.expect(200, "GET", "/search", query_string={"text": text, **query}))


def _titles(user: Api, text: str, **query: Any) -> list[str]:
    return [found["task"]["title"] for found in _search(user, text, **query)["results"]]


@pytest.fixture
def filled(user: Api) -> Api:
    for title, description in TEXTS:
        user.task(title=title, description=description)
    return user


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bank", {0, 1, 2, 3}),
        ("BANK", {0, 1, 2, 3}),
        ("bank call", {0}),
        ("bank ask", {1}),
        ("ban", {0, 1, 2, 3}),
        ("anking", set()),
        ("bank nothing", set()),
        ("Bänke", {3}),
        ("bän", {0, 1, 2, 3}),
        ("équipe", {3}),
        ("anna@example.com", {4}),
        ("known", {4}),
        ("example.org", {4}),
        ("O'Reilly", {5}),
        ("back'slash", {5}),
        ("quoted", {5}),
        ("日本語", {6}),
        ("1234", {6}),
        ("!!!", set()),
        ("' | bank:* & !", {0, 1, 2, 3}),
        ("\\", set()),
        ("a" * 200, set()),
    ],
)
def test_a_search_finds_all_words_and_prefixes(filled: Api, text: str, expected: set[int]) -> None:
    found = set(_titles(filled, text))
    assert found == {TEXTS[index][0] for index in expected}
    page = filled.expect(200, "GET", "/tasks", query_string={"text": text})
    assert {task["title"] for task in page["tasks"]} == found


def test_the_best_match_is_first_with_its_matches_marked(filled: Api) -> None:
    results = _search(filled, "bank")["results"]
    assert [found["task"]["title"] for found in results][-1] == "Visit", "not in its title"
    ranks = [found["rank"] for found in results]
    assert ranks == sorted(ranks, reverse=True)
    whole = {found["task"]["title"]: found for found in results}
    assert whole["Call the bank"]["title"] == [
        {"text": "Call the ", "is_match": False},
        {"text": "bank", "is_match": True},
    ]
    assert whole["Call the bank"]["snippet"] is None
    pieces = whole["Visit"]["snippet"]
    assert [piece["text"] for piece in pieces if piece["is_match"]] == ["bank", "bank"]
    task = filled.expect(200, "GET", f"/tasks/{results[0]['task']['id']}")
    assert results[0]["task"] == task


def test_a_long_description_is_shown_as_a_snippet(user: Api) -> None:
    words = " ".join(f"word{n}" for n in range(900))
    user.task(description=f"{words} needle {words[:900]}")
    (found,) = _search(user, "needle")["results"]
    text = "".join(piece["text"] for piece in found["snippet"])
    assert "needle" in text
    assert len(text) < 500


@pytest.mark.parametrize("length", [254, 255, 500, 501, 2_040, 2_047, 2_048, 10_000])
def test_a_very_long_word_is_accepted(user: Api, length: int) -> None:
    for letter in ("x", "\U00020000"):
        word = letter * length
        user.task(title=f"needle {letter * 200}", description=f"{word[:-7]} needle"[:10_000])
        user.task(description=word)
    assert len(_titles(user, "needle")) == 2


def test_a_change_updates_the_words(user: Api) -> None:
    task = user.task(title="Call the bank")
    user.expect(200, "PATCH", f"/tasks/{task['id']}", json={"title": "Call the dentist"})
    assert _titles(user, "bank") == []
    assert _titles(user, "dentist") == ["Call the dentist"]
    user.expect(204, "DELETE", f"/tasks/{task['id']}")
    assert _titles(user, "dentist") == []


def test_other_users_tasks_are_not_found(filled: Api, stranger: Api) -> None:
    mine = stranger.task(title="My bank")
    assert _titles(stranger, "bank") == ["My bank"]
    assert len(_titles(filled, "bank")) == 4
    # The workspace is part of each lexeme, and cannot be given in a search.
    for text in (f"{filled.user_id}:bank", f"{stranger.user_id}:my", "':bank", "'1':bank"):
        assert set(_titles(stranger, text)) <= {mine["title"]}


def test_results_are_paginated(user: Api) -> None:
    for n in range(23):
        user.task(title="bank " * (1 + n % 4), description="bank " * (n % 3))
    every = _search(user, "bank", limit=100)
    assert every["next_cursor"] is None
    found: list[Any] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = _search(user, "bank", **query)
        found += page["results"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == every["results"]
    assert len(found) == 23


def test_a_search_is_combined_with_other_conditions(user: Api) -> None:
    done = user.task(title="bank one", is_completed=True, priority=4)
    todo = user.task(title="bank two")
    assert _titles(user, "bank", is_completed="true") == [done["title"]]
    assert _titles(user, "bank", is_completed="false") == [todo["title"]]
    assert _titles(user, "bank", filter="priority >= 3") == [done["title"]]
    assert _titles(user, "bank", list_id=user.user_id) == [todo["title"], done["title"]]
    query = {"filter": 'text ~ "bank" and not completed'}
    page = user.expect(200, "GET", "/tasks", query_string=query)
    assert [task["title"] for task in page["tasks"]] == [todo["title"]]


def test_a_known_page_returns_304(filled: Api) -> None:
    query = {"text": "bank"}
    first = filled.send("GET", "/search", query_string=query)
    known = {"If-None-Match": first.headers["ETag"]}
    again = filled.send("GET", "/search", query_string=query, headers=known)
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": "a" * 201}, "text"),
        ({"text": "a\0b"}, "text"),
        ({"text": "a", "limit": 101}, "limit"),
        ({"text": "a", "sort": "title"}, "sort"),
        ({"text": "a", "cursor": "x"}, "cursor"),
        ({"text": "a", "list_id": 2**53 - 1}, "list_id"),
    ],
    ids=str,
)
def test_an_invalid_search_returns_400(user: Api, query: dict[str, Any], pointer: str) -> None:
    problem = user.problem(400, "invalid_input", "GET", "/search", query_string=query)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
