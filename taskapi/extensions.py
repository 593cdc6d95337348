"""Third-party extensions, unbound: `create_app` binds them to an application."""

from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_cors import CORS
from flask_jwt_extended import JWTManager
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, Table
from sqlalchemy.orm import DeclarativeBase
from werkzeug.local import LocalProxy


class Base(DeclarativeBase):
    """The base of all models, with fixed names of constraints for migrations."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class Migrations:
    """Flask-Migrate, imported when a command needs it.

    It imports Alembic, which would take eight MiB in each worker.
    """

    def init_app(self, app: Flask, database: SQLAlchemy) -> None:
        """Register what `flask db` needs with the application."""
        app.extensions["migrate"] = LocalProxy(cache(partial(self._bind, app, database)))

    def upgrade(self) -> None:
        """Migrate the database of the current application."""
        import_module("flask_migrate").upgrade()

    def _bind(self, app: Flask, database: SQLAlchemy) -> Any:
        import_module("flask_migrate").Migrate(app, database)
        return app.extensions["migrate"]


db = SQLAlchemy(model_class=Base)
if TYPE_CHECKING:
    Model = Base  # Flask-SQLAlchemy creates db.Model at runtime, unknown to mypy
else:
    Model = db.Model
migrate = Migrations()
jwt = JWTManager()
cors = CORS()


def table_of(model: type[Base]) -> Table:
    """The table of a model, for statements."""
    found = model.__table__
    assert isinstance(found, Table)
    return found
