"""The base of all rules: two users, who send requests with their sessions.

The rules of a feature are a subclass of `Service` in a separate module, where `test_model` finds
it. A rule sends a request and compares the response with the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
)
from model.state import Account, Session
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.pages import pages
from werkzeug.test import TestResponse

rarely = precondition(lambda self: self.request_count % 5 == 0)
"""For rules that end sessions or accounts. Otherwise most sequences would end early."""


class Service(RuleBasedStateMachine):
    """The running application, and the model of its state."""

    sessions = Bundle("sessions")
    """All sessions, including ended ones, which must be rejected."""

    tasks = st.runner().flatmap(lambda self: st.sampled_from(self.task_ids or [2**53 - 1]))
    """The IDs of all tasks of both users, including deleted ones."""

    people = st.sampled_from((0, 1))

    request_count = 0
    """The number of requests."""

    def __init__(self, app: Flask, contract: Contract) -> None:
        super().__init__()
        self._client = app.test_client()
        self._contract = contract
        self.accounts: list[Account] = []
        self.task_ids: list[int] = []

    @initialize(target=sessions)
    def two_people(self) -> MultipleResults[Session]:
        return multiple(*(self.registered(new_email()) for _ in range(2)))

    def registered(self, email: str) -> Session:
        """The first session of a new account."""
        body = {"email": email, "password": PASSWORD}
        login = self.response(201, None, "POST", "/auth/register", json=body)
        account = Account(email, PASSWORD, login["user"])
        self.accounts.append(account)
        session = self.opened(account, login)
        inbox = self.response(200, session, "GET", f"/lists/{account.id}")
        assert (inbox["id"], inbox["is_inbox"], inbox["version"]) == (account.id, True, 0)
        account.lists[account.id] = inbox
        return session

    def opened(self, account: Account, login: dict[str, Any]) -> Session:
        """The session of a login, found with its token."""
        assert login["user"] == account.user
        assert login["token_type"] == "bearer"
        session = Session(account, 0, login["access_token"], [login["refresh_token"]])
        account.sessions.append(session)
        listed = self.response(200, session, "GET", "/auth/sessions")["sessions"]
        session.id = next(one["id"] for one in listed if one["is_current"])
        assert session.id not in {one.id for one in account.sessions if one is not session}
        return session

    def check(self, account: Account) -> None:
        """Check that the account of a live session matches the model. Features extend this method.

        It is called at the end of each sequence.
        """

    def teardown(self) -> None:
        for account in self.accounts:
            self.check(account)

    def ask(self, session: Session | None, method: str, path: str, **kwargs: Any) -> TestResponse:
        """The response to a request, which must match the document."""
        self.request_count += 1
        api = Api(self._client, self._contract)
        api.login = {"access_token": session.access_token} if session else {}
        return api.send(method, path, **kwargs)

    def response(
        self, status: int, session: Session | None, method: str, path: str, **kwargs: Any
    ) -> Any:
        """The body of a response that must have this status."""
        response = self.ask(session, method, path, **kwargs)
        assert response.status_code == status, response.get_data(as_text=True)
        return response.get_json() if response.data else None

    def pages(self, session: Session, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Each page of a list."""
        return pages(
            lambda sent: self.response(200, session, "GET", path, query_string=sent), **query
        )

    def problem(
        self, code: str, session: Session | None, method: str, path: str, **kwargs: Any
    ) -> dict[str, Any]:
        """The body of an error that must have this code."""
        response = self.ask(session, method, path, **kwargs)
        assert response.mimetype == "application/problem+json", response.get_data(as_text=True)
        problem = response.get_json()
        assert problem["code"] == code, problem
        assert problem["status"] == response.status_code
        return dict(problem)

    def invalid(
        self, pointer: str, session: Session | None, method: str, path: str, **kwargs: Any
    ) -> None:
        """Check that a request returns 400 for the field at this pointer."""
        problem = self.problem("invalid_input", session, method, path, **kwargs)
        assert [error["pointer"] for error in problem["errors"]] == [pointer]

    def is_refused(self, session: Session, method: str, path: str, **kwargs: Any) -> bool:
        """Whether a session has ended. If so, check that the request returns 401."""
        if session.is_live:
            return False
        self.problem("session_ended", session, method, path, **kwargs)
        return True

    def is_out_of_reach(
        self,
        session: Session,
        noun: str,
        row_id: int,
        verb: str,
        method: str,
        path: str,
        **sent: Any,
    ) -> bool:
        """Whether the session has no access. If so, check the error of the request.

        Args:
            noun: the resource: `task`, `list`, `label` or `filter`.
        """
        if self.is_refused(session, method, path, **sent):
            return True
        if row_id in session.account.rows(noun):
            return False
        if any(row_id in account.rows(noun) for account in self.accounts):
            problem = self.problem("forbidden", session, method, path, **sent)
            assert problem["detail"] == f"Not authorized to {verb} this {noun}"
        else:
            self.problem("not_found", session, method, path, **sent)
        return True
