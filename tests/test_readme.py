"""README and the pages of docs: commands run, tables are complete, links resolve."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support import databases, jobs
from support.servers import serving

from config import Settings
from taskapi.http.operations import operation_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
GUIDES = sorted((DOCS / "guide").glob("*.md"))
CURL_STAND_IN = Path(__file__).parent / "support" / "bin"
MAX_TOUR_LINES = 60


def _section(title: str, text: str) -> str:
    """The section with this title, without its heading."""
    _, heading, rest = text.partition(f"\n## {title}\n")
    assert heading
    return rest.partition("\n## ")[0]


TOUR = _section("Tour", README)


def _blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _default(value: object) -> str:
    if value is None or value == ():
        return ""
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def test_table_of_settings_matches_config() -> None:
    rows = [line for line in _section("Settings", README).splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{setting.name.upper()}` | {_default(setting.default)} | {setting.metadata['about']} |"
        for setting in fields(Settings)
    ]


def test_table_of_endpoints_matches_routes(app: Flask) -> None:
    table = _section("Endpoints", (DOCS / "api.md").read_text())
    documented = dict(re.findall(r"^\| `(\w+ \S+)` \| (\w+)", table, re.MULTILINE))
    declared = {}
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"} if operation else ():
            assert operation
            token = (
                "optional"
                if operation.is_token_optional
                else "no"
                if operation.is_public
                else "yes"
            )
            declared[f"{method} {path}"] = token
    assert documented == declared


def test_table_of_commands_is_complete(app: Flask) -> None:
    table = _section("Commands", (DOCS / "operate.md").read_text())
    for name, command in app.cli.commands.items():
        assert f"`flask {name}" in table
        for part in getattr(command, "commands", {}) if name != "db" else ():
            assert f"`{part}`" in table or f"`flask {name} {part}`" in table


def test_architecture_names_each_package() -> None:
    architecture = (DOCS / "architecture.md").read_text()
    for package in (ROOT / "taskapi").iterdir():
        if (package / "__init__.py").exists():
            assert re.search(rf"\b{package.name}\b", architecture)
    for name in ("http", "db"):
        for module in (ROOT / "taskapi" / name).glob("[a-z]*.py"):
            assert f"`{name}/{module.name}`" in architecture


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as on GitHub."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_pages_resolve() -> None:
    for page in [*ROOT.glob("*.md"), *DOCS.glob("**/*.md")]:
        for link in re.findall(r"\]\(([^):]+)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), f"{page.name} links to {link}"
            assert not anchor or anchor in _anchors(target), f"{page.name} links to {link}"


def test_decisions_are_listed() -> None:
    listed = (DOCS / "decisions" / "README.md").read_text()
    for record in (DOCS / "decisions").glob("0*.md"):
        assert f"({record.name})" in listed
        assert record.read_text().splitlines()[0].removeprefix("# ").partition(": ")[2] in listed


def test_guides_are_linked() -> None:
    for guide in GUIDES:
        assert f"(docs/guide/{guide.name})" in README
    for guide in (DOCS / "deploy").glob("[a-z]*.md"):
        assert f"({guide.name})" in (DOCS / "deploy" / "README.md").read_text()


def test_tour_is_short() -> None:
    assert len(TOUR.strip().splitlines()) <= MAX_TOUR_LINES


@pytest.mark.parametrize("page", [ROOT / "README.md", *GUIDES], ids=lambda page: page.stem)
def test_functions_shadow_no_command(page: Path) -> None:
    names = set(re.findall(r"^(\w+)\(\)", "".join(_blocks("sh", page.read_text())), re.MULTILINE))
    assert names
    for name in names:
        found = subprocess.run(
            ["bash", "-c", f"type {name}"], capture_output=True, text=True, check=False
        )
        assert found.returncode != 0, found.stdout


@pytest.fixture(scope="module")
def port(server_url: str, template: str, worker_id: str) -> Iterator[int]:
    """The port of a running service, whose worker sends mails to files."""
    url = databases.create(server_url, f"guides_{worker_id}", template)
    command = [sys.executable, "-m", "flask", "worker"]
    worker = jobs.started(command, url, TASKAPI_DATA_DIR=str(databases.data_folder()))
    with serving(url) as address, worker:
        yield int(address.rpartition(":")[2])


def _output(document: str, port: int, times: int = 1) -> str:
    """What the commands of a document print if they are pasted into one shell."""
    environment = os.environ | {"PORT": str(port), "TASKAPI_DATA_DIR": str(databases.data_folder())}
    if not shutil.which("curl"):
        environment["PATH"] += f"{os.pathsep}{CURL_STAND_IN}"
    finished = subprocess.run(
        ["bash", "-c", "\n".join(["set -eu", *_blocks("sh", document) * times])],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def _assert_printed(document: str, output: str, times: int = 1) -> None:
    """The lines of the text blocks were printed in the same order."""
    for line in "".join(_blocks("text", document) * times).splitlines():
        before, found, output = output.partition(f"{line}\n")
        assert found, f"{line} is not in:\n{before}"


@pytest.mark.processes
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_guide_runs_as_documented(port: int, guide: Path) -> None:
    document = guide.read_text()
    _assert_printed(document, _output(document, port))


GENERATED = (
    "id",
    "user_id",
    "list_id",
    "workspace_id",
    "position",
    "created_at",
    "updated_at",
    "request_id",
)
"""Fields whose values differ between runs."""


def _objects(output: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in what was printed."""
    while found := re.search(r'\{"', output):
        parsed, end = json.JSONDecoder().raw_decode(output, found.start())
        yield parsed
        output = output[end:]


def _comparable(shown: dict[str, Any]) -> list[tuple[str, Any]]:
    """The fields of an object in their order, without generated values."""
    return [(name, None if name in GENERATED else value) for name, value in shown.items()]


@pytest.mark.processes
def test_tour_runs_twice_as_documented(port: int) -> None:
    output = _output(TOUR, port, times=2)
    _assert_printed(TOUR, output, times=2)
    printed = [_comparable(one) for one in _objects(output)]
    for block in _blocks("json", TOUR):
        # A response may have more fields than the README shows.
        shown = _comparable(json.loads(block))
        assert sum(all(item in one for item in shown) for one in printed) == 2, block
