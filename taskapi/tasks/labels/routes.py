"""The operations of labels."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import operation
from taskapi.http.preconditions import if_match, if_none_match
from taskapi.http.responses import created_response, page_response, versioned_response
from taskapi.identity import Caller
from taskapi.tasks.labels import schemas, service
from taskapi.tasks.labels.queries import LabelExists
from taskapi.tasks.labels.schemas import LABEL

labels = Blueprint("labels", __name__, url_prefix="/labels")

_UPDATE = LABEL.updating(LabelExists)


@labels.get("")
@operation(summary="List labels", **LABEL.listing(schemas.LabelQuery()))
def list_labels(caller: Caller, query: dict[str, Any]) -> Response:
    """Returns the caller's labels, by default by name. Case is ignored."""
    known = if_none_match(request, caller)
    page = service.list_labels(caller, query, known=known)
    return page_response("labels", page, caller, LABEL.represent)


@labels.post("")
@operation(summary="Create a label", **LABEL.creating(schemas.NEW_EXAMPLE, LabelExists))
def create_label(caller: Caller, body: dict[str, Any]) -> Response:
    """Creates a label. Its name must be unique, ignoring case."""
    return created_response(LABEL.represent(service.create_label(caller, body)))


@labels.get("/<id:label_id>")
@operation(summary="Get a label", **LABEL.getting())
def get_label(caller: Caller, label_id: int) -> Response:
    """Returns a label."""
    return versioned_response(LABEL.represent(service.get_label(caller, label_id)))


@labels.put("/<id:label_id>")
@operation(summary="Update a label", body_example=schemas.NEW_EXAMPLE, **_UPDATE)
def update_label(caller: Caller, label_id: int, body: dict[str, Any]) -> Response:
    """Sets the given fields. Omitted fields keep their values."""
    return versioned_response(
        LABEL.represent(service.update_label(caller, label_id, body, if_match(request)))
    )


@labels.patch("/<id:label_id>")
@operation(
    summary="Patch a label",
    body_example={"color": schemas.EXAMPLE["color"]},
    media_types=(JSON, MERGE_PATCH),
    **_UPDATE,
)
def patch_label(caller: Caller, label_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396). Null clears a nullable field."""
    return versioned_response(
        LABEL.represent(service.update_label(caller, label_id, body, if_match(request)))
    )


@labels.delete("/<id:label_id>")
@operation(summary="Delete a label", **LABEL.deleting())
def delete_label(caller: Caller, label_id: int) -> Response:
    """Deletes a label and removes it from all tasks. This cannot be undone."""
    service.delete_label(caller, label_id, if_match(request))
    return Response(status=204)


@labels.post("/<id:label_id>/merge")
@operation(
    summary="Merge a label into another",
    body_example={"into": 4},
    **LABEL.acting(schemas.LabelMerge())
    | {"example": schemas.EXAMPLE | {"id": 4, "name": "Today"}},
)
def merge_label(caller: Caller, label_id: int, body: dict[str, Any]) -> Response:
    """Replaces a label by the label `into` on all tasks, and deletes it. This cannot be undone."""
    merged = service.merge_label(caller, label_id, body["into"], if_match(request))
    return versioned_response(LABEL.represent(merged))
