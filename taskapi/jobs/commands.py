"""`flask worker` and `flask jobs`."""

from __future__ import annotations

from importlib import import_module

import click
from flask import Flask

from config import Settings
from taskapi.cli import CommandGroup
from taskapi.jobs import service
from taskapi.runtime.parent import end_with_parent


def worker_command(app: Flask, settings: Settings) -> click.Command:
    """`flask worker` for an application and its settings."""

    @click.command("worker")
    def worker() -> None:
        """Run jobs, such as sending mail, until SIGTERM or Ctrl-C.

        Several workers can run at once, on any machines.
        """
        end_with_parent()
        # asyncio and its pool of connections would take memory in each process of the service.
        import_module("taskapi.jobs.worker").run(app, settings)

    return worker


jobs = CommandGroup("jobs", help="List jobs, and run failed ones again.")

_job_id = click.argument("job_id", type=click.IntRange(1))


@jobs.command("list")
@click.option("--failed", "only_failed", is_flag=True, help="Only jobs that have failed.")
def list_jobs(*, only_failed: bool) -> None:
    """List the newest 1,000 jobs that wait, run or have failed."""
    click.echo(f"{'ID':>8}  {'STATE':8}  {'ATTEMPTS':>8}  {'CHANGED (UTC)':16}  JOB")
    for one in service.jobs(only_failed=only_failed):
        changed = f"{one['changed_at']:%Y-%m-%d %H:%M}"
        click.echo(
            f"{one['id']:>8}  {one['state']:8}  {one['attempts']:>8}  {changed:16}"
            f"  {one['task_name']} {one['arguments']}"
        )


@jobs.command()
@click.argument("job_id", type=click.IntRange(1), required=False)
@click.option("--all", "all_failed", is_flag=True, help="All jobs whose last attempt failed.")
def retry(job_id: int | None, *, all_failed: bool) -> None:
    """Run a job that has failed, or waits for its next attempt, as soon as possible."""
    if (job_id is None) != all_failed:
        raise click.UsageError("Specify the ID of a job, or --all.")
    if job_id is None:
        click.echo(f"Queued {service.retry_all()} jobs again.")
        return
    service.retry(job_id)
    click.echo(f"Queued job {job_id} again.")


@jobs.command()
@_job_id
def delete(job_id: int) -> None:
    """Delete a job that has failed or is waiting."""
    service.delete(job_id)
    click.echo(f"Deleted job {job_id}.")


@jobs.command()
def status() -> None:
    """Show how many jobs are due, scheduled, running and failed, and the oldest's age."""
    for name, value in service.figures().items():
        click.echo(f"{name.replace('_', ' ') + ':':16}{value}")
