"""What the routes of accounts have in common."""

from __future__ import annotations

from flask import Request, Response

from taskapi.auth.service import Device, Login
from taskapi.http.addresses import client_address
from taskapi.http.responses import json_response


def login_response(opened: Login, status: int = 200) -> Response:
    """The response with the tokens of a session."""
    return json_response(opened._asdict() | {"token_type": "bearer"}, status)


def device_of(request: Request) -> Device:
    """The client that sent a request."""
    return Device(request.headers.get("User-Agent", "")[:255] or None, client_address(request))
