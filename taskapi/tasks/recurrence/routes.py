"""The calls of recurrence."""

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
    body=schemas.NewRecurrencePreview(),
    body_example=schemas.PREVIEW_EXAMPLE,
    answers=schemas.RecurrencePreview,
    example=schemas.EXAMPLE,
)
def preview_recurrence(caller: Caller, body: dict[str, Any]) -> Response:
    """The first dates that a rule gives, to be shown while it is typed. Nothing is stored.

    The due is where the rule starts. It is an occurrence, and counted by COUNT, only if it matches
    the rule. Times stay what they are on the wall when clocks change. The years end with 2199.

    With the anchor `completion` the rule starts again on each day of completion. Where it takes the
    day of the month from there and a month is too short, that month's last day is taken.
    """
    found = service.preview(caller, **body)
    shown = [due.represent() for due in found.occurrences]
    return json_response({"occurrences": shown, "has_more": found.has_more})
