"""Search finds the same tasks in databases of any locale, and shows their texts as they are."""

# ruff: noqa: RUF001 - letters of many scripts look alike

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import databases, world
from support.api import Api
from support.contract import Contract

LOCALES = {"ascii": "C", "unicode": "C.UTF-8"}
"""In the first one, PostgreSQL knows the case and the class of ASCII letters only."""


@pytest.fixture(scope="module", params=LOCALES)
def person(
    server_url: str, worker_id: str, request: pytest.FixtureRequest, contract: Contract
) -> Iterator[Api]:
    """A user in a new database of one of the locales."""
    name = f"search_{request.param}_{worker_id}"
    url = databases.create(server_url, name, locale=LOCALES[request.param])
    databases.migrate(url)
    with world.worker(databases.settings_for(url)) as app:
        yield world.person(app, contract).registered()


def _search(user: Api, text: str) -> list[dict[str, Any]]:
    found = user.expect(200, "GET", "/search", query_string={"text": text})
    return list(found["results"])


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Read “War and Peace”", "war"),
        ("Read “War and Peace”", "peace"),
        ("Mo–Fr", "fr"),
        ("Mo–Fr", "mo"),
        ("€50", "50"),
        ("✅done", "done"),
        ("✅done", "✅"),
        ("follow-up", "follow up"),
        ("follow up", "follow-up"),
        ("report.pdf", "pdf"),
        ("report.pdf", "report.pdf"),
        ("DS-7604NI-E1", "DS-7604"),
        ("DS-7604NI-E1", "ds-7604ni-e1"),
        ("Vec<String>", "String"),
        ("-5", "5"),
        ("-5", "-5"),
        ("INBOX", "inbox"),
        ("inbox", "INBOX"),
        ("İSTANBUL", "istanbul"),
        ("Straße", "STRASSE"),
        ("ÉCOLE", "ecole"),
        ("Москва", "МОСКВА"),
        ("会議の資料を準備する", "資料"),
        ("ประชุมวันจันทร์", "วันจันทร์"),
    ],
)
def test_a_word_is_found_without_its_punctuation_and_in_any_case(
    person: Api, title: str, text: str
) -> None:
    in_title = person.task(title=title)["id"]
    in_description = person.task(description=title)["id"]
    other = person.task(title="Water the plants")["id"]
    found = {result["task"]["id"] for result in _search(person, text)}
    assert {in_title, in_description} <= found
    assert other not in found


@pytest.mark.parametrize(
    ("unit", "text"),
    [("x", "xxx"), ("0123456789abcdef", "0123456789"), ("漢字", "漢字漢"), ("เ", "เเ")],
)
def test_a_long_description_without_a_space_is_found(person: Api, unit: str, text: str) -> None:
    description = (unit * 10_000)[:10_000]
    task = person.task(title="Long", description=description)
    (found,) = [r for r in _search(person, text) if r["task"]["id"] == task["id"]]
    pieces = found["snippet"]
    assert any(piece["is_match"] for piece in pieces)
    assert "".join(piece["text"] for piece in pieces) in description


@pytest.mark.parametrize(
    "description",
    [
        "<b>Bank</b> & <script>alert(1)</script> &amp; a",
        "Ask the bank if it is so, or do it as I do",
        "  bank\n\n- [ ] a\n- [x] to be\t…",
    ],
)
def test_a_snippet_is_the_text_as_it_is(person: Api, description: str) -> None:
    task = person.task(title="<i>Bank</i> of A", description=description)
    (found,) = [r for r in _search(person, "bank") if r["task"]["id"] == task["id"]]
    assert "".join(piece["text"] for piece in found["title"]) == "<i>Bank</i> of A"
    assert "".join(piece["text"] for piece in found["snippet"]) == description
