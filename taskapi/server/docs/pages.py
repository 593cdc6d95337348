"""HTML pages under a strict policy, which load only assets of the service."""

from __future__ import annotations

from flask import Request, Response, render_template, url_for

from .assets import RELEASE

SAME_ORIGIN = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""A Content-Security-Policy without inline scripts and styles."""


def page_response(
    request: Request, template: str, policy: dict[str, str], **values: str
) -> Response:
    """Return the page of a template, in which `file` returns the path of an asset."""
    html = render_template(template, file=_path, **values)
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = "; ".join(
        f"{directive} {sources}" for directive, sources in policy.items()
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.cache_control.no_cache = True
    response.add_etag()
    response.make_conditional(request)
    return response


def _path(name: str) -> str:
    return url_for("docs.asset", release=RELEASE, name=name)
