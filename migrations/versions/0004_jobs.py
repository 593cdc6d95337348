"""The queue of jobs."""

from collections.abc import Iterator
from pathlib import Path

from alembic import op
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

exempt = {"prefer-identity": "the schema is that of the library"}

SCHEMA = Path(__file__).parents[1] / "procrastinate_3_10_0.sql"

DROP = """
DROP TABLE procrastinate_events, procrastinate_periodic_defers;
DROP TABLE procrastinate_jobs, procrastinate_workers CASCADE;
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT oid::regprocedure AS name FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'procrastinate\\_%'
    LOOP
        EXECUTE 'DROP FUNCTION ' || found.name;
    END LOOP;
END
$$;
DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_status, procrastinate_job_event_type;
"""


class Verbatim(ExecutableDDLElement):
    """A statement that is executed as it is. In others, SQLAlchemy doubles percent signs."""

    def __init__(self, sql: str) -> None:
        self.sql = sql


@compiles(Verbatim)
def compile_verbatim(element: Verbatim, *_: object, **__: object) -> str:
    return element.sql


def upgrade() -> None:
    _execute(SCHEMA.read_text())


def downgrade() -> None:
    _execute(DROP)


def _execute(script: str) -> None:
    for statement in _statements(script):
        op.execute(Verbatim(statement), execution_options={"no_parameters": True})


def _statements(script: str) -> Iterator[str]:
    """The statements of a script. A semicolon inside a function's body ends none."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if line.rstrip().endswith(";") and statement.count("$$") % 2 == 0:
            yield statement.strip().removesuffix(";")
            statement = ""
