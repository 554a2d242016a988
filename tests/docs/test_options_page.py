"""docs/options.md is what the code says."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow
def test_it_is_current() -> None:
    result = subprocess.run(
        [sys.executable, "scripts/options_doc.py", "--check", "docs/options.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
