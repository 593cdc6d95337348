"""What the README and the other documents claim: commands run, tables complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.servers import serving

from config import Settings
from taskapi.http.operations import operation_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CURL_STAND_IN = Path(__file__).parent / "support" / "bin"


def _blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _default(value: object) -> str:
    if value is None or value == ():
        return ""
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def test_the_table_of_settings_is_complete_and_true() -> None:
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{setting.name.upper()}` | {_default(setting.default)} | {setting.metadata['about']} |"
        for setting in fields(Settings)
    ]


def test_the_table_of_calls_is_complete_and_true(app: Flask) -> None:
    table = README.partition("## The calls")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+ \S+)` \| (\w+)", table, re.MULTILINE))
    calls = {}
    for rule in app.url_map.iter_rules():
        call = operation_of(app.view_functions[rule.endpoint])
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"} if call else ():
            assert call
            needed = "optional" if call.is_token_optional else "no" if call.is_public else "yes"
            calls[f"{method} {path}"] = needed
    assert told == calls


def test_the_table_of_commands_is_complete(app: Flask) -> None:
    table = README.partition("## Administer")[2].partition("\n## ")[0]
    for name, command in app.cli.commands.items():
        assert f"`flask {name}" in table
        for part in getattr(command, "commands", {}) if name != "db" else ():
            assert f"`{part}`" in table or f"`flask {name} {part}`" in table


def test_each_package_is_in_the_map() -> None:
    architecture = (ROOT / "docs" / "architecture.md").read_text()
    for package in (ROOT / "taskapi").iterdir():
        if (package / "__init__.py").exists():
            assert re.search(rf"\b{package.name}\b", architecture)
    for name in ("http", "db"):
        for module in (ROOT / "taskapi" / name).glob("[a-z]*.py"):
            assert f"`{name}/{module.name}`" in architecture


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_decisions_are_listed() -> None:
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()
    for record in (ROOT / "docs" / "decisions").glob("0*.md"):
        assert f"({record.name})" in listed
        assert record.read_text().splitlines()[0].removeprefix("# ").partition(": ")[2] in listed


GUIDES = sorted((ROOT / "docs" / "guide").glob("*.md"))


def _printed(document: str, database_url: str) -> str:
    """What the commands of a document print, run one after another against a new service."""
    with serving(database_url) as url:
        commands = ["set -eu", *_blocks("sh", document)]
        script = "\n".join(commands).replace("http://127.0.0.1:8000", url)
        environment = dict(os.environ)
        if not shutil.which("curl"):
            environment["PATH"] += f"{os.pathsep}{CURL_STAND_IN}"
        ran = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _is_printed(promises: list[str], said: str) -> None:
    """Each of these lines stands in what was printed, in the same order."""
    for promise in "".join(promises).splitlines():
        before, found, said = said.partition(f"{promise}\n")
        assert found, f"{promise} is not in:\n{before}"


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_guide_runs_as_it_is_told(database_url: str, guide: Path) -> None:
    document = guide.read_text()
    _is_printed(_blocks("text", document), _printed(document, database_url))


def test_guides_are_linked() -> None:
    for guide in GUIDES:
        assert f"(docs/guide/{guide.name})" in README


OF_THE_MOMENT = ("id", "user_id", "list_id", "position", "created_at", "updated_at", "request_id")
"""Fields whose values are others each time."""


def _objects(said: str) -> Iterator[dict[str, Any]]:
    """The JSON objects among what was printed."""
    while found := re.search(r'\{"', said):
        shown, end = json.JSONDecoder().raw_decode(said, found.start())
        yield shown
        said = said[end:]


def _lasting(shown: dict[str, Any]) -> list[tuple[str, Any]]:
    """The fields of an object in their order, without what is of the moment or left out."""
    return [
        (name, None if name in OF_THE_MOMENT else shown[name]) for name in shown if name != "..."
    ]


@pytest.mark.slow
def test_the_tour_runs_as_it_is_told(database_url: str) -> None:
    tour = README.partition("## A tour in five minutes")[2].partition("\n## ")[0]
    said = _printed(tour, database_url)
    _is_printed(_blocks("text", tour), said)
    answers = _objects(said)
    for block in _blocks("json", tour):
        shown = json.loads(block)
        length = len(shown) - 1 if "..." in shown else None
        assert any(_lasting(one)[:length] == _lasting(shown) for one in answers), block
    assert '{"message":"Logged out"}' in said
