"""The schemas of comments."""

from __future__ import annotations

from marshmallow import Schema

from taskapi.db.pages import NEWEST_FIRST
from taskapi.http.fields import Id, Text, Timestamp, Version
from taskapi.http.pagination import PageQuery, sort_field
from taskapi.http.representation import computed
from taskapi.http.resources import Resource
from taskapi.tasks.comments.models import MAX_TEXT

EXAMPLE = {
    "id": 9,
    "task_id": 42,
    "author_id": 1,
    "text": "The bank is closed on Saturdays.",
    "workspace_id": 1,
    "version": 14,
    "created_at": "2026-01-06T07:15:00.123456Z",
    "updated_at": "2026-01-06T07:15:00.123456Z",
}
NEW_EXAMPLE = {"text": EXAMPLE["text"]}


class Comment(Schema):
    """A comment on a task."""

    id = Id("The ID of the comment. Later comments have greater IDs.", dump_only=True)
    task_id = Id("The ID of the task.", dump_only=True)
    author_id = computed(
        Id("The user who wrote the comment, and alone can change it.", dump_only=True),
        lambda row: row.user_id,
    )
    text = Text(
        least=1,
        most=MAX_TEXT,
        trim=True,
        required=True,
        metadata={"description": "Plain text. White space at both ends is removed."},
    )
    workspace_id = Id("The ID of the workspace.", dump_only=True)
    version = Version()
    created_at = Timestamp("When the comment was created.", dump_only=True)
    updated_at = Timestamp("When the comment was last changed.", dump_only=True)


COMMENT = Resource(noun="comment", declared=Comment, example=EXAMPLE, parent="task_id")


class CommentQuery(PageQuery):
    """Page and order of comments."""

    sort = sort_field(("created_at",), default=NEWEST_FIRST)
