"""docs/types.md is what ``glm3edge plan`` says."""

import json
import shlex
import subprocess
import sys

import pytest

from tests.support.pages import rows
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "types.md"
PLAN = "plan --vram 0 --ram 32GiB --bandwidth 31GB/s --ctx-size 8192 --json"


@pytest.mark.live
@pytest.mark.slow
def test_sizes_and_memory_are_what_plan_says() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "glm3edge", *shlex.split(PLAN)],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=ROOT,
    )
    planned = {entry["type"]: entry for entry in json.loads(result.stdout)["types"]}
    table = rows(PAGE, "Which type, and what fits")
    assert len(table) == len(planned)
    for name, size, *totals, speed, _ in table:
        entry = planned[name.strip("*`")]
        parts = ("total", "states", "keys_values")
        total, states, cache = (entry["memory"]["CPU"][part] for part in parts)
        assert float(size) == pytest.approx(_gib(entry["file_size"]), abs=0.05)
        for cell, length in zip(totals, (2048, 8192, 32768), strict=True):
            taken = total - states + cache * (length / 8192 - 1)
            assert float(cell) == pytest.approx(_gib(taken), abs=0.06)
        assert float(speed) == pytest.approx(entry["tokens_per_second"], abs=0.051)


def _gib(num_bytes: float) -> float:
    return num_bytes / 2**30
