"""Memory of the machine and of containers."""

from pathlib import Path

import psutil
import pytest

from glm3edge.placement.machine.memory import system_memory


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 200000\nactive_file 5\n")
    return tmp_path


def test_a_container_has_what_it_is_given(cgroup: Path) -> None:
    memory = system_memory(cgroup)
    assert (memory.total, memory.available) == (1_000_000, 500_000)


def test_cached_files_are_not_always_told(cgroup: Path) -> None:
    (cgroup / "memory.stat").unlink()
    assert system_memory(cgroup).available == 300_000


@pytest.mark.parametrize("limit", ["max\n", None])
def test_without_a_limit_the_machine_counts(cgroup: Path, limit: str | None) -> None:
    if limit is None:
        (cgroup / "memory.max").unlink()
    else:
        (cgroup / "memory.max").write_text(limit)
    memory = system_memory(cgroup)
    assert memory.total == psutil.virtual_memory().total
    assert 0 < memory.available < memory.total
