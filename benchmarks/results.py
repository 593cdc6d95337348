"""The measured rows, and their evaluation: medians, and ratios within a round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

from benchmarks.servers import FLOOR, OTHER, SERVICE
from benchmarks.workloads import BASIC, FEW

NEAR, FAR, GROWTH = "near", "far", "growth"
"""The scenes, and the workload without a scene."""

Row = dict[str, Any]
Cell = tuple[str, str]
"""A scene and a workload."""

LEAST_OF_FLOOR = {"get": 0.65, "list": 0.65, "mix": 0.65, "create": 0.60, "update": 0.60}
"""The least ratio of the requests per second to the floor's, in the scene NEAR."""
_LOGIN_STATUSES = {"200", "429", "503"}


class Results:
    """All rows of a run."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = [row for row in rows if row["workload"] != GROWTH]
        self.growth = [row for row in rows if row["workload"] == GROWTH]
        self._rows: dict[tuple[str, str, str], dict[int, Row]] = {}
        for row in self.rows:
            key = row["scene"], row["workload"], row["peer"]
            self._rows.setdefault(key, {})[row["round"]] = row

    def cells(self) -> dict[Cell, str]:
        """All cells in the order of measurement, with titles."""
        return {(row["scene"], row["workload"]): row["title"] for row in self.rows}

    def of(self, cell: Cell, peer: str = SERVICE) -> list[Row]:
        """The rows of a cell in all rounds."""
        return list(self._rows.get((*cell, peer), {}).values())

    def median(self, cell: Cell, name: str, peer: str = SERVICE) -> float | None:
        """The median of a value over the rounds."""
        values = [row[name] for row in self.of(cell, peer)]
        return median(values) if values else None

    def ratio(self, cell: Cell, name: str = "rate", to: str = FLOOR) -> float | None:
        """The median over the rounds of the service's value divided by another peer's."""
        return self.between(cell, cell, lambda ours, theirs: ours[name] / theirs[name], to)

    def ratio_by_cpu(self, cell: Cell) -> float | None:
        """The floor's CPU time per request, including the database, divided by the service's.

        If CPU time is the limit, it equals the ratio of requests per second, with less variation.
        """

        def spent(row: Row) -> float:
            return float(row["server_us"] + row["database_us"])

        return self.between(cell, cell, lambda ours, floors: spent(floors) / spent(ours), FLOOR)

    def between(
        self, one: Cell, other: Cell, value: Callable[[Row, Row], float], peer: str = SERVICE
    ) -> float | None:
        """A function of a row of the service and one of a peer in the same round, as a median."""
        ours, theirs = self._rows.get((*one, SERVICE), {}), self._rows.get((*other, peer), {})
        values = [value(ours[number], theirs[number]) for number in ours.keys() & theirs.keys()]
        return median(values) if values else None

    def between_workloads(self, one: Cell, other: Cell, name: str) -> float | None:
        """The median over the rounds of the service's value divided by that of another cell."""
        return self.between(one, other, lambda a, b: a[name] / b[name])

    def errors(self, cell: Cell) -> int:
        """The errors of all peers."""
        return sum(row["errors"] for peer in (SERVICE, FLOOR, OTHER) for row in self.of(cell, peer))

    def logins(self) -> dict[str, dict[str, float]]:
        """The logins by status: their number, and the median and maximum in seconds."""
        found: dict[str, dict[str, float]] = {}
        for row in self.rows:
            for status, some in row.get("logins", {}).items():
                total = found.setdefault(status, {"number": 0, "slowest": 0.0, "median": 0.0})
                total["number"] += some["number"]
                for name in ("slowest", "median"):
                    total[name] = max(total[name], some[name])
        return found


class Target(NamedTuple):
    """A target, and its measured value."""

    name: str
    bound: str
    measured: str
    is_met: bool


def targets(results: Results) -> list[Target]:
    """All targets that this run has measured."""
    return [
        *_speed(results),
        *_distance(results),
        *_size(results),
        *_logins(results),
        *_memory(results),
    ]


def _speed(results: Results) -> Iterator[Target]:
    for name, bound in LEAST_OF_FLOOR.items():
        title = f"{name}: requests per second, ratio to the floor"
        yield from _least(title, bound, results.ratio((NEAR, name)))
    for name in BASIC:
        cell = NEAR, name
        evenness = results.between(cell, cell, lambda row, _: row["p95"] / row["p50"])
        yield from _most(f"{name}: p95 / p50", 2, evenness)


def _distance(results: Results) -> Iterator[Target]:
    for name in BASIC:
        cells = (FAR, f"{name}-{FEW}"), (NEAR, f"{name}-{FEW}")
        more = results.between(*cells, lambda far, near: far["p50"] - near["p50"])
        yield from _most(
            f"{name}: additional p50 with 5 ms added, {FEW} connections", 6, more, " ms"
        )


def _size(results: Results) -> Iterator[Target]:
    for name in ("first", "later"):
        rate = results.between((NEAR, name), (NEAR, "list"), lambda a, b: a["rate"] / b["rate"])
        title = results.cells().get((NEAR, name), name)
        yield from _least(f"{title}: requests per second, ratio to list 20", 0.9, rate)


def _logins(results: Results) -> Iterator[Target]:
    p99 = results.median((NEAR, "logins"), "p99")
    yield from _most("get beside 50 clients logging in: p99", 100, p99, " ms")
    if found := results.logins():
        slowest = max(some["slowest"] for some in found.values())
        yield from _most("slowest login", 3, slowest, " s")
        is_met = set(found) <= _LOGIN_STATUSES
        bound = ", ".join(sorted(_LOGIN_STATUSES))
        yield Target("statuses of logins", bound, ", ".join(found), is_met)


def _memory(results: Results) -> Iterator[Target]:
    ours = [row["rss"] for row in (*results.rows, *results.growth) if row["peer"] == SERVICE]
    yield from _most("maximum memory of a worker (RSS)", 90, max(ours, default=None), " MiB")
    if results.growth:
        first, last = results.growth[0], results.growth[-1]
        title = f"growth of a worker over {last['step']:,} requests"
        yield from _most(title, 1, last["rss"] - first["rss"], " MiB")


def _least(name: str, bound: float, value: float | None) -> Iterable[Target]:
    if value is None:
        return []
    return [Target(name, f"at least {bound:.2f}", f"{value:.2f}", value >= bound)]


def _most(name: str, bound: float, value: float | None, unit: str = "") -> Iterable[Target]:
    if value is None:
        return []
    return [Target(name, f"at most {bound:g}{unit}", f"{value:.2f}{unit}", value <= bound)]
