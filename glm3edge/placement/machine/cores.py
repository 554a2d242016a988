"""Processor cores that this process may compute on."""

import math
import os
from pathlib import Path

import psutil

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def num_threads(asked: int) -> int:
    """Number of compute threads for ``--threads``: 0 takes one for each physical core."""
    return asked or num_compute_cores()


def num_compute_cores() -> int:
    """Number of physical cores that this process may use.

    A core's second hardware thread adds nothing where decoding waits for memory, and is left for
    the event loop. Affinity (``taskset``) and a
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
    """Number of cores of a control group's ``cpu.max``, rounded up; None without a limit.

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
