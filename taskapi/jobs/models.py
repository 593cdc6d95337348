"""The tables of procrastinate, the library that queues jobs.

Its functions write them, and the migrations create them from its own schema. They are declared here
for queries, and so that Alembic and the tests compare them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ENUM, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.elements import conv

from taskapi.extensions import Model

_STATUS = "procrastinate_job_status"
_UNFINISHED = text(f"status = ANY (ARRAY['todo'::{_STATUS}, 'doing'::{_STATUS}])")


class JobWorker(Model):
    """A worker that is running, and when it last reported so."""

    __tablename__ = "procrastinate_workers"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="procrastinate_workers_pkey"),
        Index("idx_procrastinate_workers_last_heartbeat", "last_heartbeat"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    last_heartbeat: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=text("now()")
    )


class QueuedJob(Model):
    """A job that waits, runs or has failed. `attempts` counts those that have ended."""

    __tablename__ = "procrastinate_jobs"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="procrastinate_jobs_pkey"),
        CheckConstraint(
            "NOT (status = 'todo' AND abort_requested = true)",
            name=conv("check_not_todo_abort_requested"),
        ),
        Index(
            "procrastinate_jobs_queueing_lock_idx_v1",
            "queueing_lock",
            unique=True,
            postgresql_where=text(f"status = 'todo'::{_STATUS}"),
        ),
        Index(
            "procrastinate_jobs_lock_idx_v1",
            "lock",
            unique=True,
            postgresql_where=text(f"status = 'doing'::{_STATUS}"),
        ),
        Index(
            "idx_procrastinate_jobs_worker_not_null",
            "worker_id",
            postgresql_where=text(f"worker_id IS NOT NULL AND status = 'doing'::{_STATUS}"),
        ),
        Index("procrastinate_jobs_queue_name_idx_v1", "queue_name"),
        Index("procrastinate_jobs_id_lock_idx_v1", "id", "lock", postgresql_where=_UNFINISHED),
        Index(
            "procrastinate_jobs_priority_idx_v1",
            text("priority DESC"),
            "id",
            postgresql_where=text(f"status = 'todo'::{_STATUS}"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, autoincrement=True)
    queue_name: Mapped[str] = mapped_column(String(128))
    task_name: Mapped[str] = mapped_column(String(128))
    priority: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    lock: Mapped[str | None] = mapped_column(Text)
    queueing_lock: Mapped[str | None] = mapped_column(Text)
    args: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    status: Mapped[str] = mapped_column(
        ENUM(
            *("todo", "doing", "succeeded", "failed", "cancelled", "aborting", "aborted"),
            name=_STATUS,
        ),
        server_default=text(f"'todo'::{_STATUS}"),
    )
    scheduled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    abort_requested: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    worker_id: Mapped[int | None] = mapped_column(
        BigInteger,
        ForeignKey(
            "procrastinate_workers.id",
            name="procrastinate_jobs_worker_id_fkey",
            ondelete="SET NULL",
        ),
    )


class PeriodicDefer(Model):
    """When a periodic job was last queued."""

    __tablename__ = "procrastinate_periodic_defers"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="procrastinate_periodic_defers_pkey"),
        UniqueConstraint(
            *("task_name", "periodic_id", "defer_timestamp"),
            name="procrastinate_periodic_defers_unique",
        ),
        Index("procrastinate_periodic_defers_job_id_fkey_v1", "job_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, autoincrement=True)
    task_name: Mapped[str] = mapped_column(String(128))
    defer_timestamp: Mapped[int | None] = mapped_column(BigInteger)
    job_id: Mapped[int | None] = mapped_column(
        BigInteger,
        ForeignKey("procrastinate_jobs.id", name="procrastinate_periodic_defers_job_id_fkey"),
    )
    periodic_id: Mapped[str] = mapped_column(String(128), server_default=text("''"))


class JobEvent(Model):
    """A change of a job's status."""

    __tablename__ = "procrastinate_events"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="procrastinate_events_pkey"),
        Index("procrastinate_events_job_id_fkey_v1", "job_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, autoincrement=True)
    job_id: Mapped[int] = mapped_column(
        BigInteger,
        ForeignKey(
            "procrastinate_jobs.id", name="procrastinate_events_job_id_fkey", ondelete="CASCADE"
        ),
    )
    type: Mapped[str | None] = mapped_column(
        ENUM(
            *("deferred", "started", "deferred_for_retry", "failed", "succeeded", "cancelled"),
            *("abort_requested", "aborted", "scheduled", "retried"),
            name="procrastinate_job_event_type",
        )
    )
    at: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), server_default=text("now()")
    )
