"""Creates samples in a workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taskapi.db.listing import Page
from taskapi.demo.samples import SampleTask
from taskapi.identity import Caller
from taskapi.tasks.comments.service import create_comment
from taskapi.tasks.occurrences import service as occurrences
from taskapi.tasks.service import create_task


def create_missing(
    caller: Caller,
    samples: Iterable[Mapping[str, Any]],
    create_one: Callable[[Caller, dict[str, Any]], Any],
    found: Page[Any],
) -> dict[str, int]:
    """Create the rows that do not exist, and return the IDs of all by name."""
    known = {row.name.lower(): row.id for row in found.rows or ()}
    return {
        sample["name"]: known.get(sample["name"].lower()) or create_one(caller, dict(sample)).id
        for sample in samples
    }


def create(
    caller: Caller,
    task: SampleTask,
    lists: Mapping[str, int],
    labels: Mapping[str, int],
    task_ids: Mapping[str, int],
) -> int:
    """Create a sample task with its history, and return its ID.

    Args:
        lists, labels, task_ids: the IDs of lists and labels by name, and of parents by title.
    """
    values = task.values | {"label_ids": [labels[name] for name in task.labels]}
    if task.list:
        values["list_id"] = lists[task.list]
    if task.parent:
        values["parent_id"] = task_ids[task.parent]
    task_id = create_task(caller, values).id
    for outcome in task.outcomes:
        advance = occurrences.complete if outcome == "completed" else occurrences.skip
        advance(caller, task_id, keep_missed=True, if_match=None)
    for text in task.comments:
        create_comment(caller, task_id, {"text": text})
    return task_id
