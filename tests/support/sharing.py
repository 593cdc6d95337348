"""The operations of the OpenAPI document by what they work on in a shared workspace."""

from __future__ import annotations

from support.calls import CALLS, Call, unconnected_app

from taskapi.http.operations import operation_of
from taskapi.http.scopes import is_of_content, is_of_writes

_VIEWS = {view.__name__: operation_of(view) for view in unconnected_app().view_functions.values()}


def _spans_workspaces(call: Call) -> bool:
    declared = _VIEWS[call.name]
    assert declared
    return declared.spans_workspaces


def writes(call: Call) -> bool:
    """Whether an operation on content needs a role that allows changes."""
    return any(map(is_of_writes, call.scopes))


_CONTENT = [call for call in CALLS if any(map(is_of_content, call.scopes))]
IN_WORKSPACE = [call for call in _CONTENT if not _spans_workspaces(call)]
"""Operations on the content of the workspace in the path."""

SPANNING = [call for call in _CONTENT if _spans_workspaces(call)]
"""Operations on content that ignore the workspace in the path."""

OF_WORKSPACE = [call for call in CALLS if call.path.startswith("/workspaces/{workspace_id}")]
"""Operations on a workspace itself, its members and invitations."""
