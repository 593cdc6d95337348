"""Factories of resources: the only place of the tests where a new resource may need a line.

A path argument `{noun}_id` is made by the operation `create_{noun}` with the example of its body.
Only what that example cannot express has an entry in the tables below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from support.api import PASSWORD, Api, new_email
from support.calls import BY_NAME, Call, Request
from support.factor import confirmation_code, new_code
from support.mails import reset_token, undo_token, verification_token
from support.signing_in import VERIFIER, challenge_of

from taskapi.auth.oidc import codes
from taskapi.auth.oidc.identity import Identity

Factory = Callable[[Api], object]


def session_of(person: Api) -> int:
    """The id of the session that this client uses."""
    sessions = person.expect(200, "GET", "/auth/sessions")["sessions"]
    return next(int(session["id"]) for session in sessions if session["is_current"])


def sign_in_code(person: Api, email: str, subject: str = "") -> str:
    """The code of a sign-in by the user of a provider with this verified email address.

    Args:
        subject: the user; by default a new one.
    """
    identity = Identity("https://id.example.com", subject or new_email(), email)
    with person.client.application.app_context():
        return codes.issue(identity, challenge_of(VERIFIER))


def _code_of_linked_identity(person: Api) -> str:
    """A code of a sign-in with an identity of the user, who has a limited number of them."""
    linked = person.expect(200, "GET", "/auth/identities")["identities"]
    if not linked:
        linked = [filled_in(BY_NAME["create_identity"], person).send(person).get_json()]
    return sign_in_code(person, person.email, linked[0]["subject"])


def _newcomer(person: Api) -> Api:
    """A client of a new user."""
    return Api(person.client, person.contract).registered()


def _invitation_for(person: Api) -> dict[str, object]:
    """An invitation that another user has sent to this one."""
    host = _newcomer(person)
    path = f"/workspaces/{host.workspace()}/invitations"
    sent: dict[str, object] = host.expect(
        201, "POST", path, json={"email": person.email, "role": "editor"}
    )
    return sent


def _invitation_for_verified(person: Api) -> object:
    """The ID of an invitation that the user can accept without its token."""
    if not person.expect(200, "GET", "/auth/me")["email_verified"]:
        token = verification_token(person)
        person.expect(200, "POST", "/auth/email/verify", json={"token": token})
    return _invitation_for(person)["id"]


def _member(person: Api, workspace_id: object) -> int:
    """The ID of a new member of a workspace that this user owns."""
    member = _newcomer(person)
    person.invite(int(str(workspace_id)), member, "editor")
    return member.user_id


ARGUMENTS: dict[str, Factory] = {
    "task_id": lambda person: person.recurring()["id"],
    "session_id": lambda person: session_of(person.again()),
    "invitation_id": _invitation_for_verified,
}
"""Path arguments for rows that the example of the create operation cannot express."""

SHARED = {"code": "not_found", "provider": "unknown", "release": "any", "name": "swagger.css"}
"""Path arguments for what belongs to no user."""

FIELDS: dict[str, Factory] = {
    "email": lambda person: person.email,
    "register email": lambda person: new_email(),
    "password": lambda person: PASSWORD,
    "current_password": lambda person: PASSWORD,
    "new_password": lambda person: PASSWORD,
    "new_email": lambda person: new_email(),
    "verify_email token": verification_token,
    "undo_email_change token": undo_token,
    "reset_password token": reset_token,
    "refresh_token": lambda person: person.login["refresh_token"],
    "create_identity code": lambda person: sign_in_code(person, person.email),
    "set_password_by_identity code": _code_of_linked_identity,
    "exchange_code code": lambda person: sign_in_code(person, new_email()),
    "code_verifier": lambda person: VERIFIER,
    "name": lambda person: f"Name of {new_email()}",
    "confirm_second_factor code": confirmation_code,
    "code": new_code,
    "create_invitation email": lambda person: new_email(),
    "accept_invitation_token token": lambda person: _invitation_for(person)["token"],
    "decline_invitation_token token": lambda person: _invitation_for(person)["token"],
    "transfer_workspace user_id": lambda person: person.user_id,
    "into": lambda person: create("label_id", person),
}
"""Fields, of one operation or of all, whose values cannot be in the document."""


def is_owned(argument: str) -> bool:
    """Whether a path argument references a row of a user."""
    return argument not in SHARED


def create(argument: str, person: Api, beside: Mapping[str, object] | None = None) -> object:
    """A value for a path argument: the ID of a new row of this user.

    Args:
        beside: known arguments of the same path, such as the parent of the row.
    """
    if argument in SHARED:
        return SHARED[argument]
    workspace_id = (beside or {}).get("workspace_id")
    if argument == "user_id":
        return _member(person, workspace_id) if workspace_id else person.user_id
    if argument in ARGUMENTS and not (argument == "invitation_id" and workspace_id):
        return ARGUMENTS[argument](person)
    creation = BY_NAME.get(f"create_{argument.removesuffix('_id')}")
    assert creation, f"no operation and no factory in support.resources makes a {argument}"
    response = filled_in(creation, person, beside).send(person)
    assert response.status_code == 201, response.get_data(as_text=True)
    return response.get_json()["id"]


def filled_in(call: Call, person: Api, known: Mapping[str, object] | None = None) -> Request:
    """A request of this user that succeeds.

    Args:
        known: path arguments that exist already.
    """
    values: dict[str, object] = {}
    for name in call.arguments:
        values[name] = (known or {}).get(name) or create(name, person, {**(known or {}), **values})
    return Request(call, values, body_of(call, person) if call.body else None)


def body_of(call: Call, person: Api) -> dict[str, object]:
    """The example of an operation's body, with values that work for this user."""
    return {name: _field(call, name, example, person) for name, example in call.example.items()}


def _field(call: Call, name: str, example: object, person: Api) -> object:
    make = FIELDS.get(f"{call.name} {name}") or FIELDS.get(name)
    return make(person) if make else example
