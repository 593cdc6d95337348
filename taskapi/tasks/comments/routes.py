"""The operations of comments."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.db.quotas import QuotaExceeded
from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import operation
from taskapi.http.preconditions import if_match, if_none_match
from taskapi.http.responses import created_response, page_response, versioned_response
from taskapi.identity import Caller
from taskapi.problems import Forbidden, NotFound
from taskapi.tasks.comments import schemas, service
from taskapi.tasks.comments.queries import NotAuthor
from taskapi.tasks.comments.schemas import COMMENT

comments = Blueprint("comments", __name__, url_prefix="/tasks/<id:task_id>/comments")

_LIST = COMMENT.listing(schemas.CommentQuery())
_UPDATE = COMMENT.updating(QuotaExceeded, NotAuthor)


@comments.get("")
@operation(
    summary="List comments", **_LIST | {"problems": (*_LIST["problems"], Forbidden, NotFound)}
)
def list_comments(caller: Caller, task_id: int, query: dict[str, Any]) -> Response:
    """Returns the comments on a task, by default newest first."""
    known = if_none_match(request, caller)
    page = service.list_comments(caller, task_id, query, known=known)
    return page_response("comments", page, caller, COMMENT.represent)


@comments.post("")
@operation(summary="Create a comment", **COMMENT.creating(schemas.NEW_EXAMPLE, Forbidden, NotFound))
def create_comment(caller: Caller, task_id: int, body: dict[str, Any]) -> Response:
    """Adds a comment to a task. The version of the task changes with its `comment_count`."""
    created = service.create_comment(caller, task_id, body)
    return created_response(COMMENT.represent(created))


@comments.get("/<id:comment_id>")
@operation(summary="Get a comment", **COMMENT.getting())
def get_comment(caller: Caller, task_id: int, comment_id: int) -> Response:
    """Returns a comment on a task."""
    return versioned_response(COMMENT.represent(service.get_comment(caller, task_id, comment_id)))


@comments.put("/<id:comment_id>")
@operation(summary="Update a comment", body_example=schemas.NEW_EXAMPLE, **_UPDATE)
def update_comment(caller: Caller, task_id: int, comment_id: int, body: dict[str, Any]) -> Response:
    """Sets the given fields. Only the author can change a comment."""
    updated = service.update_comment(caller, task_id, comment_id, body, if_match(request))
    return versioned_response(COMMENT.represent(updated))


@comments.patch("/<id:comment_id>")
@operation(
    summary="Patch a comment",
    body_example=schemas.NEW_EXAMPLE,
    media_types=(JSON, MERGE_PATCH),
    **_UPDATE,
)
def patch_comment(caller: Caller, task_id: int, comment_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396). Only the author can change a comment."""
    updated = service.update_comment(caller, task_id, comment_id, body, if_match(request))
    return versioned_response(COMMENT.represent(updated))


@comments.delete("/<id:comment_id>")
@operation(summary="Delete a comment", **COMMENT.deleting(NotAuthor))
def delete_comment(caller: Caller, task_id: int, comment_id: int) -> Response:
    """Deletes a comment. This cannot be undone.

    In a shared workspace, the author, admins and the owner can delete it.
    """
    service.delete_comment(caller, task_id, comment_id, if_match(request))
    return Response(status=204)
