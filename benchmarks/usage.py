"""The resources of processes, from /proc."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


class Memory(NamedTuple):
    """The memory of a process in MiB: resident, and proportional for shared pages."""

    rss: float
    pss: float


def children(pid: int) -> list[int]:
    """The children of a process."""
    return _by_parent().get(pid, [])


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and its descendants, including ended ones that were waited for."""
    by_parent = _by_parent()
    todo, ticks = [pid], 0
    while todo:
        current = todo.pop()
        todo += by_parent.get(current, [])
        fields = _stat(current)
        ticks += sum(map(int, fields[11:15])) if fields else 0
    return ticks / _TICKS


def memory(pid: int) -> Memory:
    """The memory of a process."""
    found = {"Rss": 0, "Pss": 0}
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        name, _, size = line.partition(":")
        if name in found:
            found[name] = int(size.split()[0])
    return Memory(found["Rss"] / 1024, found["Pss"] / 1024)


def machine_seconds() -> float:
    """The CPU time of the whole machine."""
    ticks = [int(text) for text in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = ticks[3:5]
    return (sum(ticks) - idle - waiting) / _TICKS


def own_seconds() -> float:
    """The CPU time of this process and of its ended children."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total


class Meter:
    """Measures CPU time from now on, by the name of a process tree."""

    def __init__(self, **roots: int) -> None:
        self._roots = roots
        self._before = self._now()

    def read(self) -> dict[str, float]:
        """The seconds since the start; `elsewhere` is the CPU time of all other processes."""
        used = {name: now - self._before[name] for name, now in self._now().items()}
        known = sum(seconds for name, seconds in used.items() if name != "machine")
        return used | {"elsewhere": used.pop("machine") - known}

    def _now(self) -> dict[str, float]:
        trees = {name: cpu_seconds(pid) for name, pid in self._roots.items()}
        return {**trees, "client": own_seconds(), "machine": machine_seconds()}


def _by_parent() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may contain any characters."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
