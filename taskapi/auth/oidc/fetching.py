"""Requests to a provider, bounded in size and without redirects."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from authlib.integrations.requests_client import OAuth2Session
from requests import PreparedRequest, RequestException, Response
from requests.adapters import HTTPAdapter

MAX_BYTES = 256 * 1024
"""The size of a provider's response, without compression."""

_SOCKET_SECONDS = 5.0


class ResponseTooLargeError(RequestException):
    """A provider's response exceeds the maximum size."""


class BoundedAdapter(HTTPAdapter):
    """Reads each response up to the maximum size, and waits for a socket for a limited time."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """As `HTTPAdapter.send`.

        Raises:
            ResponseTooLargeError: the response exceeds the maximum size.
        """
        kwargs |= {"stream": True, "timeout": _SOCKET_SECONDS}
        response = super().send(request, *args, **kwargs)
        with response.raw as connection:
            body = connection.read(MAX_BYTES + 1, decode_content=True)
        if len(body) > MAX_BYTES:
            raise ResponseTooLargeError(request=request)
        response.raw = BytesIO(body)
        return response


def session(client_id: str, **options: Any) -> Any:
    """An OAuth 2.0 session of Authlib with these limits."""
    # A token is used at once, or not at all.
    made = OAuth2Session(client_id, leeway=0, **options)
    made.max_redirects = 0
    for scheme in ("https://", "http://"):
        made.mount(scheme, BoundedAdapter())
    return made


def json_object(response: Response) -> Mapping[str, Any]:
    """The JSON object in a successful response.

    Raises:
        ValueError, TypeError, RequestException: there is none.
    """
    response.raise_for_status()
    found = response.json()
    if not isinstance(found, dict):
        raise TypeError("not a JSON object")
    return found
