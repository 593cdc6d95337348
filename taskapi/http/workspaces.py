"""The workspace of a request: a prefix of the path, which the rest of the service does not see.

`/workspaces/7/tasks` is handled as `/tasks`, with `/workspaces/7` as the application's root (WSGI's
SCRIPT_NAME), so that the URLs in responses have the prefix. The statements check the membership.
Below what is not an ID, nothing is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from taskapi.http.application import Request
from taskapi.identity import MAX_ID, Caller

PREFIX = "/workspaces/"
_OWN_PATHS = frozenset({"members", "invitations", "transfer"})
"""The paths below a workspace that are about itself, and exist only there."""

_ID = "taskapi.workspace_id"

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class WorkspaceMount:
    """WSGI middleware that serves the application below each workspace, too."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(PREFIX):
            _mount(environ)
        return self._application(environ, start_response)


def caller_in_workspace(request: Request, caller: Caller, *, writes: bool) -> Caller:
    """The caller in the workspace of the path; without one, in the personal workspace.

    Args:
        writes: whether the operation needs a role that allows changes.
    """
    workspace_id = request.environ.get(_ID)
    if workspace_id is None or workspace_id == caller.user_id:
        return caller
    request.log_fields["workspace_id"] = workspace_id
    return caller._replace(workspace_id=workspace_id, writes=writes)


def address(request: Request) -> str:
    """The path of a request with its prefix."""
    return request.root_path + request.path


def id_in_path(text: str) -> int:
    """An ID in a path. Invalid IDs become 0, which does not exist."""
    is_id = text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 16
    return int(text) if is_id and int(text) <= MAX_ID else 0


def _mount(environ: dict[str, Any]) -> None:
    name, _, rest = environ["PATH_INFO"][len(PREFIX) :].partition("/")
    workspace_id = id_in_path(name)
    if not workspace_id or not rest or rest.partition("/")[0] in _OWN_PATHS:
        return
    environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + PREFIX + name
    environ["PATH_INFO"] = f"/{rest}"
    environ[_ID] = workspace_id
