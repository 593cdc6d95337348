"""The SQL of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)

from taskapi.db.content_sql import ContentStatements, Moment, Values
from taskapi.db.content_table import ContentTable
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ID,
    ONE,
    WORKSPACE_ID,
    SqlRow,
    increment_version,
    locked_workspace,
    version_matches,
)
from taskapi.extensions import table_of
from taskapi.identity import Caller
from taskapi.tasks.labels.models import Label
from taskapi.tasks.list_counts import counts_of_task
from taskapi.tasks.models import MAX_LABELS, Task, TaskWords
from taskapi.tasks.occurrences.models import Occurrence
from taskapi.tasks.words import description_words, lexemes, title_words

_tasks, _words, _labels = table_of(Task), table_of(TaskWords), table_of(Label)
_occurrences = table_of(Occurrence)

DELETED_TOTALS = (
    "task_count",
    "completed_task_count",
    "text_bytes",
    "occurrence_count",
    "comment_count",
)
"""The totals that change when tasks are deleted."""

_MAX_LABELS = literal_column(str(MAX_LABELS), Integer)
_NO_LABELS: ColumnElement[Any] = literal_column("'{}'::bigint[]", ARRAY(BigInteger))

_SEARCHED = ("title", "description")
# One text each, separated by spaces: psycopg converts arrays of texts in Python, which is slow.
_TITLE_WORDS = bindparam("title_words", type_=Text)
_DESCRIPTION_WORDS = bindparam("description_words", type_=Text)
_SPACE = literal_column("' '", Text)


def list_column(rows: FromClause) -> ColumnElement[int]:
    """The list that a task is in; the inbox has the workspace's id."""
    return func.coalesce(rows.c.list_id, rows.c.workspace_id)


def _tsvector(words: ColumnElement[str]) -> ColumnElement[Any]:
    return func.array_to_tsvector(func.string_to_array(words, _SPACE))


def _is_completed(rows: SqlRow) -> ColumnElement[int]:
    return cast(cast(rows.c.is_completed, Boolean), Integer)


def text_bytes(rows: SqlRow) -> ColumnElement[int]:
    """The size of a task's texts."""
    description = func.coalesce(func.octet_length(rows.c.description), literal_column("0", Integer))
    return func.octet_length(rows.c.title) + description


def removed_columns(rows: SqlRow) -> list[ColumnElement[Any]]:
    """What `removed_totals` must know about deleted tasks."""
    size = text_bytes(rows) + rows.c.comment_bytes
    return [rows.c.id, rows.c.is_completed, size.label("text_bytes"), rows.c.comment_count]


def _occurrences_of(tasks: CTE) -> ColumnElement[int]:
    theirs = and_(_occurrences.c.workspace_id == WORKSPACE_ID, _occurrences.c.task_id == tasks.c.id)
    return select(func.count()).select_from(tasks.join(_occurrences, theirs)).scalar_subquery()


class _TaskStatements(ContentStatements):
    """The statements of tasks, with completion times, numbers of occurrences, and words."""

    maintained_columns = ("comment_count", "comment_bytes")
    deleted_totals = DELETED_TOTALS
    growing_totals = ("text_bytes",)
    previous_columns = ("title", "description", "is_completed", "list_id")
    simple_columns = ("title", "description", "priority", "estimate_minutes")

    def initial(self, column: Column[Any], moment: Moment) -> Any:
        if column.name == "completed_at":
            completed_at = func.coalesce(self.value("completed_at"), moment)
            return case((cast(self.value("is_completed"), Boolean), completed_at))
        return super().initial(column, moment)

    def assignment(self, column: Column[Any], before: SqlRow, moment: Moment) -> Any:
        usual = super().assignment(column, before, moment)
        if column.name == "completed_at":
            since = case(
                (self.is_given("completed_at"), self.value("completed_at")),
                (before.c.is_completed, before.c.completed_at),
                else_=moment,
            )
            completed = case((cast(self.value("is_completed"), Boolean), since))
            return case((self.is_given("is_completed"), completed), else_=before.c.completed_at)
        if column.name == "occurred":
            is_new_rule = before.c.rrule.is_distinct_from(self.value("rrule"))
            is_reset = and_(self.is_given("rrule"), not_(self.is_given("occurred")), is_new_rule)
            return case((is_reset, null()), else_=usual)
        return usual

    def standalone(self, before: SqlRow) -> list[ColumnElement[bool]]:
        """List and parent do not change, no subtask or occurrence is completed, and dates match.

        Due and recurrence match if both are given, which is validated before, or if the omitted one
        is null.
        """
        children = self.table.alias("children")
        has_children = exists().where(
            children.c.workspace_id == WORKSPACE_ID, children.c.parent_id == ID
        )
        is_due_given, is_rule_given = self.is_given("due_date"), self.is_given("rrule")
        rule = case((is_rule_given, self.value("rrule")), else_=before.c.rrule)
        return [
            *(
                or_(
                    not_(self.is_given(name)),
                    before.c[name].is_not_distinct_from(self.value(name)),
                )
                for name in ("list_id", "parent_id")
            ),
            or_(not_(is_due_given), is_rule_given, before.c.rrule.is_(None)),
            or_(not_(is_rule_given), is_due_given, self.value("rrule").is_(None)),
            or_(not_(self.is_given("start_date", "due_date")), self._starts_in_time(before)),
            or_(
                not_(self.is_given("is_completed")),
                not_(cast(self.value("is_completed"), Boolean)),
                and_(not_(has_children), or_(before.c.is_completed, rule.is_(None))),
            ),
        ]

    def _starts_in_time(self, before: SqlRow) -> ColumnElement[bool]:
        """As `dues.starts_in_time`, after the update."""
        names = ("start_date", "start_at", "due_date", "due_at")
        start_date, start_at, due_date, due_at = (
            case((self.is_given(name), self.value(name)), else_=before.c[name]) for name in names
        )
        is_by_day = start_date <= due_date
        return func.coalesce(
            case(
                (start_at.is_(None), is_by_day),
                (due_at.is_(None), is_by_day),
                else_=start_at <= due_at,
            ),
            true(),
        )

    def removed(self, gone: CTE) -> dict[str, ColumnElement[int]]:
        """As `removed_totals`, for a single task."""
        return {
            "task_count": -ONE,
            "completed_task_count": -_is_completed(gone),
            "text_bytes": -(text_bytes(gone) + gone.c.comment_bytes),
            "comment_count": -gone.c.comment_count,
        }

    def deletable(self, rows: SqlRow) -> list[ColumnElement[bool]]:
        """Whether the task has no occurrences, which could not be counted after a wait.

        A task that recurs may have got one meanwhile.
        """
        has_occurrences = exists().where(
            _occurrences.c.workspace_id == WORKSPACE_ID, _occurrences.c.task_id == ID
        )
        return [rows.c.rrule.is_(None), ~has_occurrences]

    def dependent_writes(self, after: SqlRow | None, before: CTE | None) -> Sequence[CTE]:
        """Writes the counts of lists, and the words of the task if its texts have changed."""
        counted = counts_of_task(before, after)
        if before is None or after is None:
            return counted
        return [*counted, self._changed_words(after, before)]

    def dependent_rows(self, after: SqlRow) -> Mapping[Table, Mapping[str, ColumnElement[Any]]]:
        """The words of a new task."""
        row = {"workspace_id": after.c.workspace_id, "task_id": after.c.id}
        title, description = map(_tsvector, (_TITLE_WORDS, _DESCRIPTION_WORDS))
        return {_words: {**row, "title_words": title, "description_words": description}}

    def _changed_words(self, after: SqlRow, before: CTE) -> CTE:
        title, description = map(_tsvector, (_TITLE_WORDS, _DESCRIPTION_WORDS))
        is_new = {name: before.c[name].is_distinct_from(after.c[name]) for name in _SEARCHED}
        # Do not read a long description to compare it with itself.
        is_new["description"] = and_(self.is_given("description"), is_new["description"])
        changed = (
            update(_words)
            .values(
                title_words=case((is_new["title"], title), else_=_words.c.title_words),
                description_words=case(
                    (is_new["description"], description), else_=_words.c.description_words
                ),
            )
            .where(_words.c.workspace_id == WORKSPACE_ID, _words.c.task_id == ID)
            .where(before.c.id == ID, or_(*is_new.values()))
        )
        return changed.cte("words")

    def more_parameters(self, caller: Caller, values: Values) -> Values:
        title, description = values.get("title"), values.get("description")
        workspace = caller.workspace_id
        return {
            "title_words": " ".join(lexemes(workspace, title_words(title or ""))),
            "description_words": " ".join(lexemes(workspace, description_words(description))),
        }


def removed_totals(gone: CTE) -> dict[str, ColumnElement[int]]:
    """How the totals change when these tasks are deleted.

    Their occurrences and comments are deleted with them.

    Args:
        gone: has their `removed_columns`.
    """
    nothing = literal_column("0", BigInteger)
    every = select(func.count()).select_from(gone).scalar_subquery()
    completed = select(func.count()).where(gone.c.is_completed.is_(true())).scalar_subquery()
    size, comments = (
        select(cast(func.coalesce(func.sum(gone.c[name]), nothing), BigInteger)).scalar_subquery()
        for name in ("text_bytes", "comment_count")
    )
    return {
        "task_count": -every,
        "completed_task_count": -completed,
        "text_bytes": -size,
        "occurrence_count": -_occurrences_of(gone),
        "comment_count": -comments,
    }


def may_affect_others(values: Values) -> bool:
    """Whether an update of these columns may not be `standalone`."""
    names = {"list_id", "parent_id", "due_date", "start_date", "rrule"}
    return bool(names & values.keys() or values.get("is_completed"))


tasks = ContentTable(
    Task,
    "task",
    _TaskStatements(
        Task,
        {
            "task_count": lambda rows: ONE,
            "completed_task_count": _is_completed,
            "text_bytes": text_bytes,
        },
    ),
    references={
        "fk_tasks_lists": ("list_id", "list"),
        "fk_tasks_labels": ("label_ids", "label"),
        "fk_tasks_memberships": ("assignee_id", "member"),
    },
)

_LABEL_ID = bindparam("label_id", type_=BigInteger)


@cache
def labelling(*, adds: bool) -> Statement:
    """Adds a label to a task, or removes it, and returns the task.

    Its parameter is label_id. The task does not change if it has the label already (or not), or if
    it has the maximum number of labels.
    """
    workspace = locked_workspace()
    label = (
        select(_labels.c.id)
        .join(workspace, _labels.c.workspace_id == workspace.c.id)
        .where(_labels.c.workspace_id == WORKSPACE_ID, _labels.c.id == _LABEL_ID)
        .with_for_update(of=_labels, read=True, key_share=True)
        .cte("label")
    )
    before = (
        select(*_tasks.c)
        .join(workspace, _tasks.c.workspace_id == workspace.c.id)
        .join(label, label.c.id == _LABEL_ID)
        .where(_tasks.c.workspace_id == WORKSPACE_ID, _tasks.c.id == ID, version_matches(_tasks))
        .with_for_update(of=_tasks, key_share=True)
        .cte("before")
    )
    label_ids = func.coalesce(before.c.label_ids, _NO_LABELS)
    has_label = any_(label_ids) == _LABEL_ID
    if adds:
        changes = and_(~has_label, func.cardinality(label_ids) < _MAX_LABELS)
        changed = func.array_append(label_ids, _LABEL_ID)
    else:
        changes, changed = has_label, func.array_remove(label_ids, _LABEL_ID)
    after = (
        update(_tasks)
        .values(label_ids=changed, version=workspace.c.next_version, updated_at=workspace.c.moment)
        .where(_tasks.c.workspace_id == WORKSPACE_ID, _tasks.c.id == ID, before.c.id == ID, changes)
        .returning(*_tasks.c)
        .cte("after")
    )
    unchanged = select(*before.c).where(~exists().where(after.c.id == ID))
    task = union_all(select(*after.c), unchanged)
    return Statement(task.add_cte(increment_version(workspace, after, {})), writes=True)
