"""A plot of the ratios to the floor as SVG, for light and dark pages."""

from __future__ import annotations

from html import escape

from benchmarks.results import FAR, LEAST_OF_FLOOR, NEAR, Cell, Results

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e }
.head { font-weight: 600 }
.value { font-size: 11px; font-weight: 600 }
.line { stroke: #d1d9e0 }
.floor { stroke: #59636e; stroke-dasharray: 3 3 }
.bar { fill: #2f6fdb }
.p50 { fill: #1a7f52 }
.p95 { fill: #b7791f }
.p99 { fill: #c0392b }
.range { stroke: #8c959f; stroke-width: 2 }
.least { stroke: #1f2328; stroke-width: 2 }
.bad { fill: #c0392b }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9198a1 }
  .line { stroke: #3d444d }
  .floor { stroke: #9198a1 }
  .bar { fill: #5b93f5 }
  .p50 { fill: #3fb97c }
  .p95 { fill: #d9a441 }
  .p99 { fill: #f07167 }
  .range { stroke: #656c76 }
  .least { stroke: #e6edf3 }
  .bad { fill: #f07167 }
}
"""

_ROW, _TOP, _BOTTOM = 26, 62, 44
_LABELS = 290
_WIDTH = 960
_RATE, _LATENCY, _MEMORY, _ERRORS = (300, 205), (580, 180), (792, 70), 932
"""The position and the width of each panel."""

_VALUE = 38
"""The space for values behind the bars."""

_RATE_MOST, _LATENCY_MOST, _MEMORY_MOST = 1.2, 4.0, 3.0
_SCENES = {NEAR: "Database on the same machine", FAR: "5 ms added to each of its answers"}
_PERCENTILES = ("p50", "p95", "p99")


def svg(results: Results) -> str:
    """All cells that the floor has too, one per row, grouped by scene."""
    rows: list[tuple[Cell, str]] = []
    for scene, name in _SCENES.items():
        cells = {cell: title for cell, title in results.cells().items() if cell[0] == scene}
        shown = [(cell, title) for cell, title in cells.items() if results.ratio(cell)]
        rows += [((scene, ""), name), *shown] if shown else []
    height = _TOP + _ROW * len(rows) + _BOTTOM
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<title>The service beside the floor</title>",
        f"<style>{_STYLE}</style>",
        *_heads(height),
    ]
    for number, (cell, title) in enumerate(rows):
        top = _TOP + _ROW * number
        if cell[1]:
            drawn += _row(results, cell, title, top)
        else:
            drawn.append(_text(14, top + _ROW / 2 + 4, title, "head"))
    return "\n".join([*drawn, *_legend(height), "</svg>\n"])


def _heads(height: int) -> list[str]:
    drawn = []
    panels = {
        "requests a second": (_RATE, _RATE_MOST, (0.0, 0.25, 0.5, 0.75, 1.0)),
        "latency": (_LATENCY, _LATENCY_MOST, (0.0, 1.0, 2.0, 3.0, 4.0)),
        "memory": (_MEMORY, _MEMORY_MOST, (0.0, 1.0, 2.0, 3.0)),
    }
    for title, ((left, width), most, ticks) in panels.items():
        drawn.append(_text(left, 20, title, "head"))
        for tick in ticks:
            x = left + width * tick / most
            kind = "floor" if tick == 1 else "line"
            drawn.append(_line(x, _TOP - 10, x, height - _BOTTOM, kind))
            drawn.append(
                _text(x, _TOP - 16, "floor" if tick == 1 else f"{tick:g}", "small", "middle")
            )
    drawn.append(_text(_ERRORS, 20, "errors", "head", "middle"))
    return drawn


def _row(results: Results, cell: Cell, label: str, top: float) -> list[str]:
    middle = top + _ROW / 2
    drawn = [_text(_LABELS, middle + 4, label, "", "end")]
    drawn += _bar(_RATE, _RATE_MOST, results.ratio(cell) or 0, top, 2)
    if cell[0] == NEAR and cell[1] in LEAST_OF_FLOOR:
        x = _place(_RATE, _RATE_MOST, LEAST_OF_FLOOR[cell[1]])
        drawn.append(_line(x, top + 3, x, top + _ROW - 3, "least"))
    ratios = {name: results.ratio(cell, name) or 0 for name in _PERCENTILES}
    places = {name: _place(_LATENCY, _LATENCY_MOST, ratio) for name, ratio in ratios.items()}
    most = max(places.values())
    drawn.append(_line(min(places.values()), middle, most, middle, "range"))
    drawn += [_mark(name, x, middle) for name, x in reversed(places.items())]
    if max(ratios.values()) > _LATENCY_MOST:
        drawn.append(_text(most + 8, middle + 4, f"{max(ratios.values()):.1f}", "value"))
    drawn += _bar(_MEMORY, _MEMORY_MOST, results.ratio(cell, "pss") or 0, top, 1)
    errors = results.errors(cell)
    kind = "value bad" if errors else "value"
    return [*drawn, _text(_ERRORS, middle + 4, f"{errors:,}", kind, "middle")]


def _place(panel: tuple[int, int], most: float, ratio: float) -> float:
    left, width = panel
    return left + width * min(ratio, most) / most


def _bar(panel: tuple[int, int], most: float, ratio: float, top: float, digits: int) -> list[str]:
    left, end = panel[0], _place(panel, most, ratio)
    bar = (
        f'<rect class="bar" x="{left}" y="{top + 6}" width="{end - left:.1f}" height="14" rx="2"/>'
    )
    x = left + panel[1] + _VALUE
    return [bar, _text(x, top + _ROW / 2 + 4, f"{ratio:.{digits}f}", "value", "end")]


def _mark(name: str, x: float, y: float) -> str:
    """The mark of a percentile, with its own shape and color."""
    if name == "p50":
        return f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    turned = f' transform="rotate(45 {x:.1f} {y:.1f})"' if name == "p95" else ""
    at = f'x="{x - 4.5:.1f}" y="{y - 4.5:.1f}"'
    return f'<rect class="{name}" {at} width="9" height="9"{turned}/>'


def _legend(height: int) -> list[str]:
    y, (left, _), (right, _) = height - 16, _RATE, _LATENCY
    drawn = [
        _text(14, y, "Each value is the service's divided by the floor's.", "small"),
        _line(left + 2, y - 11, left + 2, y + 3, "least"),
        _text(left + 10, y, "the least that it should reach", "small"),
    ]
    for number, name in enumerate(_PERCENTILES):
        x = right + 6 + 60 * number
        drawn += [_mark(name, x, y - 4), _text(x + 10, y, name, "small")]
    return drawn


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
    )
