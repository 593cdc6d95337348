"""Scopes: what a personal access token may be used for.

Each operation declares the scopes that a token needs, all of them. An operation that declares none
accepts no personal access token. A scope `{resource}:read` is for reading a resource,
`{resource}:write` for all else.
"""

from __future__ import annotations

SCOPES: dict[str, str] = {
    "profile:read": "Read the account, its profile and its quotas.",
    "tasks:read": "Read and search tasks and their occurrences.",
    "tasks:write": "Create, change and delete tasks.",
    "comments:read": "Read comments on tasks.",
    "comments:write": "Create, change and delete comments on tasks.",
    "lists:read": "Read lists.",
    "lists:write": "Create and change lists; to delete one, `tasks:write` is needed too.",
    "labels:read": "Read labels.",
    "labels:write": "Create, change, merge and delete labels.",
    "filters:read": "Read saved filters.",
    "filters:write": "Create, change and delete saved filters.",
    "workspaces:read": "Read shared workspaces and their members.",
}
"""All scopes, with their descriptions."""

_OF_ACCOUNT = frozenset({"profile", "workspaces"})
"""The resources that belong to the account, not to a workspace."""


def is_of_content(scope: str) -> bool:
    """Whether a scope is for the content of workspaces."""
    return scope.partition(":")[0] not in _OF_ACCOUNT


def is_of_writes(scope: str) -> bool:
    """Whether a scope is for changes."""
    return scope.endswith(":write")
