"""The calls of labels."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.core.bodies import JSON, MERGE_PATCH
from taskapi.core.errors import Forbidden, NotFound, PreconditionFailed
from taskapi.core.identity import Caller
from taskapi.core.operations import Link, operation
from taskapi.core.preconditions import if_match, if_none_match
from taskapi.core.responses import page_answer, versioned
from taskapi.labels import schemas, service
from taskapi.labels.service import LabelExists

labels = Blueprint("labels", __name__, url_prefix="/labels")

_ID = {"label_id": "$response.body#/id"}
_CURRENT = {**_ID, "If-Match": "$response.header.ETag"}
_READ = (Link("get_label", _ID),)
_WRITE = tuple(Link(name, _CURRENT) for name in ("update_label", "patch_label", "delete_label"))
_CONFLICT = {412: (schemas.LabelConflict, {"label": schemas.EXAMPLE})}
_CHANGE: dict[str, Any] = {
    "body": schemas.LabelChanges(),
    "parameters": ("If-Match",),
    "answers": schemas.Label,
    "example": schemas.EXAMPLE,
    "headers": ("ETag",),
    "problems": (Forbidden, NotFound, PreconditionFailed, LabelExists),
    "problem_shapes": _CONFLICT,
    "links": _READ + _WRITE,
}
"""What PUT and PATCH have in common."""


@labels.get("")
@operation(
    summary="List the labels",
    query=schemas.LabelQuery(),
    parameters=("If-None-Match",),
    answers=schemas.Labels,
    example={"labels": [schemas.EXAMPLE], "total": 1, "next_cursor": None},
    headers=("ETag", "Link"),
    links=(
        Link("list_labels", {"cursor": "$response.body#/next_cursor"}),
        Link("get_label", {"label_id": "$response.body#/labels/0/id"}),
    ),
)
def list_labels(caller: Caller, query: dict[str, Any]) -> Response:
    """The caller's labels by name, unless `sort` says otherwise. Names ignore ASCII case."""
    known = if_none_match(request, caller.user_id)
    return page_answer("labels", service.list_labels(caller, query, known=known), caller)


@labels.post("")
@operation(
    summary="Add a label",
    body=schemas.NewLabel(),
    body_example=schemas.NEW_EXAMPLE,
    status=201,
    answers=schemas.Label,
    example=schemas.EXAMPLE,
    parameters=("Idempotency-Key",),
    headers=("ETag", "Location", "Idempotency-Replayed"),
    problems=(LabelExists,),
    links=_READ + _WRITE,
)
def create_label(caller: Caller, body: dict[str, Any]) -> Response:
    """Adds a label. No two of an account have the same name, ASCII case aside."""
    created = service.create_label(caller, body)
    return versioned(created, 201, {"Location": f"{request.path}/{created['id']}"})


@labels.get("/<id:label_id>")
@operation(
    summary="Get a label",
    parameters=("If-None-Match",),
    answers=schemas.Label,
    example=schemas.EXAMPLE,
    headers=("ETag",),
    problems=(Forbidden, NotFound),
    links=_WRITE,
)
def get_label(caller: Caller, label_id: int) -> Response:
    """One of the caller's labels."""
    return versioned(service.get_label(caller, label_id))


@labels.put("/<id:label_id>")
@operation(summary="Change a label", body_example=schemas.NEW_EXAMPLE, **_CHANGE)
def update_label(caller: Caller, label_id: int, body: dict[str, Any]) -> Response:
    """Sets the fields that are given; the others stay, and so do the tasks that have the label."""
    return versioned(service.update_label(caller, label_id, body, if_match(request)))


@labels.patch("/<id:label_id>")
@operation(
    summary="Patch a label",
    body_example={"color": None},
    media_types=(JSON, MERGE_PATCH),
    **_CHANGE,
)
def patch_label(caller: Caller, label_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396): null removes the color; the name cannot be."""
    return versioned(service.update_label(caller, label_id, body, if_match(request)))


@labels.delete("/<id:label_id>")
@operation(
    summary="Delete a label",
    status=204,
    parameters=("If-Match",),
    problems=(Forbidden, NotFound, PreconditionFailed),
    problem_shapes=_CONFLICT,
)
def delete_label(caller: Caller, label_id: int) -> Response:
    """Removes a label for good, and takes it off the tasks that have it."""
    service.delete_label(caller, label_id, if_match(request))
    return Response(status=204)


@labels.post("/<id:label_id>/merge")
@operation(
    summary="Merge a label into another",
    body=schemas.LabelMerge(),
    body_example={"into": 4},
    answers=schemas.Label,
    example=schemas.EXAMPLE | {"id": 4, "name": "Today"},
    parameters=("If-Match", "Idempotency-Key"),
    headers=("ETag", "Idempotency-Replayed"),
    problems=(Forbidden, NotFound, PreconditionFailed),
    problem_shapes=_CONFLICT,
    links=_READ + _WRITE,
)
def merge_label(caller: Caller, label_id: int, body: dict[str, Any]) -> Response:
    """Gives the tasks that have the label `into` in its place, and removes the label for good."""
    return versioned(service.merge_label(caller, label_id, body["into"], if_match(request)))
