"""The documentation pages: Swagger UI and ReDoc."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from .assets import ASSETS, RELEASE
from .pages import SAME_ORIGIN, page_response

blueprint = Blueprint("docs", __name__, template_folder="templates")

_ONE_YEAR = 31_536_000

# ReDoc adds two style elements: an empty one, which it fills rule by rule, and one for scroll bars.
# Only their hashes are allowed. Its search runs in a worker made from a string.
_REDOC = SAME_ORIGIN | {
    "style-src": (
        "'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
        " 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
    ),
    "worker-src": "blob:",
}


@blueprint.get("/docs")
def swagger_ui() -> Response:
    """Swagger UI, which can send requests."""
    return _page("swagger_ui", SAME_ORIGIN)


@blueprint.get("/redoc")
def redoc() -> Response:
    """ReDoc, which is easier to read."""
    return _page("redoc", _REDOC)


@blueprint.get("/docs/assets/<release>/<path:name>")
def asset(release: str, name: str) -> Response:
    """A file of the pages.

    `release` only decides how long caches store it: during a deployment, a page of one version may
    request files from the other.
    """
    found = ASSETS.get(name)
    if found is None:
        abort(404)
    compressed = found.compressed if request.accept_encodings["gzip"] > 0 else None
    response = Response((compressed or found.path).read_bytes(), mimetype=found.media_type)
    response.set_etag(f"{found.digest[:32]}{'-gzip' if compressed else ''}")
    if compressed:
        response.content_encoding = "gzip"
    if found.compressed:
        response.vary.add("Accept-Encoding")
    return _cacheable(response, is_immutable=release == RELEASE)


def _cacheable(response: Response, *, is_immutable: bool) -> Response:
    if is_immutable:
        response.cache_control.max_age = _ONE_YEAR
        response.cache_control.public = True
        response.cache_control.immutable = True
    else:
        response.cache_control.no_cache = True
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.make_conditional(request)
    return response


def _page(page: str, policy: dict[str, str]) -> Response:
    document = f"{request.script_root}/openapi.json"
    return page_response(request, f"docs/{page}.html", policy, page=page, document=document)
