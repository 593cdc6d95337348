"""The operation of recurrence."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from taskapi.http.operations import operation
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.tasks.recurrence import schemas, service

recurrence = Blueprint("recurrence", __name__, url_prefix="/recurrence")


@recurrence.post("/preview")
@operation(
    summary="Preview a recurrence",
    is_safe=True,
    scopes=("tasks:read",),
    body=schemas.NewRecurrencePreview(),
    body_example=schemas.PREVIEW_EXAMPLE,
    response=schemas.RecurrencePreview,
    example=schemas.EXAMPLE,
)
def preview_recurrence(caller: Caller, body: dict[str, Any]) -> Response:
    """Returns the first occurrences of a recurrence rule. Nothing is stored.

    The rule starts at `due`. That date is an occurrence, and counts for COUNT, only if it matches
    the rule. Occurrences keep their local time when daylight saving time changes. The last year is
    2199.

    With the anchor `completion`, the rule restarts on the day of each completion. If its day of the
    month comes from that day, shorter months use their last day.
    """
    found = service.preview(caller, body)
    dues = [due.represent() for due in found.occurrences]
    return json_response({"occurrences": dues, "has_more": found.has_more})
