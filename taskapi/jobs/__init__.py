"""Jobs: work that a worker process does after a request, such as sending mail.

    @job("send_welcome")
    def send_welcome(user_id: int) -> None: ...

    with database.transaction():
        ...
        send_welcome.defer(user_id=7)

A job exists exactly if the transaction that queued it was committed. It runs in `flask worker`, in
an application context, and at least once: a job whose worker is killed runs again. Arguments are
stored and shown to administrators, so they are IDs, never secrets.

This package queues jobs and runs them. What they do is in the packages of the features.
"""

from taskapi.jobs.queue import Job, JobRejected, job

__all__ = ["Job", "JobRejected", "job"]
