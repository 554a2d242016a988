"""How many processor cores this process may compute on."""

import math
import os
from pathlib import Path

import psutil

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def num_threads(asked: int) -> int:
    """Compute threads for ``--threads``: 0 takes one for each physical core."""
    return asked or num_compute_cores()


def num_compute_cores() -> int:
    """Physical cores, as far as the process may use them.

    A core's second hardware thread adds nothing where memory is what decoding waits for, and the
    event loop gets none of its own if compute threads take it. Affinity (``taskset``) and a
    container's quota (``docker --cpus``) set the limit where they are lower: threads beyond it
    would wait for each other.
    """
    limits = [
        _num_allowed_threads(),
        psutil.cpu_count(logical=False),
        quota_cores(_CPU_MAX.read_text()) if _CPU_MAX.is_file() else None,
    ]
    return max(1, min(limit for limit in limits if limit is not None))


def quota_cores(cpu_max: str) -> int | None:
    """Cores that a control group's ``cpu.max`` amounts to, rounded up; None without a limit.

    The format is that of cgroup v2: microseconds of a period and the period, or ``max``.
    """
    quota, _, period = cpu_max.strip().partition(" ")
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return None
    return math.ceil(int(quota) / int(period))


def _num_allowed_threads() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
