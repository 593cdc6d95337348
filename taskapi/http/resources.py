"""What the calls of a kind of row declare alike: to list, add, get, change and delete it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema

from taskapi.db.quotas import QuotaExceeded
from taskapi.http.operations import Link
from taskapi.http.representation import (
    conflict_schema,
    input_schemas,
    output_schema,
    page_schema,
    representation,
)
from taskapi.http.schemas import Input
from taskapi.problems import Forbidden, NotFound, PreconditionFailed, Problem

Declared = dict[str, Any]
"""Arguments of `operation`."""

OUT_OF_REACH = (Forbidden, NotFound, PreconditionFailed)


class Resource:
    """A kind of row, for the declarations of its operations.

    Its views are called `list_tasks`, `create_task`, `get_task`, `update_task`, `patch_task` and
    `delete_task`, and its id in a path `task_id`.

    Args:
        noun: what one is called: `task`.
        declared: its schema.
        example: one as it looks.
    """

    def __init__(self, noun: str, declared: type[Schema], example: Mapping[str, Any]) -> None:
        self._noun = noun
        self._id = f"{noun}_id"
        self.represent = representation(noun, declared)
        self.output = output_schema(declared)
        self.new, self.changes = (schema() for schema in input_schemas(declared))
        self._shown: Declared = {"answers": self.output, "example": example}
        of_answer = {self._id: "$response.body#/id"}
        current = {**of_answer, "If-Match": "$response.header.ETag"}
        writes = [f"{verb}_{noun}" for verb in ("update", "patch", "delete")]
        self._to_write = tuple(Link(name, current) for name in writes)
        self._to_all = (Link(f"get_{noun}", of_answer), *self._to_write)
        self.conflict = {412: (conflict_schema(noun, self.output), {noun: example})}
        """The shape of a problem with a version."""

    def page(self, **more: Any) -> type[Schema]:
        """The schema of a page; `more` are fields that differ from the usual."""
        return page_schema(f"{self._noun}s", self.output, **more)

    def listing(self, query: Input, page: type[Schema] | None = None) -> Declared:
        """What `GET` of all takes and answers."""
        plural = f"{self._noun}s"
        first = {self._id: f"$response.body#/{plural}/0/id"}
        return {
            "query": query,
            "parameters": ("If-None-Match",),
            "answers": page or self.page(),
            "example": {plural: [self._shown["example"]], "total": 1, "next_cursor": None},
            "headers": ("ETag", "Link"),
            "links": (
                Link(f"list_{plural}", {"cursor": "$response.body#/next_cursor"}),
                Link(f"get_{self._noun}", first),
            ),
        }

    def adding(self, body_example: Mapping[str, Any], *problems: type[Problem]) -> Declared:
        """What `POST` takes and answers."""
        return self._shown | {
            "body": self.new,
            "body_example": body_example,
            "status": 201,
            "parameters": ("Idempotency-Key",),
            "headers": ("ETag", "Location", "Idempotency-Replayed"),
            "problems": (QuotaExceeded, *problems),
            "links": self._to_all,
        }

    def getting(self) -> Declared:
        """What `GET` of one takes and answers."""
        return self._shown | {
            "parameters": ("If-None-Match",),
            "headers": ("ETag",),
            "problems": (Forbidden, NotFound),
            "links": self._to_write,
        }

    def changing(self, *problems: type[Problem]) -> Declared:
        """What `PUT` and `PATCH` take and answer."""
        return self.touching(*problems) | {"body": self.changes}

    def touching(self, *problems: type[Problem]) -> Declared:
        """What an operation without a body that changes one takes and answers."""
        return self._shown | {
            "parameters": ("If-Match",),
            "headers": ("ETag",),
            "problems": (*OUT_OF_REACH, *problems),
            "problem_shapes": self.conflict,
            "links": self._to_all,
        }

    def acting(self, body: Input, *problems: type[Problem]) -> Declared:
        """What a `POST` that does something with one takes and answers."""
        return self.touching(*problems) | {
            "body": body,
            "parameters": ("If-Match", "Idempotency-Key"),
            "headers": ("ETag", "Idempotency-Replayed"),
        }

    def deleting(self, *problems: type[Problem]) -> Declared:
        """What `DELETE` takes and answers."""
        return {
            "status": 204,
            "parameters": ("If-Match",),
            "problems": (*OUT_OF_REACH, *problems),
            "problem_shapes": self.conflict,
        }
