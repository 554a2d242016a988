import os
from pathlib import Path

import psutil
import pytest

from glm3edge.placement.machine.cores import num_compute_cores, quota_cores


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("150000 100000", 2),
        ("1000 100000", 1),
        ("", None),
        ("100000 0", None),
    ],
)
def test_quota(text: str, cores: int | None) -> None:
    assert quota_cores(text) == cores


@pytest.mark.parametrize(("physical", "cores"), [(None, 8), (4, 4), (16, 8), (0, 1)], ids=str)
def test_physical_cores_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, physical: int | None, cores: int
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: None if logical else physical)
    monkeypatch.setattr("glm3edge.placement.machine.cores._CPU_MAX", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    assert num_compute_cores() == cores


def test_a_quota_is_obeyed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda **_: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text("300000 100000\n")
    monkeypatch.setattr("glm3edge.placement.machine.cores._CPU_MAX", tmp_path / "cpu.max")
    assert num_compute_cores() == 3
