"""Rules of lists, and of tasks in lists."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, multiple, rule
from model.changes import Changes
from model.service import Service
from model.state import Account, Session, folded, is_taken

NAMES = st.sampled_from(("Home", "home", "INBOX", "Work", "\u00e9", "\u00c9", "\U0001f331"))
COLORS = st.none() | st.sampled_from(("#000000", "#a1b2c3"))
CHANGES = st.fixed_dictionaries(
    {}, optional={"name": NAMES, "color": COLORS, "is_archived": st.booleans()}
)
NEW = CHANGES.flatmap(lambda rest: NAMES.map(lambda name: rest | {"name": name}))
FATES = st.none() | st.sampled_from(("move", "delete"))
SORTS = {
    "created_at": lambda created: created["id"],
    "name": lambda created: folded(created["name"]),
    "position": lambda created: (created["position"], created["id"]),
}


class ListRules(Changes):
    """Operations on the user's lists and on those of others."""

    lists = Bundle("lists")
    """The IDs of all lists of both users except inboxes, including deleted ones."""

    @rule(target=lists, session=Service.sessions, body=NEW)
    def add_list(self, session: Session, body: dict[str, Any]) -> int | MultipleResults[int]:
        if self.is_refused(session, "POST", "/lists", json=body):
            return multiple()
        account = session.account
        if is_taken(account.lists.values(), body["name"]):
            self.problem("list_exists", session, "POST", "/lists", json=body)
            return multiple()
        created = self.response(201, session, "POST", "/lists", json=body)
        expected = {"color": None, "is_archived": False, "is_inbox": False, "user_id": account.id}
        assert created == created | expected | body
        assert created["id"] > max(account.lists)
        account.write("list", created)
        return int(created["id"])

    @rule(session=Service.sessions, list_id=lists, body=CHANGES, inbox=st.booleans())
    def change_list(
        self, session: Session, list_id: int, body: dict[str, Any], inbox: bool
    ) -> None:
        account = session.account
        list_id = account.id if inbox else list_id
        path, sent = f"/lists/{list_id}", {"json": body}
        if self.is_out_of_reach(session, "list", list_id, "update", "PATCH", path, **sent):
            return
        if inbox and body.get("is_archived"):
            self.problem("inbox_stays", session, "PATCH", path, **sent)
            return
        if "name" in body and is_taken(account.lists.values(), body["name"], but=list_id):
            self.problem("list_exists", session, "PATCH", path, **sent)
            return
        changed = self.response(200, session, "PATCH", path, **sent)
        before = account.lists[list_id]
        if not body:
            assert changed == before
            return
        moved = {name: changed[name] for name in ("version", "updated_at")}
        assert changed == before | body | moved
        account.write("list", changed)

    @rule(
        session=Service.sessions,
        list_id=lists,
        inbox=st.booleans(),
        after=lists,
        where=st.sampled_from(("first", "behind", "last")),
    )
    def move_list(
        self, session: Session, list_id: int, inbox: bool, after: int, where: str
    ) -> None:
        account = session.account
        list_id = account.id if inbox else list_id
        body = {"first": {"after": None}, "behind": {"after": after}, "last": {}}[where]
        path, sent = f"/lists/{list_id}/move", {"json": body}
        if self.is_out_of_reach(session, "list", list_id, "update", "POST", path, **sent):
            return
        order = _by_hand(account)
        order.remove(list_id)
        if where == "behind" and after not in order:
            self.problem("invalid_input", session, "POST", path, **sent)
            return
        moved = self.response(200, session, "POST", path, **sent)
        index = {"first": 0, "last": len(order)}.get(where)
        order.insert(order.index(after) + 1 if index is None else index, list_id)
        query = {"query_string": {"sort": "position"}}
        found = self._listed(session, **query["query_string"])
        assert [created["id"] for created in found] == order
        self._made_room(account, found[order.index(list_id) + 1 :])
        assert moved == account.lists[list_id] | _written(moved)
        account.write("list", moved)

    @staticmethod
    def _made_room(account: Account, behind: list[dict[str, Any]]) -> None:
        """Check that either no list after a position was moved, or the nearest ones."""
        shifted = [created for created in behind if created != account.lists[created["id"]]]
        assert shifted == behind[: len(shifted)]
        account.version += bool(shifted)
        for created in shifted:
            assert created == account.lists[created["id"]] | _written(created)
            assert created["version"] == account.version
            account.lists[created["id"]] = created

    @rule(session=Service.sessions, list_id=lists, tasks=FATES)
    def delete_list(self, session: Session, list_id: int, tasks: str | None) -> None:
        account, path = session.account, f"/lists/{list_id}"
        sent = {"query_string": {"tasks": tasks} if tasks else {}}
        if self.is_out_of_reach(session, "list", list_id, "delete", "DELETE", path, **sent):
            return
        inside = account.inside(list_id)
        if inside and tasks is None:
            self.problem("list_not_empty", session, "DELETE", path, **sent)
            return
        self.response(204, session, "DELETE", path, **sent)
        account.version += 1
        del account.lists[list_id]
        if tasks == "delete":
            account.remove(inside)
        for task in inside if tasks == "move" else ():
            account.leave(task, list_id=account.id)
        self.see(session)

    @rule(session=Service.sessions, list_id=lists, inbox=st.booleans(), data=st.data())
    def move_task_to_list(
        self, session: Session, list_id: int, inbox: bool, data: st.DataObject
    ) -> None:
        account = session.account
        list_id = account.id if inbox else list_id
        if not account.tasks:
            return
        task_id = data.draw(st.sampled_from(sorted(account.tasks)))
        self.change_task(session, task_id, {"list_id": list_id})

    @rule(session=Service.sessions, list_id=lists, inbox=st.booleans())
    def list_tasks_of_list(self, session: Session, list_id: int, inbox: bool) -> None:
        account = session.account
        list_id = account.id if inbox else list_id
        sent = {"query_string": {"list_id": list_id}}
        if self.is_refused(session, "GET", "/tasks", **sent):
            return
        if list_id not in account.lists:
            self.problem("invalid_input", session, "GET", "/tasks", **sent)
            return
        inside = account.inside(list_id)
        found = self.response(200, session, "GET", "/tasks", **sent)["tasks"]
        assert found == sorted(inside, key=lambda task: -task["id"])

    @rule(
        session=Service.sessions,
        sort=st.sampled_from(sorted(SORTS)),
        is_descending=st.booleans(),
        is_archived=st.none() | st.booleans(),
    )
    def list_lists(
        self, session: Session, sort: str, is_descending: bool, is_archived: bool | None
    ) -> None:
        query = {"sort": f"{'-' if is_descending else ''}{sort}"}
        query |= {} if is_archived is None else {"is_archived": str(is_archived).lower()}
        if self.is_refused(session, "GET", "/lists", query_string=query):
            return
        stored = session.account.lists.values()
        matching = [created for created in stored if is_archived in (None, created["is_archived"])]
        expected = sorted(matching, key=SORTS[sort], reverse=is_descending)
        assert self._listed(session, **query) == expected

    def _listed(self, session: Session, **query: str) -> list[dict[str, Any]]:
        """The lists of a page without their counts, which must be right."""
        page = self.response(200, session, "GET", "/lists", query_string=query)
        assert (page["total"], page["next_cursor"]) == (len(page["lists"]), None)
        for found in page["lists"]:
            inside = [task["is_completed"] for task in session.account.inside(found["id"])]
            assert found.pop("open_count") == inside.count(False)
            assert found.pop("completed_count") == inside.count(True)
        return list(page["lists"])

    def check(self, account: Account) -> None:
        """Check that the lists of an account match the model."""
        super().check(account)
        for session in account.live_sessions()[:1]:
            found = self._listed(session)
            assert found == sorted(account.lists.values(), key=lambda created: created["id"])


def _by_hand(account: Account) -> list[int]:
    """The IDs of an account's lists in the manual order."""
    return [created["id"] for created in sorted(account.lists.values(), key=SORTS["position"])]


def _written(created: dict[str, Any]) -> dict[str, Any]:
    """The fields that a move of a list changes."""
    return {name: created[name] for name in ("position", "version", "updated_at")}
