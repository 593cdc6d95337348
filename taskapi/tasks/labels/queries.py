"""The SQL of labels."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import array

from taskapi.db.content_sql import ContentStatements
from taskapi.db.names import BY_NAME, NamedTable
from taskapi.db.pages import BY_CREATION
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ID,
    ONE,
    WORKSPACE_ID,
    increment_version,
    locked_workspace,
    version_matches,
)
from taskapi.extensions import table_of
from taskapi.problems import NameTaken
from taskapi.tasks.labels.models import Label
from taskapi.tasks.models import Task

_labels, _tasks = table_of(Label), table_of(Task)
_INTO = bindparam("into", type_=BigInteger)
# Compared with the parameter, which an index can search, and not with the label's row.
_HAS_LABEL = _tasks.c.label_ids.contains(array([ID]))
_ONE_LESS = {"label_count": -ONE}


class LabelExists(NameTaken):
    """Another label has this name."""

    code = "label_exists"
    title = "Label exists"
    detail = "Another label has this name."


labels = NamedTable(
    Label, "label", ContentStatements(Label, {"label_count": lambda rows: ONE}), LabelExists
)

SORTS = {"name": BY_NAME, "created_at": BY_CREATION}

MAX_TASKS = 10_000
"""With a label that is deleted or merged in one step."""

PIECE = 5_000
"""The tasks that a step changes if there are more."""

_HAS_MANY_TASKS = exists(
    select(_tasks.c.id)
    .where(_tasks.c.workspace_id == WORKSPACE_ID, _HAS_LABEL)
    .offset(literal_column(str(MAX_TASKS), BigInteger))
)

label_page = cache(labels.page)
"""A page of the workspace's labels."""


def _deletion() -> Statement:
    """Deletes a label, and removes it from its tasks."""
    workspace = locked_workspace(["label_count"])
    doomed = _doomed(workspace).where(~_HAS_MANY_TASKS).cte("doomed")
    freed = _relabelled(workspace, doomed, func.array_remove(_tasks.c.label_ids, ID))
    gone = _gone(doomed)
    return Statement(
        select(gone.c.id).add_cte(freed, increment_version(workspace, gone, {"label_count": -ONE})),
        writes=True,
    )


def _merge() -> Statement:
    """Deletes a label, replaces it on its tasks by the label `into`, and returns that label."""
    workspace = locked_workspace(["label_count"])
    target = (
        select(*_labels.c)
        .join(workspace, _labels.c.workspace_id == workspace.c.id)
        .where(_labels.c.workspace_id == WORKSPACE_ID, _labels.c.id == _INTO, _labels.c.id != ID)
        .with_for_update(of=_labels, read=True, key_share=True)
        .cte("target")
    )
    few = _doomed(workspace).where(~_HAS_MANY_TASKS)
    doomed = few.join(target, target.c.id == _INTO).cte("doomed")
    # The trigger of tasks removes duplicate labels.
    replaced = func.array_replace(_tasks.c.label_ids, ID, _INTO)
    relabelled = _relabelled(workspace, doomed, replaced)
    gone = _gone(doomed)
    merged = select(*target.c).where(exists().where(gone.c.id == ID))
    return Statement(
        merged.add_cte(relabelled, increment_version(workspace, gone, {"label_count": -ONE})),
        writes=True,
    )


def _doomed(workspace: CTE) -> Select[Any]:
    return (
        select(_labels.c.id)
        .join(workspace, _labels.c.workspace_id == workspace.c.id)
        .where(_labels.c.workspace_id == WORKSPACE_ID, _labels.c.id == ID, version_matches(_labels))
        .with_for_update(of=_labels)
    )


def _relabelled(
    workspace: CTE, doomed: CTE, label_ids: ColumnElement[Any], *more: ColumnElement[bool]
) -> CTE:
    """An update of the tasks that have the label, and match more conditions."""
    changed = {"version": workspace.c.next_version, "updated_at": workspace.c.moment}
    return (
        update(_tasks)
        .values(label_ids=label_ids, **changed)
        .where(_tasks.c.workspace_id == WORKSPACE_ID, _HAS_LABEL)
        .where(doomed.c.id == ID, *more)
        .returning(_tasks.c.workspace_id)
        .cte("relabelled")
    )


def _piece(label_ids: ColumnElement[Any]) -> Statement:
    """Takes the label from some of its tasks, before it is deleted or merged."""
    workspace = locked_workspace()
    doomed = _doomed(workspace).cte("doomed")
    some = (
        select(_tasks.c.id)
        .where(_tasks.c.workspace_id == WORKSPACE_ID, _HAS_LABEL)
        .limit(literal_column(str(PIECE), BigInteger))
        .scalar_subquery()
    )
    relabelled = _relabelled(workspace, doomed, label_ids, _tasks.c.id.in_(some))
    one = select(relabelled.c.workspace_id).limit(ONE).cte("one")
    counted = increment_version(workspace, one, {})
    return Statement(select(one.c.workspace_id).add_cte(counted), writes=True)


def _gone(doomed: CTE) -> CTE:
    return (
        delete(_labels)
        .where(_labels.c.workspace_id == WORKSPACE_ID, _labels.c.id == doomed.c.id)
        .returning(_labels.c.id, _labels.c.workspace_id)
        .cte("gone")
    )


deletion, merge = _deletion(), _merge()
deletion_piece = _piece(func.array_remove(_tasks.c.label_ids, ID))
merge_piece = _piece(func.array_replace(_tasks.c.label_ids, ID, _INTO))

has_many_tasks = Statement(select(_HAS_MANY_TASKS.label("has_many")))
"""Whether more tasks have a label than are changed in one step."""
