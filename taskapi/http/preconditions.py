"""Entity tags and conditional requests (RFC 9110 section 13), based on versions."""

from __future__ import annotations

import re

from flask import Request

from taskapi.db.tenancy import all_versions_except
from taskapi.identity import Caller
from taskapi.problems import InvalidInput, PreconditionFailed

_TAG = re.compile(r'(?:^|,)\s*(W/)?"([^"]*)"\s*(?=,|$)', re.ASCII)
_ENTITY_TAG = re.compile(r'(?:W/)?"[!#-~\x80-\xff]*"')
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)

_WEAK = (
    "If-Match has a weak entity tag (W/), which never matches. A proxy may have weakened it."
    " Send the version of the resource in quotes."
)
_EXCLUDED = "If-None-Match excludes the current version."
_NOT_SELECTED = "The response does not have an entity tag in If-Match."


def entity_tag(version: int, caller: Caller | None = None) -> str:
    """The strong entity tag of a version.

    Args:
        caller: for a page, which can differ between the members of a workspace, as with
            `assignee = me`, and whose path is the same for all personal workspaces.
    """
    return f'"{_prefix(caller)}{version}"'


def if_match(request: Request) -> list[int] | None:
    """The versions of a row that a write may change; None for all.

    It combines If-Match (strong comparison, section 13.1.1) and If-None-Match (weak comparison,
    section 13.1.2). Tags of other resources match nothing.

    Raises:
        InvalidInput: one of the headers is malformed.
    """
    if "HTTP_IF_NONE_MATCH" not in request.environ:
        return _required(request)
    required, excluded = _required(request), _well_formed(request, "If-None-Match")
    if excluded == "*":
        return []
    versions = [version for _, version in _versions(excluded)]
    if required is None:
        return all_versions_except(versions)
    return [version for version in required if version not in versions]


def if_none_match(request: Request, caller: Caller | None = None) -> list[int] | None:
    """The versions in If-None-Match of a read (weak comparison); None for `*`, all versions.

    What is malformed matches nothing, so that the client gets the response.

    Args:
        caller: see `entity_tag`. Tags of other users and workspaces are ignored.
    """
    header = request.headers.get("If-None-Match", "")
    if header.strip() == "*":
        return None
    return [version for _, version in _versions(header, _prefix(caller))]


def check_if_match(request: Request, tag: str | None) -> None:
    """Check If-Match of a read.

    Args:
        tag: the entity tag of the response; None if it has none.

    Raises:
        InvalidInput: If-Match is malformed.
        PreconditionFailed: it has another tag.
    """
    if "HTTP_IF_MATCH" not in request.environ:
        return
    header = _well_formed(request, "If-Match")
    strong = [f'"{value}"' for weak, value in _TAG.findall(header) if not weak]
    if header != "*" and tag not in strong:
        raise PreconditionFailed(
            detail=_WEAK if "W/" in header else _NOT_SELECTED, headers={"ETag": tag} if tag else {}
        )


def failure_detail(request: Request, version: int) -> str | None:
    """Why a write of a row with this version failed with 412; None for the usual reason."""
    required = _required(request)
    if required is None or version in required:
        return _EXCLUDED
    return _WEAK if "W/" in request.headers["If-Match"] else None


def _prefix(caller: Caller | None) -> str:
    if caller is None:
        return ""
    if caller.is_in_shared_workspace:
        return f"{caller.workspace_id}.{caller.user_id}."
    return f"{caller.workspace_id}."


def _required(request: Request) -> list[int] | None:
    if "HTTP_IF_MATCH" not in request.environ:
        return None
    header = _well_formed(request, "If-Match")
    return None if header == "*" else [version for weak, version in _versions(header) if not weak]


def _well_formed(request: Request, name: str) -> str:
    """The value of a header: `*`, or a list of entity tags."""
    header = request.headers[name].strip()
    if header != "*" and not _is_tag_list(header):
        message = 'Must be * or entity tags in quotes, like "7".'
        raise InvalidInput.at(name, message, "not_an_entity_tag")
    return header


def _is_tag_list(header: str) -> bool:
    """Whether a header has entity tags, separated by commas, and nothing else."""
    # Empty elements of a list are allowed (section 5.6.1.2).
    elements = {element.strip(" \t") for element in _ENTITY_TAG.sub('""', header).split(",")}
    return elements in ({'""'}, {'""', ""})


def _versions(header: str, prefix: str = "") -> list[tuple[bool, int]]:
    found = [
        (weak, tag.removeprefix(prefix))
        for weak, tag in _TAG.findall(header)
        if tag.startswith(prefix)
    ]
    return [(bool(weak), int(tag)) for weak, tag in found if _VERSION.fullmatch(tag)]
