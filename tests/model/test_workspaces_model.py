"""Shared workspaces compared with a model: three people, whose roles change between requests.

After each step, each person reads exactly the workspaces that the person is a member of, with
their current content and version.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.api import Api
from support.contract import Contract
from support.examples import examples

from taskapi.workspaces.models import ADMIN, OWNER, ROLES, VIEWER

EXAMPLES = 30
STEPS = 30
SHRINKING_SECONDS = 30

MANAGERS = (OWNER, ADMIN)
MISSING = 2**53 - 1
OTHER = 3
"""The remainder of a number that stands for a row of any workspace."""

SHOWN = ("id", "user_id", "title", "is_completed", "list_id", "version")

Row = dict[str, Any]

people = st.integers(0, 2)
places = st.sampled_from((0, 1, 0, 1, 2, 3, 4))
"""The indexes of two shared workspaces, and of the personal ones of the three people."""

shared = st.integers(0, 1)
roles = st.sampled_from(ROLES[1:])
any_row = st.integers(0, 1_000)


@dataclass
class Invitation:
    """An open or former invitation."""

    token: str
    role: str
    sent_by: int
    is_open: bool = True


@dataclass
class Workspace:
    """A workspace with its members by user ID, and its rows by their IDs."""

    id: int
    roles: dict[int, str]
    inbox_id: int
    version: int = 0
    tasks: dict[int, Row] = field(default_factory=dict)
    lists: dict[int, str] = field(default_factory=dict)
    invitations: dict[int, Invitation] = field(default_factory=dict)
    """By the user ID of the invited person, the last one."""

    def revoke_invitations(self, sent_by: int, received_by: int = 0) -> None:
        for user_id, invitation in self.invitations.items():
            if invitation.sent_by == sent_by or user_id == received_by:
                invitation.is_open = False


class Workspaces(RuleBasedStateMachine):
    """The running application, and the model of its state."""

    def __init__(self, app: Flask, contract: Contract) -> None:
        super().__init__()
        self._client, self._contract = app.test_client(), contract
        self.people: list[Api] = []
        self.places: list[Workspace] = []
        self.tasks: list[int] = [MISSING]
        self.lists: list[int] = [MISSING]

    @initialize(first=roles, second=roles)
    def three_people_and_two_workspaces(self, first: str, second: str) -> None:
        self.people = [Api(self._client, self._contract).registered() for _ in range(3)]
        for person in self.people[:2]:
            self._add(person.workspace(), person)
        for person in self.people:
            self._add(person.user_id, person)
        for where, role in enumerate((first, second)):
            self.add_member(where, where + 1, role)
            self.create_list(where, where)
            self.create_task(where, where, 0)

    def _add(self, workspace_id: int, owner: Api) -> None:
        lists = {workspace_id: "Inbox"}
        roles = {owner.user_id: OWNER}
        self.places.append(Workspace(workspace_id, roles, workspace_id, lists=lists))

    def _sent(
        self, who: int, where: int, method: str, path: str, expected: int | str, **kwargs: Any
    ) -> Any:
        """The body of a response with this status, or with the error that has this code."""
        client = self.people[who].at(self.places[where].id)
        if isinstance(expected, int):
            return client.expect(expected, method, path, **kwargs)
        response = client.send(method, path, **kwargs)
        code = response.get_json()["code"]
        if expected == "not_found" and self.people[who].user_id not in self.places[where].roles:
            # Some writes check the access to the workspace first.
            assert code in ("not_found", "forbidden")
            return None
        assert code == expected, response.get_data(as_text=True)
        return None

    def _refusal(self, who: int, where: int, rows: str = "", row_id: int = 0) -> str | None:
        """The code of the error of a write to a row, if it is refused."""
        place, user_id = self.places[where], self.people[who].user_id
        role = place.roles.get(user_id)
        if role == VIEWER:
            return "insufficient_role"
        if not rows:
            return None if role else "forbidden"
        if role and row_id in getattr(place, rows):
            return None
        is_anywhere = any(row_id in getattr(one, rows) for one in self.places)
        return "forbidden" if is_anywhere else "not_found"

    def _written(self, where: int, task: Row, **expected: Any) -> None:
        """Check the response to a write, and record it."""
        place = self.places[where]
        place.version += 1
        assert task["version"] == place.version
        assert task == task | expected
        place.tasks[task["id"]] = {name: task[name] for name in SHOWN}

    def _list_in(self, place: Workspace, number: int) -> int:
        """The ID of a list: mostly one of the workspace."""
        found = self.lists if number % 4 == OTHER else sorted(place.lists)
        return found[number % len(found)]

    def _task_in(self, place: Workspace, number: int) -> int:
        found = self.tasks if number % 4 == OTHER else sorted(place.tasks)
        return found[number % len(found)] if found else MISSING

    @rule(who=people, where=places, number=any_row)
    def create_task(self, who: int, where: int, number: int) -> None:
        place = self.places[where]
        list_id = self._list_in(place, number)
        body = {"title": f"Task {number}", "list_id": list_id}
        refusal = self._refusal(who, where)
        if not refusal and list_id not in place.lists:
            refusal = "invalid_input"
        created = self._sent(who, where, "POST", "/tasks", refusal or 201, json=body)
        if created:
            self.tasks.append(created["id"])
            self._written(where, created, **body, user_id=self.people[who].user_id)

    @rule(who=people, where=places, number=any_row, is_completed=st.booleans())
    def update_task(self, who: int, where: int, number: int, is_completed: bool) -> None:
        task_id = self._task_in(self.places[where], number)
        body = {"title": f"Changed {number}", "is_completed": is_completed}
        refusal = self._refusal(who, where, "tasks", task_id)
        method = ("PUT", "PATCH")[number % 2]
        changed = self._sent(who, where, method, f"/tasks/{task_id}", refusal or 200, json=body)
        if changed:
            self._written(where, changed, **body)

    @rule(who=people, where=places, number=any_row)
    def complete_task(self, who: int, where: int, number: int) -> None:
        place = self.places[where]
        task_id = self._task_in(place, number)
        refusal = self._refusal(who, where, "tasks", task_id)
        if not refusal and place.tasks[task_id]["is_completed"]:
            return
        path = f"/tasks/{task_id}/complete"
        completed = self._sent(who, where, "POST", path, refusal or 200)
        if completed:
            self._written(where, completed["task"], is_completed=True)

    @rule(who=people, where=places, number=any_row, other=any_row)
    def move_task_to_list(self, who: int, where: int, number: int, other: int) -> None:
        place = self.places[where]
        task_id, list_id = self._task_in(place, number), self._list_in(place, other)
        refusal = self._refusal(who, where, "tasks", task_id)
        if not refusal and place.tasks[task_id]["list_id"] == list_id:
            return
        if not refusal and list_id not in place.lists:
            refusal = "invalid_input"
        path, body = f"/tasks/{task_id}/move", {"list_id": list_id}
        moved = self._sent(who, where, "POST", path, refusal or 200, json=body)
        if moved:
            self._written(where, moved, list_id=list_id)

    @rule(who=people, where=places, number=any_row)
    def delete_task(self, who: int, where: int, number: int) -> None:
        place = self.places[where]
        task_id = self._task_in(place, number)
        refusal = self._refusal(who, where, "tasks", task_id)
        self._sent(who, where, "DELETE", f"/tasks/{task_id}", refusal or 204)
        if not refusal:
            place.version += 1
            del place.tasks[task_id]

    @rule(who=people, where=places, number=any_row)
    def get_task(self, who: int, where: int, number: int) -> None:
        place = self.places[where]
        task_id = self._task_in(place, number)
        is_viewer = place.roles.get(self.people[who].user_id) == VIEWER
        refusal = self._refusal(who, where, "tasks", task_id)
        if is_viewer:
            is_anywhere = any(task_id in one.tasks for one in self.places)
            refusal = "forbidden" if is_anywhere else "not_found"
            refusal = None if task_id in place.tasks else refusal
        found = self._sent(who, where, "GET", f"/tasks/{task_id}", refusal or 200)
        if found:
            assert {name: found[name] for name in SHOWN} == place.tasks[task_id]

    @rule(who=people, where=places)
    def create_list(self, who: int, where: int) -> None:
        place, name = self.places[where], f"List {len(self.lists)}"
        refusal = self._refusal(who, where)
        created = self._sent(who, where, "POST", "/lists", refusal or 201, json={"name": name})
        if created:
            place.version += 1
            assert created["version"] == place.version
            place.lists[created["id"]] = name
            self.lists.append(created["id"])

    @rule(who=people, where=places, number=any_row, fate=st.sampled_from(("move", "delete")))
    def delete_list(self, who: int, where: int, number: int, fate: str) -> None:
        place = self.places[where]
        list_id = self._list_in(place, number)
        if list_id == place.inbox_id:
            return
        refusal = self._refusal(who, where, "lists", list_id)
        query = {"query_string": {"tasks": fate}}
        self._sent(who, where, "DELETE", f"/lists/{list_id}", refusal or 204, **query)
        if refusal:
            return
        place.version += 1
        del place.lists[list_id]
        for task in [one for one in place.tasks.values() if one["list_id"] == list_id]:
            if fate == "delete":
                del place.tasks[task["id"]]
            else:
                place.tasks[task["id"]] |= {"list_id": place.inbox_id, "version": place.version}

    def _managed(self, who: int, where: int, roles: tuple[str, ...] = MANAGERS) -> str | None:
        """The code of the error of an operation that requires one of these roles."""
        role = self.places[where].roles.get(self.people[who].user_id)
        return None if role in roles else "insufficient_role" if role else "forbidden"

    @rule(who=people, where=shared, whom=people, role=roles)
    def set_role(self, who: int, where: int, whom: int, role: str) -> None:
        place, user_id = self.places[where], self.people[whom].user_id
        refusal = self._managed(who, where)
        if not refusal:
            current = place.roles.get(user_id)
            refusal = {None: "not_found", OWNER: "insufficient_role"}.get(current)
        path, body = f"/members/{user_id}", {"role": role}
        changed = self._sent(who, where, "PATCH", path, refusal or 200, json=body)
        if changed:
            assert (changed["user_id"], changed["role"]) == (user_id, role)
            place.roles[user_id] = role
            if role not in MANAGERS:
                place.revoke_invitations(sent_by=user_id)

    @rule(who=people, where=shared, whom=people)
    def remove_member(self, who: int, where: int, whom: int) -> None:
        place, user_id = self.places[where], self.people[whom].user_id
        current = place.roles.get(user_id)
        refusal = self._managed(who, where, ROLES if who == whom else MANAGERS)
        if not refusal:
            owner = "owner_cannot_leave" if who == whom else "insufficient_role"
            refusal = {None: "not_found", OWNER: owner}.get(current)
        self._sent(who, where, "DELETE", f"/members/{user_id}", refusal or 204)
        if not refusal:
            del place.roles[user_id]
            place.revoke_invitations(sent_by=user_id, received_by=user_id)

    @rule(who=people, where=shared, whom=people, role=roles)
    def invite(self, who: int, where: int, whom: int, role: str) -> None:
        self._invite(who, where, whom, role)

    def _invite(self, who: int, where: int, whom: int, role: str) -> None:
        place, invited = self.places[where], self.people[whom]
        refusal = self._managed(who, where)
        if not refusal and invited.user_id in place.roles:
            refusal = "already_member"
        body = {"email": invited.email, "role": role}
        sent = self._sent(who, where, "POST", "/invitations", refusal or 201, json=body)
        if sent:
            by = self.people[who].user_id
            place.invitations[invited.user_id] = Invitation(sent["token"], role, by)

    @rule(where=shared, role=roles, is_removed=st.booleans())
    def inviter_loses_the_role(self, where: int, role: str, is_removed: bool) -> None:
        """An admin invites somebody, and is removed or gets another role."""
        found = [self.places[where].roles.get(person.user_id) for person in self.people]
        if {None, ADMIN} <= set(found):
            admin = found.index(ADMIN)
            self._invite(admin, where, found.index(None), VIEWER)
            if is_removed:
                self.remove_member(found.index(OWNER), where, admin)
            else:
                self.set_role(found.index(OWNER), where, admin, role)

    @precondition(lambda self: any(place.invitations for place in self.places))
    @rule(number=any_row)
    def accept_invitation(self, number: int) -> None:
        """Accept an invitation, which may be used or revoked."""
        sent = [(place, user_id) for place in self.places for user_id in place.invitations]
        place, user_id = sent[number % len(sent)]
        invitation = place.invitations[user_id]
        (person,) = (one for one in self.people if one.user_id == user_id)
        path, body = "/invitations/accept", {"token": invitation.token}
        if not invitation.is_open:
            person.problem(400, "invitation_invalid", "POST", path, json=body)
            return
        assert person.expect(200, "POST", path, json=body)["role"] == invitation.role
        place.roles[person.user_id] = invitation.role
        invitation.is_open = False

    @rule(where=shared, who=people, role=roles)
    def add_member(self, where: int, who: int, role: str) -> None:
        """Most sequences need members: the owner invites, and the person accepts."""
        place, person = self.places[where], self.people[who]
        if person.user_id in place.roles:
            return
        (owner,) = (one for one in self.people if place.roles.get(one.user_id) == OWNER)
        owner.invite(place.id, person, role)
        place.roles[person.user_id] = role
        place.invitations.pop(person.user_id, None)

    @rule(who=people, where=shared, whom=people)
    def transfer(self, who: int, where: int, whom: int) -> None:
        place, owner, to = self.places[where], self.people[who], self.people[whom]
        refusal = self._managed(who, where, (OWNER,))
        if not refusal and to.user_id not in place.roles:
            refusal = "invalid_input"
        body = {"user_id": to.user_id}
        self._sent(who, where, "POST", "/transfer", refusal or 200, json=body)
        if not refusal:
            place.roles |= {owner.user_id: ADMIN}
            place.roles |= {to.user_id: OWNER}

    @invariant()
    def each_person_reads_what_the_roles_allow(self) -> None:
        for place in self.places[:2]:
            self._check(place)

    def _check(self, place: Workspace) -> None:
        for person in self.people:
            # Not by `Api`: to validate each response would take most of the time.
            path = f"/workspaces/{place.id}/tasks"
            response = self._client.get(path, headers=person.headers)
            if person.user_id not in place.roles:
                assert (response.status_code, response.get_json()["code"]) == (403, "forbidden")
                continue
            tasks = response.get_json()["tasks"]
            expected = [place.tasks[task_id] for task_id in sorted(place.tasks, reverse=True)]
            assert [{name: task[name] for name in SHOWN} for task in tasks] == expected
            member = "" if place.id == person.user_id else f"{person.user_id}."
            assert response.headers["ETag"] == f'"{place.id}.{member}{place.version}"'

    def teardown(self) -> None:
        for place in self.places:
            self._check(place)
            for person in self.people:
                if person.user_id in place.roles:
                    found = person.at(place.id).expect(200, "GET", "/lists")["lists"]
                    assert {one["id"]: one["name"] for one in found} == place.lists
        for place in self.places[:2]:
            member = next(one for one in self.people if one.user_id in place.roles)
            members = member.expect(200, "GET", f"/workspaces/{place.id}/members")["members"]
            assert {one["user_id"]: one["role"] for one in members} == place.roles


def test_shared_workspaces_behave_as_the_model(
    app: Flask, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_SHRINKING_SECONDS", SHRINKING_SECONDS)
    run_state_machine_as_test(
        lambda: Workspaces(app, contract),
        settings=settings(examples(EXAMPLES), stateful_step_count=STEPS),
    )
