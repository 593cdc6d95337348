"""The CPU time of each operation by component, sampled by py-spy.

One worker has its own core; the database and the load share the others. The time of C code is
assigned to the Python function that calls it.
"""

from __future__ import annotations

import argparse
import linecache
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import databases, people, servers, usage
from benchmarks.databases import SMALL_ROWS, Cluster, Filling
from benchmarks.load import load, need_wrk
from benchmarks.people import CALLS, World
from benchmarks.report import RECORD, replace_block, table
from benchmarks.servers import Peer, Server
from benchmarks.workloads import all_workloads

RESULTS = Path(__file__).parent / "results"
_CONNECTIONS = 16
_RATE = 250

_LOGGING = "logging"
_JSON = "JSON (orjson)"
_AREAS = (
    (r"gunicorn/http/(message|parser|unreader|body|headers)", "gunicorn: parsing requests"),
    (
        r"gunicorn/|taskapi/runtime/(worker|clients)|benchmarks/floor_settings",
        "gunicorn: all else",
    ),
    (r"gevent/_?socket", "sockets (gevent and the kernel)"),
    (r"gevent/|greenlet/", "waiting and switching (gevent)"),
    (r"psycopg(_binary)?/|taskapi/(db/connections|runtime/connection)", "psycopg and the pool"),
    (r"(flask_jwt_extended|jwt)/", "token"),
    (r"(flask|flask_cors|werkzeug|blinker)/", "Flask and werkzeug"),
    (r"marshmallow/", "marshmallow"),
    (r"sqlalchemy/", "SQLAlchemy"),
    (r"(taskapi|benchmarks)/", "ours"),
)
_IS_LOGGING = re.compile(r"\((logging|pythonjsonlogger|taskapi/logs)[/.]")
_FRAME = re.compile(r"(?P<name>.*) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)$")


class Profile(NamedTuple):
    """One operation: its CPU time in microseconds, in total and by component."""

    microseconds: float
    areas: Counter[str]
    functions: Counter[str]


def main() -> int:
    """Profile the four operations and print a table."""
    options = _options()
    spy = _py_spy()
    need_wrk()
    profiles = {}
    with _served(options) as (server, world), tempfile.TemporaryDirectory() as folder:
        by_name = {workload.name: workload for workload in all_workloads(1)}
        for name in CALLS:
            sys.stderr.write(f"Profiling {name} ...\n")
            requests = by_name[name].requests(server, world)
            stacks = Path(folder) / name
            profiles[name] = _profile(server, requests, [*spy, "-o", str(stacks)], options.seconds)
    markdown = _markdown(profiles)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ".gitignore").write_text("*\n")
    (RESULTS / f"profile-{options.name}.md").write_text(markdown)
    if options.record:
        replace_block(RECORD, f"profile {options.name}", markdown)
    print(markdown)
    for name, profile in profiles.items():
        print(f"{name}, by function:")
        for function, share in _shares(profile.functions).most_common(options.functions):
            print(f"  {share * profile.microseconds:6.1f} us  {function}")
    return 0


@contextmanager
def _served(options: argparse.Namespace) -> Iterator[tuple[Server, World]]:
    """The peer with one worker on the first core."""
    cores = sorted(os.sched_getaffinity(0))
    own, others = (cores[:1], cores[1:]) if len(cores) > 1 else (cores, cores)
    os.sched_setaffinity(0, others)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taskapi-profile-")))
        folder.chmod(0o711)  # PostgreSQL runs as another user when this runs as root
        cluster = stack.enter_context(databases.running(folder / "data", SMALL_ROWS))
        hashed = people.hashed_password(cluster.url)
        world = people.world(cluster, cluster.need(Filling(SMALL_ROWS), hashed))
        peer = _peer(options, cluster, world, folder)
        cluster.create("profiled", world.database)
        serving = servers.serving(peer, cluster.url_of("profiled"), folder)
        server = stack.enter_context(serving)
        server.until_ready()
        for thread in Path(f"/proc/{_worker(server)}/task").iterdir():
            os.sched_setaffinity(int(thread.name), own)
        yield server, world


def _peer(options: argparse.Namespace, cluster: Cluster, world: World, folder: Path) -> Peer:
    if options.floor:
        peer = servers.floor(people.recorded(cluster, world), folder)
    else:
        peer = replace(servers.service(), folder=options.folder.resolve())
    alone = {"WEB_CONCURRENCY": "1"}
    return replace(peer, environment={**peer.environment, **alone})


def _worker(server: Server) -> int:
    return usage.children(server.pid)[0]


def _profile(server: Server, requests: list[str], spy: list[str], seconds: int) -> Profile:
    load(server.port, requests, connections=_CONNECTIONS, seconds=1)
    before = usage.cpu_seconds(_worker(server))
    plain = load(server.port, requests, connections=_CONNECTIONS, seconds=max(2, seconds // 2))
    spent = usage.cpu_seconds(_worker(server)) - before
    command = [*spy, "--duration", str(seconds), "--pid", str(_worker(server))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as watching:
        load(server.port, requests, connections=_CONNECTIONS, seconds=seconds + 1)
        _, said = watching.communicate(timeout=60)
        if watching.returncode:
            raise RuntimeError(f"py-spy failed: {said.decode()}")
    areas: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in Path(spy[-1]).read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        frames = stack.split(";")
        areas[_area(frames)] += int(number)
        functions[re.sub(r":\d+\)$", ")", frames[-1])] += int(number)
    return Profile(spent / plain.requests * 1e6, areas, functions)


def _area(frames: list[str]) -> str:
    """The component of a sample: logging with all its callees, else the innermost known one."""
    if any(_IS_LOGGING.search(frame) for frame in frames):
        return _LOGGING
    if "orjson." in _source(frames[-1]):
        return _JSON
    for frame in reversed(frames):
        for pattern, area in _AREAS:
            if re.search(rf"\({pattern}", frame):
                return area
    return "other"


def _source(frame: str) -> str:
    """The line of code of a frame."""
    found = _FRAME.fullmatch(frame)
    if not found or not found["line"]:
        return ""
    return linecache.getline(str(databases.ROOT / found["file"]), int(found["line"]))


def _shares(counted: Counter[str]) -> Counter[str]:
    total = sum(counted.values())
    return Counter({name: number / total for name, number in counted.items()})


def _markdown(profiles: dict[str, Profile]) -> str:
    together: Counter[str] = Counter()
    for profile in profiles.values():
        together.update(_shares(profile.areas))
    rows = [
        (
            area,
            *(
                f"{_shares(profile.areas)[area] * profile.microseconds:.0f}"
                for profile in profiles.values()
            ),
        )
        for area, _ in together.most_common()
    ]
    rows.append(("**all**", *(f"**{profile.microseconds:.0f}**" for profile in profiles.values())))
    return table(("CPU µs of a request", *profiles), rows)


def _py_spy() -> list[str]:
    """The py-spy command.

    Raises:
        SystemExit: it is not installed, or has no permission to trace processes.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which("py-spy", path=f"{beside}:{os.environ['PATH']}")
    if not found:
        sys.exit(f"py-spy is missing. Install it: {sys.executable} -m pip install py-spy")
    if os.geteuid() != 0:
        sys.stderr.write("py-spy may need root to look into the worker.\n")
    return [found, "record", "--format", "raw", "--rate", str(_RATE)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/profile", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=int, default=10, help="of each call")
    add("--functions", type=int, default=12, help="how many functions of each call to list")
    add("--folder", type=Path, default=databases.ROOT, help="profile the service of this checkout")
    add("--floor", action="store_true", help="profile the floor instead")
    add("--name", default="now", help="of the result: profile-NAME.md")
    add("--record", action="store_true", help="write it into docs/performance.md, block NAME")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
