"""Short soaks: ``benchmarks/soak.py`` and ``benchmarks/conversations.py`` are the long ones."""

from pathlib import Path

import pytest

from benchmarks.conversations import converse
from benchmarks.soak import soak

pytestmark = pytest.mark.live


def test_mixed_requests_end_once_and_leave_nothing(tiny_gguf: Path) -> None:
    report = soak(tiny_gguf, num_requests=250)
    assert report.counts.total() == 250
    assert report.wrong == []
    assert report.left == (0, 0)


def test_conversations_come_back_from_the_disk(tiny_gguf: Path) -> None:
    report = converse(tiny_gguf, num_conversations=12, disk_cache="64MiB")
    assert report.num_found == report.num_continued == 8
