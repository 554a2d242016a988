"""A short soak: ``benchmarks/soak.py`` is the long one."""

from pathlib import Path

import pytest

from benchmarks.soak import soak

pytestmark = pytest.mark.live


def test_mixed_requests_end_once_and_leave_nothing(tiny_gguf: Path) -> None:
    report = soak(tiny_gguf, num_requests=250)
    assert report.counts.total() == 250
    assert report.wrong == []
    assert report.left == (0, 0)
