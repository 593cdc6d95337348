"""Writes the results of a run as JSON, Markdown and a plot."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.databases import ROOT
from benchmarks.results import FAR, NEAR, Cell, Results, Row, targets
from benchmarks.servers import FLOOR, OTHER, SERVICE
from benchmarks.workloads import BASIC, FEW, SHARED

RECORD = ROOT / "docs" / "performance.md"
_SCENES = {
    NEAR: "The database on the same machine",
    FAR: "With 5 ms added to each response of the database",
}
_NONE = "-"


def write(about: dict[str, str], rows: list[Row], folder: Path, *, record: bool) -> str:
    """Write all files, with `record` also the documentation. Returns the Markdown."""
    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    (folder / "results.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1))
    results = Results(rows)
    markdown, image = _markdown(about, results), plot.svg(results)
    (folder / "results.md").write_text(f"![Ratios to the floor](results.svg)\n\n{markdown}")
    (folder / "results.svg").write_text(image)
    sys.stderr.write(f"Written: {folder}/results.md, .svg and .json\n")
    if record:
        RECORD.with_suffix(".svg").write_text(image)
        replace_block(RECORD, "results", markdown)
    return markdown


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with text in the first column and numbers in the others."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows)) + "\n"


def replace_block(file: Path, name: str, text: str) -> None:
    """Replace the text between the marks with this name in a Markdown file."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = file.read_text().partition(start)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"{file} has no block {name}")
    file.write_text(f"{before}{start}\n{text.strip()}\n\n{end}{after}")


def _markdown(about: Mapping[str, str], results: Results) -> str:
    parts = [table(("", ""), about.items())]
    parts[0] = parts[0].replace("---:", "---")
    marked = [(*target[:3], "yes" if target.is_met else "**no**") for target in targets(results)]
    if marked:
        head = ("", "bound", "measured", "met")
        parts.append(f"### Targets\n\n{table(head, marked)}")
    for scene, title in _SCENES.items():
        cells = [cell for cell in results.cells() if cell[0] == scene and not _is_few(cell)]
        if cells:
            parts.append(f"### {title}\n\n{_comparison(results, cells)}")
            parts.append(_costs(results, cells))
    parts += [_shared(results), _distance(results), _beside(results)]
    parts += [_growth(results), _other(results)]
    return "\n".join(part for part in parts if part)


def _is_few(cell: Cell) -> bool:
    """Whether a cell is only for the table of latencies."""
    return cell[1].endswith(f"-{FEW}")


def _comparison(results: Results, cells: Sequence[Cell]) -> str:
    titles = results.cells()
    head = (
        "requests per second, service",
        "floor",
        "ratio",
        "by CPU time",
        "p50 / p95 / p99 ms, service",
        "floor",
        "errors",
    )
    return table(
        ("", *head),
        (
            (
                titles[cell],
                _number(results.median(cell, "rate")),
                _number(results.median(cell, "rate", FLOOR)),
                _strong(results.ratio(cell)),
                _number(results.ratio_by_cpu(cell), 2),
                _latencies(results, cell, SERVICE),
                _latencies(results, cell, FLOOR),
                str(results.errors(cell)),
            )
            for cell in cells
        ),
    )


def _costs(results: Results, cells: Sequence[Cell]) -> str:
    titles = results.cells()
    rows = []
    for cell in cells:
        row = [titles[cell]]
        for name in ("server_us", "database_us"):
            row += [_number(results.median(cell, name, peer)) for peer in (SERVICE, FLOOR)]
        for peer in (SERVICE, FLOOR):
            rss, pss = (_number(results.median(cell, name, peer), 1) for name in ("rss", "pss"))
            row.append(_NONE if rss == _NONE else f"{rss} ({pss})")
        row.append(_number(max(one["elsewhere"] for one in results.of(cell)), 2))
        rows.append(row)
    head = (
        "server's CPU µs per request, service",
        "floor",
        "database's, service",
        "floor",
        "MiB RSS (PSS) of a worker, service",
        "floor",
        "cores busy with other processes, at most",
    )
    return table(("", *head), rows)


def _shared(results: Results) -> str:
    titles = results.cells()
    rows: list[Sequence[str]] = []
    for shared, personal in SHARED.items():
        cells = (NEAR, shared), (NEAR, personal)
        if all(cell in titles for cell in cells):
            names = ("rate", "p50", "server_us", "database_us")
            ratios = (results.between_workloads(*cells, name) for name in names)
            rows.append((titles[cells[1]], *(_number(ratio, 2) for ratio in ratios)))
    head = ("requests per second", "p50", "server's CPU", "database's CPU")
    title = "### Ratio of a shared to a personal workspace\n\n"
    return title + table(("", *head), rows) if rows else ""


def _distance(results: Results) -> str:
    titles = results.cells()
    rows = []
    for name in BASIC:
        far, near = (FAR, f"{name}-{FEW}"), (NEAR, f"{name}-{FEW}")
        if far in titles and near in titles:
            p50 = (_number(results.median(cell, "p50"), 2) for cell in (near, far))
            more = results.between(far, near, lambda one, other: one["p50"] - other["p50"])
            added = _number(results.median(far, "added_ms"), 2)
            rows.append((titles[near], *p50, _strong(more), added))
    head = ("p50 ms", "with 5 ms", "more", "delay of the proxy, measured")
    return f"### Cost of the distance\n\n{table(('', *head), rows)}" if rows else ""


def _beside(results: Results) -> str:
    logins = results.logins()
    rows = [
        (
            status if status != "0" else "no response",
            f"{some['number']:,}",
            f"{some['median']:.2f}",
            f"{some['slowest']:.2f}",
        )
        for status, some in logins.items()
    ]
    head = ("status", "number", "seconds, median", "slowest")
    return f"### Logins without pause\n\n{table(head, rows)}" if rows else ""


def _growth(results: Results) -> str:
    rows = [
        (f"{row['step']:,}", f"{row['rss']:.2f}", f"{row['pss']:.2f}", str(row["errors"]))
        for row in results.growth
    ]
    head = ("further requests", "MiB RSS of a worker", "PSS", "errors")
    return f"### Memory over many requests\n\n{table(head, rows)}" if rows else ""


def _other(results: Results) -> str:
    rows: list[Sequence[str]] = []
    for cell, title in results.cells().items():
        if results.of(cell, OTHER):
            names = ("rate", "p50", "p99", "server_us", "database_us", "pss")
            ratios = [_number(results.ratio(cell, name, OTHER), 2) for name in names]
            rows.append((f"{title} ({cell[0]})", *ratios))
    head = ("requests per second", "p50", "p99", "server's CPU", "database's CPU", "memory")
    title = "### Ratio of the service to the other one\n\n"
    return title + table(("", *head), rows) if rows else ""


def _latencies(results: Results, cell: Cell, peer: str) -> str:
    values = [results.median(cell, name, peer) for name in ("p50", "p95", "p99")]
    return " / ".join(_number(value, 1) for value in values) if values[0] is not None else _NONE


def _strong(value: float | None) -> str:
    return _NONE if value is None else f"**{value:.2f}**"


def _number(value: Any, digits: int = 0) -> str:
    return _NONE if value is None else f"{value:,.{digits}f}"
