"""What the operations of a resource have in common: list, create, get, update and delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema

from taskapi.db.quotas import QuotaExceeded
from taskapi.http.operations import Link
from taskapi.http.representation import (
    conflict_schema,
    declared_fields,
    input_schemas,
    output_schema,
    page_schema,
    register,
    representation,
    taken_schema,
)
from taskapi.http.schemas import Input
from taskapi.problems import Forbidden, NameTaken, NotFound, PreconditionFailed, Problem

Arguments = dict[str, Any]
"""Arguments of `operation`."""

ProblemSchemas = dict[int, tuple[type[Schema], Mapping[str, Any]]]
"""By status, the schema of errors with more members, and an example of these."""

WRITE_PROBLEMS = (Forbidden, NotFound, PreconditionFailed)
"""Errors of an operation that changes one row."""

CONDITIONS_OF_READS = ("If-Match", "If-None-Match")
"""Request headers of an operation that returns an ETag."""


@dataclass(kw_only=True)
class Resource:
    """A resource, and the arguments of `operation` for its operations.

    For a resource `task` the views are called `list_tasks`, `create_task`, `get_task`,
    `update_task`, `patch_task` and `delete_task`. Its ID in a path is `task_id`. The scopes of
    personal access tokens for it are `tasks:read` and `tasks:write`.

    Args:
        noun: the name in messages: `task`.
        declared: its schema.
        example: an example of its representation.
        in_pages: its schema in pages, if that has more fields. In a body they are ignored.
        example_in_pages: the values of these fields in the example.
        parent: for a resource below another, the path parameter of its list: `task_id`.
        verbs: the operations that change it.
    """

    noun: str
    declared: type[Schema]
    example: Mapping[str, Any]
    in_pages: type[Schema] | None = None
    example_in_pages: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    verbs: Sequence[str] = ("update", "patch", "delete")

    def __post_init__(self) -> None:
        noun, in_pages = self.noun, self.in_pages or self.declared
        self._id = f"{noun}_id"
        self.reading: Arguments = {"scopes": (f"{noun}s:read",)}
        self.writing: Arguments = {"scopes": (f"{noun}s:write",)}
        self.represent = representation(self.declared)
        self.represent_in_page = representation(in_pages)
        register(noun, self.represent)
        self.output = output_schema(self.declared)
        self._row = output_schema(in_pages) if self.in_pages else self.output
        schemas = input_schemas(self.declared, declared_fields(in_pages))
        self.new, self.changes, self.patch = schemas.new(), schemas.changes(), schemas.patch()
        self._response: Arguments = {"response": self.output, "example": self.example}
        id_in_response = {self._id: "$response.body#/id"}
        if self.parent:
            id_in_response[self.parent] = f"$response.body#/{self.parent}"
        current = {**id_in_response, "If-Match": "$response.header.ETag"}
        writes = [f"{verb}_{noun}" for verb in self.verbs]
        self._links_to_writes = tuple(Link(name, current) for name in writes)
        self._links = (Link(f"get_{noun}", id_in_response), *self._links_to_writes)
        example = {noun: self.example}
        self.conflict: ProblemSchemas = {412: (conflict_schema(noun, self.output), example)}
        """The schema of the error for another version, which contains the current one."""

        self._taken: ProblemSchemas = {409: (taken_schema(noun, self.output), example)}

    def page(self, **overrides: Any) -> type[Schema]:
        """The schema of a page; `overrides` replace its fields."""
        name = f"{self.output.__name__}Page"
        return page_schema(name, f"{self.noun}s", self._row, **overrides)

    def listing(self, query: Input, page: type[Schema] | None = None) -> Arguments:
        """Arguments for `GET` of the collection.

        Args:
            page: the schema of a page, if it is not the usual one.
        """
        row = {**self.example, **self.example_in_pages}
        plural = f"{self.noun}s"
        first = {self._id: f"$response.body#/{plural}/0/id"}
        following = {"cursor": "$response.body#/next_cursor"}
        if self.parent:
            first[self.parent] = following[self.parent] = (
                f"$response.body#/{plural}/0/{self.parent}"
            )
        return self.reading | {
            "query": query,
            "parameters": CONDITIONS_OF_READS,
            "problems": (PreconditionFailed,),
            "response": page or self.page(),
            "example": {plural: [row], "total": 1, "next_cursor": None},
            "headers": ("ETag", "Link"),
            "links": (
                Link(f"list_{plural}", following),
                Link(f"get_{self.noun}", first),
            ),
        }

    def creating(self, body_example: Mapping[str, Any], *problems: type[Problem]) -> Arguments:
        """Arguments for `POST` of a new row.

        Args:
            body_example: the fields of the example that the client sends.
        """
        return (
            self.writing
            | self._response
            | {
                "body": self.new,
                "body_example": body_example,
                "status": 201,
                "parameters": ("Idempotency-Key",),
                "headers": ("ETag", "Location", "Idempotency-Replayed"),
                "problems": (QuotaExceeded, *problems),
                "problem_schemas": self._taken_if(problems),
                "links": self._links,
            }
        )

    def getting(self) -> Arguments:
        """Arguments for `GET` of one row."""
        return (
            self.reading
            | self._response
            | {
                "parameters": CONDITIONS_OF_READS,
                "headers": ("ETag",),
                "problems": (Forbidden, NotFound, PreconditionFailed),
                "links": self._links_to_writes,
            }
        )

    def updating(self, *problems: type[Problem]) -> Arguments:
        """Arguments for `PUT` and `PATCH`."""
        return self.updating_without_body(*problems) | {"body": self.changes}

    def updating_without_body(self, *problems: type[Problem]) -> Arguments:
        """Arguments for an operation that changes one row and has no body."""
        return (
            self.writing
            | self._response
            | {
                "parameters": ("If-Match",),
                "headers": ("ETag",),
                "problems": (*WRITE_PROBLEMS, *problems),
                "problem_schemas": self.conflict | self._taken_if(problems),
                "links": self._links,
            }
        )

    def acting(self, body: Input, *problems: type[Problem]) -> Arguments:
        """Arguments for `POST` of an action on one row."""
        return self.updating_without_body(*problems) | {
            "body": body,
            "parameters": ("If-Match", "Idempotency-Key"),
            "headers": ("ETag", "Idempotency-Replayed"),
        }

    def deleting(self, *problems: type[Problem]) -> Arguments:
        """Arguments for `DELETE`."""
        return self.writing | {
            "status": 204,
            "parameters": ("If-Match",),
            "problems": (*WRITE_PROBLEMS, *problems),
            "problem_schemas": self.conflict,
        }

    def _taken_if(self, problems: Sequence[type[Problem]]) -> ProblemSchemas:
        """The schemas of errors that contain the row with a taken name."""
        return self._taken if any(issubclass(kind, NameTaken) for kind in problems) else {}
