"""The commands of accounts: `flask users`, `flask sessions`."""

from __future__ import annotations

import sys
from typing import Any

import click

from taskapi.auth import administration
from taskapi.auth.schemas import NewUser
from taskapi.auth.second_factor import administration as second_factor
from taskapi.cli import CommandGroup
from taskapi.http.fields import normalized_email
from taskapi.http.schemas import load

users = CommandGroup("users", help="Create, list and change accounts.")

_email = click.argument("email")


@users.command()
@_email
def create(email: str) -> None:
    """Create an account for EMAIL. Prompts for the password, or reads it from standard input."""
    account = _validated(email, _new_password())
    user_id = administration.create_user(**account)
    click.echo(f"Created account {user_id} for {account['email']}.")


@users.command("list")
def list_users() -> None:
    """List all accounts."""
    click.echo(f"{'ID':>8}  {'TASKS':>7}  {'STATE':8}  {'REGISTERED':10}  EMAIL")
    for user in administration.all_users():
        state = "active" if user["is_active"] else "inactive"
        registered = f"{user['created_at']:%Y-%m-%d}"
        click.echo(
            f"{user['id']:>8}  {user['task_count']:>7}  {state:8}  {registered:10}  {user['email']}"
        )


@users.command()
@_email
def show(email: str) -> None:
    """Show the account of EMAIL."""
    for name, value in administration.get_user(normalized_email(email)).items():
        click.echo(f"{name.replace('_', ' ') + ':':22}{value}")


@users.command("set-password")
@_email
def set_password(email: str) -> None:
    """Set the password of EMAIL and end all its sessions. Prompts, or reads standard input."""
    account = _validated(email, _new_password())
    ended = administration.set_password(**account)
    click.echo(f"Changed the password of {account['email']}; ended {ended} sessions.")


@users.command()
@_email
def deactivate(email: str) -> None:
    """Deactivate the account of EMAIL: it cannot log in, and its sessions end."""
    ended = administration.set_active(normalized_email(email), active=False)
    click.echo(f"Deactivated {normalized_email(email)}; ended {ended} sessions.")


@users.command()
@_email
def activate(email: str) -> None:
    """Activate the account of EMAIL again."""
    administration.set_active(normalized_email(email), active=True)
    click.echo(f"Activated {normalized_email(email)}.")


@users.command("disable-second-factor")
@_email
def disable_second_factor(email: str) -> None:
    """Turn the second factor of EMAIL off, for somebody who lost the app and the recovery codes.

    Make sure of the identity of whoever asks for it. The password is still required to log in.
    """
    second_factor.disable(normalized_email(email))
    click.echo(f"Disabled the second factor of {normalized_email(email)}.")


@users.command()
def reencrypt() -> None:
    """Encrypt stored secrets with the current key.

    They are the secrets of second factors.

    Run it before a previous key is removed; see docs/operate.md.
    """
    result = second_factor.reencrypt()
    click.echo(f"Encrypted {result.changed} secrets with the current key.")
    if result.unreadable:
        raise click.ClickException(
            f"{result.unreadable} secrets cannot be decrypted. Add the key that encrypted them to"
            " JWT_PREVIOUS_SECRET_KEYS, and run this command again."
        )


@users.command()
@_email
def verify(email: str) -> None:
    """Mark EMAIL as verified, without a mail."""
    administration.set_verified(normalized_email(email))
    click.echo(f"Marked {normalized_email(email)} as verified.")


@users.command()
@_email
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(email: str, *, yes: bool) -> None:
    """Delete the account of EMAIL and all its data. This cannot be undone."""
    user = administration.get_user(normalized_email(email))
    if not yes:
        click.confirm(f"Delete {user['email']} and {user['task_count']} tasks?", abort=True)
    administration.delete_user(user["email"])
    click.echo(f"Deleted {user['email']}.")


sessions = CommandGroup("sessions", help="End sessions.")


@sessions.command("end-all")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def end_all(*, yes: bool) -> None:
    """End all sessions of all accounts, for example because the signing key has leaked.

    Replace the key first; see docs/operate.md.
    """
    if not yes:
        click.confirm("End all sessions? Everybody has to log in again.", abort=True)
    click.echo(f"Ended {administration.end_all_sessions()} sessions.")


def _new_password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _validated(email: str, password: str) -> dict[str, Any]:
    """Validate as a registration does."""
    return load(NewUser(), {"email": email, "password": password}, prefix="")
