"""Rules of saved filters, and of the tasks that match them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, multiple, rule
from model.service import Service
from model.state import Account, Session, Task, is_taken

FINDS: dict[str, Callable[[Account, Task], bool]] = {
    "completed": lambda account, task: task["is_completed"],
    "not completed or title ~ 'A'": lambda account, task: (
        not task["is_completed"] or "a" in task["title"] or "A" in task["title"]
    ),
    "description is null": lambda account, task: task["description"] is None,
    "list = Inbox": lambda account, task: account.lists[task["list_id"]]["name"] == "Inbox",
    "list != work": lambda account, task: account.lists[task["list_id"]]["name"] != "Work",
    "label in (home, 'NOW')": lambda account, task: any(
        account.labels[label]["name"].lower() in ("home", "now") for label in task["label_ids"]
    ),
}
NAMED = {"list = Inbox": {"inbox"}, "list != work": {"work"}}
NO_FILTERS = ("", "completed =", "foo = 1", "priority = 7")
NAMES = st.sampled_from(("Home", "home", "\u00e9", "\u00c9", "\U0001f331"))
CHANGES = st.fixed_dictionaries(
    {}, optional={"name": NAMES, "query": st.sampled_from((*FINDS, *NO_FILTERS))}
)


class FilterRules(Service):
    """Operations on the user's saved filters and on those of others."""

    filters = Bundle("filters")
    """The IDs of all saved filters of both users, including deleted ones."""

    @rule(target=filters, session=Service.sessions, name=NAMES, query=st.sampled_from([*FINDS]))
    def create_filter(self, session: Session, name: str, query: str) -> int | MultipleResults[int]:
        sent = {"json": {"name": name, "query": query}}
        if self.is_refused(session, "POST", "/filters", **sent):
            return multiple()
        account = session.account
        if is_taken(account.rows("filter").values(), name):
            self.problem("filter_exists", session, "POST", "/filters", **sent)
            return multiple()
        created = self.response(201, session, "POST", "/filters", **sent)
        assert created == created | {"color": None, "user_id": account.id} | sent["json"]
        account.write("filter", created)
        return int(created["id"])

    @rule(session=Service.sessions, filter_id=filters, body=CHANGES)
    def change_filter(self, session: Session, filter_id: int, body: dict[str, Any]) -> None:
        account, path, sent = session.account, f"/filters/{filter_id}", {"json": body}
        if body.get("query") in NO_FILTERS:
            self.problem("invalid_input", session, "PATCH", path, **sent)
            return
        if self.is_out_of_reach(session, "filter", filter_id, "update", "PATCH", path, **sent):
            return
        kept = account.rows("filter").values()
        if "name" in body and is_taken(kept, body["name"], but=filter_id):
            self.problem("filter_exists", session, "PATCH", path, **sent)
            return
        changed, before = (
            self.response(200, session, "PATCH", path, **sent),
            account.rows("filter")[filter_id],
        )
        if not body:
            assert changed == before
            return
        moved = {name: changed[name] for name in ("version", "updated_at")}
        assert changed == before | body | moved
        account.write("filter", changed)

    @rule(session=Service.sessions, filter_id=filters)
    def delete_filter(self, session: Session, filter_id: int) -> None:
        path = f"/filters/{filter_id}"
        if not self.is_out_of_reach(session, "filter", filter_id, "delete", "DELETE", path):
            self.response(204, session, "DELETE", path)
            session.account.version += 1
            del session.account.rows("filter")[filter_id]

    @rule(session=Service.sessions, filter_id=filters)
    def find_tasks(self, session: Session, filter_id: int) -> None:
        account, sent = session.account, {"query_string": {"filter_id": filter_id}}
        if self.is_refused(session, "GET", "/tasks", **sent):
            return
        query = account.rows("filter").get(filter_id, {}).get("query")
        if query is None or not self._has_what_is_named(account, query):
            self.problem("invalid_input", session, "GET", "/tasks", **sent)
            return
        matching = [task for task in account.tasks.values() if FINDS[query](account, task)]
        found = self.response(200, session, "GET", "/tasks", **sent)["tasks"]
        assert found == sorted(matching, key=lambda task: -task["id"])

    @staticmethod
    def _has_what_is_named(account: Account, query: str) -> bool:
        lists = {created["name"].lower() for created in account.lists.values()}
        if query.startswith("label"):
            return {"home", "now"} <= {
                created["name"].lower() for created in account.labels.values()
            }
        return NAMED.get(query, set()) <= lists

    def check(self, account: Account) -> None:
        """Check that the saved filters of an account match the model."""
        super().check(account)
        for session in account.live_sessions()[:1]:
            found = self.response(200, session, "GET", "/filters")["filters"]
            assert found == sorted(
                account.rows("filter").values(), key=lambda created: created["id"]
            )
