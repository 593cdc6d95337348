"""Rules of lists, and of tasks in them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, multiple, rule
from model.changes import Changes
from model.service import Service
from model.state import Account, Session, ascii_lower

NAMES = st.sampled_from(("Home", "home", "Work", "\u00e9", "\U0001f331"))
COLORS = st.none() | st.sampled_from(("#000000", "#a1b2c3"))
CHANGES = st.fixed_dictionaries(
    {}, optional={"name": NAMES, "color": COLORS, "is_archived": st.booleans()}
)
NEW = CHANGES.flatmap(lambda rest: NAMES.map(lambda name: rest | {"name": name}))
FATES = st.none() | st.sampled_from(("move", "delete"))
SORTS = {
    "created_at": lambda made: made["id"],
    "name": lambda made: (ascii_lower(made["name"]), made["id"]),
    "position": lambda made: (made["position"], made["id"]),
}


class ListRules(Changes):
    """Rules of lists and their tasks, with requests of other users."""

    lists = Bundle("lists")
    """The ids of all lists that there ever were, inboxes aside, of both people."""

    @rule(target=lists, session=Service.sessions, body=NEW)
    def add_list(self, session: Session, body: dict[str, Any]) -> int | MultipleResults[int]:
        if self.is_refused(session, "POST", "/lists", json=body):
            return multiple()
        account = session.account
        made = self.answer(201, session, "POST", "/lists", json=body)
        expected = {"color": None, "is_archived": False, "is_inbox": False, "user_id": account.id}
        assert made == made | expected | body
        assert made["id"] > max(account.lists)
        account.write("list", made)
        return int(made["id"])

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
        changed = self.answer(200, session, "PATCH", path, **sent)
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
        order = _manually(account)
        order.remove(list_id)
        if where == "behind" and after not in order:
            self.problem("invalid_input", session, "POST", path, **sent)
            return
        moved = self.answer(200, session, "POST", path, **sent)
        index = {"first": 0, "last": len(order)}.get(where)
        order.insert(order.index(after) + 1 if index is None else index, list_id)
        query = {"query_string": {"sort": "position"}}
        found = self.answer(200, session, "GET", "/lists", **query)["lists"]
        assert [made["id"] for made in found] == order
        self._made_room(account, found[order.index(list_id) + 1 :])
        assert moved == account.lists[list_id] | _written(moved)
        account.write("list", moved)

    @staticmethod
    def _made_room(account: Account, behind: list[dict[str, Any]]) -> None:
        """Check which lists behind a position have new positions: the nearest ones, or none."""
        shifted = [made for made in behind if made != account.lists[made["id"]]]
        assert shifted == behind[: len(shifted)]
        account.version += bool(shifted)
        for made in shifted:
            assert made == account.lists[made["id"]] | _written(made)
            assert made["version"] == account.version
            account.lists[made["id"]] = made

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
        self.answer(204, session, "DELETE", path, **sent)
        account.version += 1
        del account.lists[list_id]
        if tasks == "delete":
            account.remove(inside)
        for task in inside if tasks == "move" else ():
            account.leave(task, list_id=account.id)
        self.see(session)

    @rule(session=Service.sessions, list_id=lists, inbox=st.booleans(), data=st.data())
    def put_a_task_into_a_list(
        self, session: Session, list_id: int, inbox: bool, data: st.DataObject
    ) -> None:
        account = session.account
        list_id = account.id if inbox else list_id
        if not account.tasks:
            return
        task_id = data.draw(st.sampled_from(sorted(account.tasks)))
        self.change_task(session, task_id, {"list_id": list_id})

    @rule(session=Service.sessions, list_id=lists, inbox=st.booleans())
    def list_the_tasks_of_a_list(self, session: Session, list_id: int, inbox: bool) -> None:
        account = session.account
        list_id = account.id if inbox else list_id
        sent = {"query_string": {"list_id": list_id}}
        if self.is_refused(session, "GET", "/tasks", **sent):
            return
        if list_id not in account.lists:
            self.problem("invalid_input", session, "GET", "/tasks", **sent)
            return
        inside = account.inside(list_id)
        found = self.answer(200, session, "GET", "/tasks", **sent)["tasks"]
        assert found == sorted(inside, key=lambda task: -task["id"])

    @rule(
        session=Service.sessions,
        sort=st.sampled_from(sorted(SORTS)),
        is_descending=st.booleans(),
        is_archived=st.none() | st.booleans(),
    )
    def list_the_lists(
        self, session: Session, sort: str, is_descending: bool, is_archived: bool | None
    ) -> None:
        query = {"sort": f"{'-' if is_descending else ''}{sort}"}
        query |= {} if is_archived is None else {"is_archived": str(is_archived).lower()}
        if self.is_refused(session, "GET", "/lists", query_string=query):
            return
        kept = session.account.lists.values()
        matching = [made for made in kept if is_archived in (None, made["is_archived"])]
        expected = sorted(matching, key=SORTS[sort], reverse=is_descending)
        page = self.answer(200, session, "GET", "/lists", query_string=query)
        assert page == {"lists": expected, "total": len(expected), "next_cursor": None}

    def check(self, account: Account) -> None:
        """Check that an account with an active session has the lists of the model."""
        super().check(account)
        for session in account.live_sessions()[:1]:
            found = self.answer(200, session, "GET", "/lists")["lists"]
            assert found == sorted(account.lists.values(), key=lambda made: made["id"])


def _manually(account: Account) -> list[int]:
    """The ids of an account's lists in the order of their positions."""
    return [made["id"] for made in sorted(account.lists.values(), key=SORTS["position"])]


def _written(made: dict[str, Any]) -> dict[str, Any]:
    """The fields of a list that a move changes."""
    return {name: made[name] for name in ("position", "version", "updated_at")}
