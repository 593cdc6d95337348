"""Commands of the OpenAPI document: `flask openapi`."""

from __future__ import annotations

from pathlib import Path

import click
from flask import current_app

from taskapi.cli import CommandGroup

openapi_commands = CommandGroup("openapi", help="The OpenAPI document.")


@openapi_commands.command()
@click.argument(
    "file", type=click.Path(dir_okay=False, path_type=Path), default="docs/openapi.json"
)
def write(file: Path) -> None:
    """Write the document to FILE (docs/openapi.json)."""
    file.write_bytes(current_app.extensions["taskapi_openapi"]())
    click.echo(f"Wrote {file}")
