"""Rules of labels, and of tasks with labels."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, multiple, rule
from model.changes import Changes
from model.service import Service
from model.state import Account, Row, Session, folded, is_taken

NAMES = st.sampled_from(("Home", "home", "HOME", "Now", "now", "\u00e9", "\u00c9", "\U0001f331"))
COLORS = st.none() | st.sampled_from(("#000000", "#a1b2c3"))
CHANGES = st.fixed_dictionaries({}, optional={"name": NAMES, "color": COLORS})
NEW = CHANGES.flatmap(lambda rest: NAMES.map(lambda name: rest | {"name": name}))
SORTS = {
    "created_at": lambda label: label["id"],
    "name": lambda label: folded(label["name"]),
}


class LabelRules(Changes):
    """Operations on the user's labels and on those of others."""

    labels = Bundle("labels")
    """The IDs of all labels of both users, including deleted ones."""

    @rule(target=labels, session=Service.sessions, body=NEW)
    def add_label(self, session: Session, body: dict[str, Any]) -> int | MultipleResults[int]:
        account, sent = session.account, {"json": body}
        if self.is_refused(session, "POST", "/labels", **sent):
            return multiple()
        if is_taken(account.labels.values(), body["name"]):
            self.problem("label_exists", session, "POST", "/labels", **sent)
            return multiple()
        created = self.response(201, session, "POST", "/labels", **sent)
        assert created == created | {"color": None, "user_id": account.id} | body
        assert created["id"] > max(account.labels, default=0)
        account.write("label", created)
        return int(created["id"])

    @rule(session=Service.sessions, label_id=labels, body=CHANGES)
    def change_label(self, session: Session, label_id: int, body: dict[str, Any]) -> None:
        account, path, sent = session.account, f"/labels/{label_id}", {"json": body}
        if self.is_out_of_reach(session, "label", label_id, "update", "PATCH", path, **sent):
            return
        if "name" in body and is_taken(account.labels.values(), body["name"], but=label_id):
            self.problem("label_exists", session, "PATCH", path, **sent)
            return
        changed = self.response(200, session, "PATCH", path, **sent)
        before = account.labels[label_id]
        if not body:
            assert changed == before
            return
        moved = {name: changed[name] for name in ("version", "updated_at")}
        assert changed == before | body | moved
        account.write("label", changed)

    @rule(session=Service.sessions, label_id=labels)
    def delete_label(self, session: Session, label_id: int) -> None:
        path = f"/labels/{label_id}"
        if not self.is_out_of_reach(session, "label", label_id, "delete", "DELETE", path):
            self.response(204, session, "DELETE", path)
            self._ended(session, label_id, set())

    @rule(session=Service.sessions, label_id=labels, into=labels)
    def merge_label(self, session: Session, label_id: int, into: int) -> None:
        account, path = session.account, f"/labels/{label_id}/merge"
        sent = {"json": {"into": into}}
        if self.is_out_of_reach(session, "label", label_id, "merge", "POST", path, **sent):
            return
        if into == label_id or into not in account.labels:
            self.problem("invalid_input", session, "POST", path, **sent)
            return
        assert self.response(200, session, "POST", path, **sent) == account.labels[into]
        self._ended(session, label_id, {into})

    @rule(session=Service.sessions, label_ids=st.lists(labels, max_size=4, unique=True))
    def set_labels(self, session: Session, label_ids: list[int]) -> None:
        account = session.account
        task = next(iter(account.tasks.values()), {"id": 1})
        path, sent = f"/tasks/{task['id']}", {"json": {"label_ids": label_ids}}
        if self.is_refused(session, "PATCH", path, **sent) or not account.tasks:
            return
        if not set(label_ids) <= account.labels.keys():
            problem = self.problem("invalid_input", session, "PATCH", path, **sent)
            assert [error["pointer"] for error in problem["errors"]] == ["/label_ids"]
            return
        changed = self.response(200, session, "PATCH", path, **sent)
        self.record(account, task | {"label_ids": sorted(label_ids)}, changed)

    @rule(
        session=Service.sessions,
        label_id=labels,
        method=st.sampled_from(("PUT", "DELETE")),
        data=st.data(),
    )
    def add_or_remove_label(
        self, session: Session, label_id: int, method: str, data: st.DataObject
    ) -> None:
        account = session.account
        task_id = data.draw(st.sampled_from(sorted(account.tasks) or [1]))
        path = f"/tasks/{task_id}/labels/{label_id}"
        if self.is_refused(session, method, path) or not account.tasks:
            return
        if self.is_out_of_reach(session, "label", label_id, "access", method, path):
            return
        task = account.tasks[task_id]
        changed = self.response(200, session, method, path)
        has = set(task["label_ids"])
        after = has | {label_id} if method == "PUT" else has - {label_id}
        if after == has:
            assert changed == task
        else:
            self.record(account, task | {"label_ids": sorted(after)}, changed)

    @rule(
        session=Service.sessions,
        sort=st.sampled_from(sorted(SORTS)),
        is_descending=st.booleans(),
    )
    def list_labels(self, session: Session, sort: str, is_descending: bool) -> None:
        query = {"sort": f"{'-' if is_descending else ''}{sort}"}
        if self.is_refused(session, "GET", "/labels", query_string=query):
            return
        kept = session.account.labels.values()
        expected = sorted(kept, key=SORTS[sort], reverse=is_descending)
        page = self.response(200, session, "GET", "/labels", query_string=query)
        assert page == {"labels": expected, "total": len(expected), "next_cursor": None}

    def _ended(self, session: Session, label_id: int, instead: set[int]) -> None:
        """Record that a label was deleted, or replaced by another on its tasks."""
        account = session.account
        account.version += 1
        del account.labels[label_id]
        for task in list(account.tasks.values()):
            if label_id in task["label_ids"]:
                has = sorted({*task["label_ids"], *instead} - {label_id})
                account.leave(task, label_ids=has)
        self.see(session)

    def check(self, account: Account) -> None:
        """Check that the labels of an account match the model."""
        super().check(account)
        for session in account.live_sessions()[:1]:
            found: list[Row] = self.response(200, session, "GET", "/labels")["labels"]
            assert found == sorted(account.labels.values(), key=SORTS["name"])
