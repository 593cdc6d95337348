"""Common code of the commands of all features."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click

from taskapi.problems import Problem

P = ParamSpec("P")


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Print problems as one line on standard error, and exit with status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Problem as problem:
            raise click.ClickException(problem.detail) from None

    return run
