"""The documentation pages: they load only local assets."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from taskapi.server.docs.assets import ASSETS, FOLDER, RELEASE

PAGES = ["/docs", "/redoc"]
OURS = [path for path in FOLDER.iterdir() if path.suffix in {".js", ".css", ".svg"}]


def _references(html: str) -> list[str]:
    return re.findall(r'(?:src|href|data-url)="([^"]*)"', html)


def _policy(header: str) -> dict[str, list[str]]:
    directives = (directive.split() for directive in header.split(";"))
    return {name: sources for name, *sources in directives}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_html_under_a_strict_policy(client: FlaskClient, page: str) -> None:
    response = client.get(page)

    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    policy = _policy(response.headers["Content-Security-Policy"])
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert policy["base-uri"] == ["'none'"]
    assert policy["form-action"] == ["'none'"]
    for sources in policy.values():
        assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"} & set(sources)


@pytest.mark.parametrize("page", PAGES)
def test_all_assets_of_a_page_are_local(client: FlaskClient, page: str) -> None:
    html = client.get(page).text

    assert "<title>taskapi" in html
    assert not re.search(r"<script(?![^>]*\bsrc=)", html), "an inline script"
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", html), "an inline style or handler"
    references = _references(html)
    assert "/openapi.json" in references
    for reference in references:
        assert re.match(r"/(?!/)", reference), f"{reference} is not a path on this server"
        assert client.get(reference).status_code == 200, reference


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_revalidated(client: FlaskClient, page: str) -> None:
    first = client.get(page)
    again = client.get(page, headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "no-cache"
    assert again.status_code == 304
    assert again.data == b""


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_assets_reference_no_other_host(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")

    assert not re.search(r"https?://|[\"'(]//", text)


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_is_served_unchanged_and_can_be_cached(client: FlaskClient, name: str) -> None:
    types = {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml; charset=utf-8",
        ".txt": "text/plain; charset=utf-8",
    }
    response = client.get(f"/docs/assets/{RELEASE}/{name}")

    assert response.status_code == 200
    assert response.content_type == types[Path(name).suffix]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Encoding" not in response.headers
    assert response.data == (FOLDER / name).read_bytes()
    assert response.cache_control.max_age == 31_536_000
    assert response.cache_control.public
    assert response.cache_control.immutable


@pytest.mark.parametrize("name", [name for name, asset in ASSETS.items() if asset.compressed])
def test_a_large_asset_is_compressed_if_the_client_supports_it(
    client: FlaskClient, name: str
) -> None:
    address = f"/docs/assets/{RELEASE}/{name}"
    plain = client.get(address)
    small = client.get(address, headers={"Accept-Encoding": "br;q=1.0, gzip;q=0.8"})
    refused = client.get(address, headers={"Accept-Encoding": "gzip;q=0"})

    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.data) == plain.data == refused.data
    assert small.content_type == plain.content_type
    assert small.headers["ETag"] != plain.headers["ETag"]
    known = {"Accept-Encoding": "gzip", "If-None-Match": small.headers["ETag"]}
    assert client.get(address, headers=known).status_code == 304
    assert {plain.headers["Vary"], small.headers["Vary"]} == {"Accept-Encoding"}


def test_an_asset_of_another_release_is_served_without_caching(client: FlaskClient) -> None:
    response = client.get("/docs/assets/0123456789ab/pages.css")

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["", "none.js", "README.md", "vendor", "vendor/redoc.standalone.js.gz", "../routes.py"]
)
def test_nothing_else_is_served(client: FlaskClient, name: str) -> None:
    response = client.get(f"/docs/assets/{RELEASE}/{name}")

    assert response.status_code == 404
    assert response.content_type == "application/problem+json"


def test_the_vendored_files_have_the_documented_hashes() -> None:
    readme = (FOLDER / "README.md").read_text()
    named = dict(re.findall(r"^\| (\S+) \| `([0-9a-f]{64})` \|$", readme, re.MULTILINE))
    files = [path for path in (FOLDER / "vendor").iterdir() if path.suffix != ".gz"]

    assert named == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert {"swagger-ui.LICENSE.txt", "redoc.LICENSE.txt"} <= named.keys()
    for packed in (FOLDER / "vendor").glob("*.gz"):
        assert gzip.decompress(packed.read_bytes()) == packed.with_suffix("").read_bytes()
