"""The pages of links in mails."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from taskapi.server.docs.pages import SAME_ORIGIN, page_response

blueprint = Blueprint("account", __name__, template_folder="templates")


@blueprint.get("/verify-email")
def verify_email() -> Response:
    """Verifies an email, or confirms a new one."""
    return _page("verify_email", "emails.verify_email")


@blueprint.get("/undo-email")
def undo_email() -> Response:
    """Undoes a change of the email."""
    return _page("undo_email", "emails.undo_email_change")


@blueprint.get("/reset-password")
def reset_password() -> Response:
    """Sets a new password."""
    return _page("reset_password", "emails.reset_password")


def _page(page: str, endpoint: str) -> Response:
    return page_response(request, f"account/{page}.html", SAME_ORIGIN, operation=url_for(endpoint))
