"""Compares the service with the floor, a minimal server of the same architecture.

Both serve the same data from the same PostgreSQL under the same load and alternate within each
round, so that changes of the machine affect both. Ratios are computed within a round.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import databases, people, report, servers
from benchmarks.bench import GROWTH_REQUESTS, Bench
from benchmarks.beside import allow_many_files
from benchmarks.databases import Cluster, Filling
from benchmarks.load import need_wrk
from benchmarks.machine import description
from benchmarks.people import World
from benchmarks.results import FAR, GROWTH, NEAR, Row
from benchmarks.servers import Peer
from benchmarks.workloads import Workload, all_workloads

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Measure, write the results, and return 1 if a request failed."""
    options = _options()
    if options.report:
        earlier = json.loads(options.report.read_text())
        print(report.write(earlier["about"], earlier["rows"], RESULTS, record=options.record))
        return 0
    need_wrk()
    allow_many_files()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    heavy = min(databases.HEAVY_TASKS, options.rows // 2)
    workloads = _chosen(options.workloads, all_workloads(heavy))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="taskapi-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user when this runs as root
        data = options.data or folder / "data"
        cluster = stack.enter_context(databases.running(data.resolve(), options.rows))
        worlds = _worlds(cluster, options.rows, heavy, workloads)
        floor = servers.floor(people.recorded(cluster, worlds[False]), folder)
        peers = [servers.service(), floor, *_others(options)]
        bench = Bench(cluster, folder, peers, worlds)
        about = description(cluster, options)
        try:
            for row in _rounds(bench, options, workloads):
                rows.append(row)
                _say(row)
        except (RuntimeError, KeyboardInterrupt):
            for log in sorted(folder.glob("*.log")):
                sys.stderr.write(f"{log.name}:\n{log.read_text()[-3000:]}\n")
            if rows:
                report.write(about, rows, RESULTS, record=False)
            raise
    print(report.write(about, rows, RESULTS, record=options.record))
    return 1 if sum(row["errors"] for row in rows) else 0


def _rounds(bench: Bench, options: argparse.Namespace, workloads: list[Workload]) -> Iterator[Row]:
    started = time.monotonic()
    for number in range(options.rounds):
        for scene in options.scenes:
            # Swap the order, because the second peer runs on the state that the first has left.
            for row in bench.scene(scene, workloads, options.seconds, reverse=bool(number % 2)):
                yield {"round": number, "at": round(time.monotonic() - started), **row}
    mix = next(one for one in all_workloads(1) if one.name == "mix")
    if not options.workloads or GROWTH in options.workloads:
        # A run of short measurements only tests the benchmark.
        requests = GROWTH_REQUESTS if options.seconds > 4 else GROWTH_REQUESTS // 50
        for row in bench.growth(mix, requests, options.seconds):
            yield {"round": 0, "at": round(time.monotonic() - started), **row}


def _worlds(
    cluster: Cluster, rows: int, heavy: int, workloads: Sequence[Workload]
) -> dict[bool, World]:
    fillings = {False: Filling(databases.SMALL_ROWS)}
    if any(workload.on_large for workload in workloads):
        fillings[True] = Filling(rows, heavy)
    password_hash = people.hashed_password(cluster.url)
    worlds = {}
    for on_large, filling in fillings.items():
        sys.stderr.write(f"Creating a database of {filling.rows:,} tasks ...\n")
        worlds[on_large] = people.world(cluster, cluster.need(filling, password_hash))
    return worlds


def _others(options: argparse.Namespace) -> list[Peer]:
    if not options.against and not options.setting:
        return []
    environment = dict(setting.split("=", 1) for setting in options.setting)
    folder = (options.against or databases.ROOT).resolve()
    return [Peer(servers.OTHER, folder=folder, environment=environment)]


def _chosen(names: list[str], known: list[Workload]) -> list[Workload]:
    unknown = set(names) - {one.name for one in known} - {GROWTH}
    if unknown:
        sys.exit(f"No such workloads: {', '.join(sorted(unknown))}. See --help.")
    return [one for one in known if one.name in names or not names]


def _say(row: Row) -> None:
    text = f"{row['at']:5} s  round {row['round'] + 1}  {row['scene']:5}{row['workload']:10}"
    if row["workload"] == GROWTH:
        text += f"{row['requests']:9,} requests: {row['rss']:.1f} MiB RSS, {row['pss']:.1f} PSS"
    else:
        text += (
            f"{row['peer']:8}{row['rate']:8.0f} per second  p50 {row['p50']:6.1f}"
            f"  p95 {row['p95']:6.1f}  p99 {row['p99']:6.1f} ms  errors {row['errors']}"
            f"  CPU {row['server_us']:.0f} + {row['database_us']:.0f} us"
            f"  elsewhere {row['elsewhere']:.1f}"
        )
    sys.stderr.write(text + "\n")


def _options() -> argparse.Namespace:
    known = all_workloads(databases.HEAVY_TASKS)
    listed = "\n".join(f"  {one.name:10}{one.title}" for one in known)
    listed += f"\n  {GROWTH:10}memory over {GROWTH_REQUESTS:,} requests of the mix"
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description=__doc__,
        epilog=f"workloads:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    words: dict[str, Any] = {"type": lambda text: text.split(","), "metavar": "NAME,..."}
    add("--workloads", default=[], help="run only these workloads, listed below", **words)
    add(
        "--scenes",
        default=[NEAR, FAR],
        help="near, far (5 ms added to database responses), or both",
        **words,
    )
    add("--rounds", type=int, default=3)
    add("--seconds", type=int, default=8, help="duration of each measurement")
    add("--rows", type=int, default=10_000_000, help="tasks in the large database")
    add(
        "--data",
        type=Path,
        metavar="DIRECTORY",
        help="directory in which the databases are kept for the next run",
    )
    add(
        "--against",
        type=Path,
        metavar="DIRECTORY",
        help="also measure this checkout",
    )
    add(
        "--setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="also measure the service with another setting; may be repeated",
    )
    add("--record", action="store_true", help="write the results into docs/performance.md")
    add("--report", type=Path, metavar="FILE", help="only write the report of an earlier run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
