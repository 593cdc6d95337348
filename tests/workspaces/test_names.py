"""Names of lists, labels and saved filters: unique and compared without case, in any locale."""

# ruff: noqa: RUF001 - letters of many scripts look alike

from __future__ import annotations

from typing import Any, NamedTuple
from unicodedata import normalize

import pytest
from support.api import Api


class Kind(NamedTuple):
    """A resource with unique names."""

    path: str
    noun: str
    more: dict[str, str]

    def create(self, api: Api, name: str) -> dict[str, Any]:
        return dict(api.expect(201, "POST", self.path, json={"name": name, **self.more}))

    def taken(self, api: Api, method: str, path: str, name: str, **sent: Any) -> dict[str, Any]:
        """The row in the problem for a name that another row has."""
        body = {"name": name, **self.more}
        problem = api.problem(409, f"{self.noun}_exists", method, path, json=body, **sent)
        assert problem["detail"] == f"Another {self.noun} has the name {name.strip()}."
        return dict(problem[self.noun])


KINDS = (
    Kind("/lists", "list", {}),
    Kind("/labels", "label", {}),
    Kind("/filters", "filter", {"query": "completed"}),
)

EQUAL = (
    ("Urgent", "URGENT"),
    ("plain", " plain\n"),
    ("Ärger", "äRGER"),
    ("École", normalize("NFD", "école")),
    ("Straße", "STRASSE"),
    ("Москва", "москва"),
    ("ΟΔΟΣ", "οδός".replace("ό", "ο")),
    ("ᾳ", "ΑΙ"),
    ("ﬁle", "FILE"),
    ("İzmir", "i\u0307ZMIR"),
)
DIFFERENT = (("resume", "résumé"), ("isik", "ısık"), ("a b", "a  b"), ("が", "か"), ("①", "1"))


@pytest.fixture(params=KINDS, ids=lambda kind: kind.path)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.mark.parametrize(("name", "other"), EQUAL, ids=ascii)
def test_a_taken_name_returns_409_with_the_row_that_has_it(
    anywhere: Api, kind: Kind, name: str, other: str
) -> None:
    row = kind.create(anywhere, name)
    second = kind.create(anywhere, f"Not {name}")
    path = f"{kind.path}/{second['id']}"
    keyed = {"headers": {"Idempotency-Key": f"{kind.noun}-{row['id']}"}}
    assert kind.taken(anywhere, "POST", kind.path, other) == row
    assert kind.taken(anywhere, "POST", kind.path, other, **keyed) == row
    assert kind.taken(anywhere, "PUT", path, other) == row
    assert kind.taken(anywhere, "PATCH", path, other) == row
    assert anywhere.expect(200, "GET", path) == second
    renamed = anywhere.expect(200, "PATCH", f"{kind.path}/{row['id']}", json={"name": other})
    assert renamed["name"] == other.strip()
    kind.create(anywhere, f"Also {name}")


@pytest.mark.parametrize(("name", "other"), DIFFERENT, ids=ascii)
def test_other_names_are_different(anywhere: Api, kind: Kind, name: str, other: str) -> None:
    assert kind.create(anywhere, name)["name"] == name
    assert kind.create(anywhere, other)["name"] == other


@pytest.mark.parametrize(("name", "other"), EQUAL, ids=ascii)
@pytest.mark.parametrize("noun", ["list", "label"])
def test_filters_compare_names_in_the_same_way(
    anywhere: Api, noun: str, name: str, other: str
) -> None:
    row = anywhere.expect(201, "POST", f"/{noun}s", json={"name": f"Filtered {name}"})
    given = {"list_id": row["id"]} if noun == "list" else {"label_ids": [row["id"]]}
    task = anywhere.task(**given)
    query = {"filter": f'{noun} = "FILTERED {other.strip()}"'}
    assert anywhere.expect(200, "GET", "/tasks", query_string=query)["tasks"] == [task]


def test_rows_are_sorted_without_case(user: Api, kind: Kind) -> None:
    for name in ("b", "Ä", "A", "é", "É a", "ä b", "C"):
        kind.create(user, name)
    page = user.expect(200, "GET", kind.path, query_string={"sort": "name"})
    found = [row["name"] for row in page[f"{kind.noun}s"] if row["name"] != "Inbox"]
    assert found == ["A", "b", "C", "Ä", "ä b", "é", "É a"]
    query = {"sort": "name", "limit": 2}
    paged = [row for page in user.pages(kind.path, **query) for row in page[f"{kind.noun}s"]]
    assert [row["name"] for row in paged if row["name"] != "Inbox"] == found


def test_the_inbox_has_a_name_too(user: Api) -> None:
    inbox = user.expect(200, "GET", f"/lists/{user.user_id}")
    assert KINDS[0].taken(user, "POST", "/lists", "inbox") == inbox


def test_other_users_may_have_the_name(user: Api, stranger: Api, kind: Kind) -> None:
    assert kind.create(user, "Mine")["name"] == kind.create(stranger, "mine")["name"].title()


def test_the_longest_names_have_distinct_keys(user: Api, kind: Kind) -> None:
    # In NFC, each of these letters has three characters of four bytes.
    name = "".join(chr(0x1D160 + n * n % 5) for n in range(254))
    row = kind.create(user, f"{name}a")
    kind.create(user, f"{name}b")
    assert kind.taken(user, "POST", kind.path, f"{name}A") == row
