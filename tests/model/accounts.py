"""Rules of accounts and sessions."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, multiple, rule
from model.service import Service, rarely
from model.state import Account, Session
from support.api import PASSWORD

PASSWORDS = st.sampled_from((PASSWORD, "staple 42 times", "\u5bc6\u7801\U0001f511" * 9))
TEXTS = ("title", "description")
GRACE = 10
"""The seconds in which a used refresh token returns the current one of its session."""

MARGIN = 3


NEW_PROFILE = {
    "name": None,
    "timezone": None,
    "locale": None,
    "week_start": None,
    "notices": True,
    "second_factor": {"is_enabled": False, "recovery_codes_left": 0},
}
"""Of an account that has changed nothing."""


class AccountRules(Service):
    """Operations on the user's own account and on others."""

    def _of(self, person: int) -> Account:
        """The current account of one of the two users, or the last one."""
        email = self.accounts[person].email
        return next(one for one in reversed(self.accounts) if one.email == email)

    @rule(target=Service.sessions, person=Service.people)
    def register(self, person: int) -> Session | MultipleResults[Session]:
        account = self._of(person)
        if account.is_deleted:
            return self.registered(account.email)
        body = {"email": account.email.upper(), "password": PASSWORD}
        self.problem("email_taken", None, "POST", "/auth/register", json=body)
        return multiple()

    @rule(target=Service.sessions, person=Service.people, password=PASSWORDS)
    def log_in(self, person: int, password: str) -> Session | MultipleResults[Session]:
        account = self._of(person)
        body = {"email": account.email, "password": password}
        if account.is_deleted or password != account.password:
            self.problem("invalid_credentials", None, "POST", "/auth/login", json=body)
            return multiple()
        return self.opened(account, self.response(200, None, "POST", "/auth/login", json=body))

    @rarely
    @rule(session=Service.sessions)
    def log_out(self, session: Session) -> None:
        said = self.response(200, session, "POST", "/auth/logout")
        assert said == {"message": "Logged out"}
        session.is_live = False

    @rule(session=Service.sessions)
    def get_account(self, session: Session) -> None:
        if not self.is_refused(session, "GET", "/auth/me"):
            account = session.account
            me = self.response(200, session, "GET", "/auth/me")
            used = {name: quota["used"] for name, quota in me.pop("quotas").items()}
            assert me == {**account.user, **NEW_PROFILE}
            texts = [task[name] or "" for task in account.tasks.values() for name in TEXTS]
            texts += [comment["text"] for comment in account.rows("comment").values()]
            assert used == {
                "tasks": len(account.tasks),
                "lists": len(account.lists),
                "labels": len(account.labels),
                "filters": len(account.rows("filter")),
                "occurrences": sum(map(len, account.histories.values())),
                "comments": len(account.rows("comment")),
                "text_bytes": sum(len(text.encode()) for text in texts),
            }

    @rule(session=Service.sessions)
    def refresh(self, session: Session) -> None:
        body = {"refresh_token": session.refresh_tokens[-1]}
        if not session.is_live:
            self._not_refreshed(session, body)
            return
        login = self._refreshed(session, body)
        assert login["refresh_token"] not in session.refresh_tokens
        session.refresh_tokens.append(login["refresh_token"])
        session.refreshes.append(time.monotonic())

    @rarely
    @rule(session=Service.sessions, generation=st.integers(2, 4))
    def refresh_again(self, session: Session, generation: int) -> None:
        """Refresh with a used token, which is valid for a moment after its use."""
        if len(session.refresh_tokens) < generation:
            return
        age = time.monotonic() - session.refreshes[1 - generation]
        if abs(age - GRACE) < MARGIN:
            return
        body = {"refresh_token": session.refresh_tokens[-generation]}
        if session.is_live and age < GRACE:
            assert self._refreshed(session, body)["refresh_token"] == session.refresh_tokens[-1]
        else:
            self._not_refreshed(session, body)
            session.is_live = False

    def _not_refreshed(self, session: Session, body: dict[str, Any]) -> None:
        # Nothing is left of a deleted account that a refresh token could be compared with.
        code = "token_invalid" if session.account.is_deleted else "session_ended"
        self.problem(code, None, "POST", "/auth/refresh", json=body)

    def _refreshed(self, session: Session, body: dict[str, Any]) -> dict[str, Any]:
        login = self.response(200, None, "POST", "/auth/refresh", json=body)
        assert login["user"] == session.account.user
        session.access_token = login["access_token"]
        return dict(login)

    @rule(session=Service.sessions, limit=st.integers(1, 3))
    def list_sessions(self, session: Session, limit: int) -> None:
        path = "/auth/sessions"
        if self.is_refused(session, "GET", path):
            return
        live = session.account.live_sessions()
        listed = []
        for page in self.pages(session, path, limit=limit):
            assert page["total"] == len(live)
            assert 0 < len(page["sessions"]) <= limit
            listed += [(one["id"], one["is_current"]) for one in page["sessions"]]
        assert listed == [(one.id, one is session) for one in live]

    @rarely
    @rule(session=Service.sessions, other=Service.sessions)
    def end_session(self, session: Session, other: Session) -> None:
        path = f"/auth/sessions/{other.id}"
        if self.is_refused(session, "DELETE", path):
            return
        if other.account is session.account and other.is_live:
            self.response(204, session, "DELETE", path)
            other.is_live = False
        else:
            self.problem("not_found", session, "DELETE", path)

    @rarely
    @rule(session=Service.sessions)
    def end_other_sessions(self, session: Session) -> None:
        if not self.is_refused(session, "DELETE", "/auth/sessions"):
            ended = session.account.end_sessions(but=session)
            assert self.response(200, session, "DELETE", "/auth/sessions") == {"ended": ended}

    @rule(session=Service.sessions, current=PASSWORDS, new=PASSWORDS)
    def change_password(self, session: Session, current: str, new: str) -> None:
        sent = {"json": {"current_password": current, "new_password": new}}
        if self.is_refused(session, "POST", "/auth/password", **sent):
            return
        if current != session.account.password:
            problem = self.problem("wrong_password", session, "POST", "/auth/password", **sent)
            assert problem["errors"][0]["pointer"] == "/current_password"
            return
        self.response(200, session, "POST", "/auth/password", **sent)
        session.account.password = new
        session.account.end_sessions(but=session)

    @rarely
    @rule(session=Service.sessions, password=PASSWORDS)
    def delete_account(self, session: Session, password: str) -> None:
        sent = {"json": {"password": password}}
        if self.is_refused(session, "POST", "/auth/delete", **sent):
            return
        if password != session.account.password:
            self.problem("wrong_password", session, "POST", "/auth/delete", **sent)
            return
        self.response(204, session, "POST", "/auth/delete", **sent)
        session.account.delete()
