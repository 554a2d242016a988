"""Files near valid ones, thousands of them: each is read or refused, and ends nothing.

20,000 are read with ``python -m tests.support.file_fuzzer FOLDER 20000``.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import HANG_SECONDS

NUM_CASES = 500


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="its clock is a signal")
def test_no_file_takes_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.file_fuzzer", str(tmp_path), str(NUM_CASES)]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=HANG_SECONDS, check=False
    )
    kind = tmp_path / "hostile.kind"
    assert done.returncode == 0, (kind.read_text() if kind.exists() else "", done.stderr[-4000:])
