"""Main memory of this machine, as far as this process may use it."""

from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class SystemMemory:
    """Main memory, in bytes.

    Attributes:
        total: all of it, or a container's limit where that is lower.
        available: what can be taken without swapping, cached files included.
    """

    total: int
    available: int


def system_memory(cgroup: Path = _CGROUP) -> SystemMemory:
    """Read the main memory, within the limit of a container (``docker --memory``).

    Args:
        cgroup: the folder of this process's control group (cgroup v2).
    """
    memory = psutil.virtual_memory()
    limit = _read_number(cgroup / "memory.max")
    used = _read_number(cgroup / "memory.current")
    if limit is None or used is None:
        return SystemMemory(memory.total, memory.available)
    left = max(0, limit - max(0, used - _cached(cgroup / "memory.stat")))
    return SystemMemory(min(memory.total, limit), min(memory.available, left))


def _read_number(path: Path) -> int | None:
    """The number in a file; None if there is no file, or ``max`` in it."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _cached(path: Path) -> int:
    """Bytes of cached files that the kernel evicts first."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    fields = dict(line.split(maxsplit=1) for line in lines if " " in line)
    return int(fields.get("inactive_file", 0))
