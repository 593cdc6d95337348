"""The schemas of assigned tasks."""

from __future__ import annotations

from marshmallow import fields

from taskapi.http.fields import QueryBoolean, QueryInteger
from taskapi.http.pagination import PageQuery
from taskapi.http.representation import page_schema
from taskapi.tasks.schemas import EXAMPLE as TASK_EXAMPLE
from taskapi.tasks.schemas import TASK

EXAMPLE = TASK_EXAMPLE | {"assignee_id": 1}


class AssignedTasksQuery(PageQuery):
    """Page and state of assigned tasks."""

    # Its statement does not limit the bytes of a page, as those of one workspace do.
    limit = QueryInteger(
        least=1,
        most=100,
        load_default=100,
        metadata={"description": "The maximum number of tasks on a page."},
    )
    is_completed = QueryBoolean(
        metadata={"description": "Only completed tasks, or only open tasks."}
    )


AssignedTaskPage = page_schema(
    "AssignedTaskPage",
    "tasks",
    TASK.output,
    total=fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Always null. Assigned tasks are not counted."},
    ),
)
