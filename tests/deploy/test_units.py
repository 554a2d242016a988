"""The units under deploy/systemd, as systemd reads them and rates them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

UNITS = ROOT / "deploy" / "systemd"
PROGRAM = re.compile(r"ExecStart=(\S+)/bin/glm3edge serve\n")
MAX_EXPOSURE = 1.5
"""Of 10, as ``systemd-analyze security`` counts; 9 and more are services that nobody hardened."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The units with a program that is here, so that systemd can look at all of them."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here (Debian: apt install systemd)")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "glm3edge").symlink_to(sys.executable)
    shutil.copytree(UNITS, tmp_path / "systemd")
    for path in (tmp_path / "systemd").rglob("*.service"):
        text, count = PROGRAM.subn(f"ExecStart={tmp_path}/bin/glm3edge serve\n", path.read_text())
        assert count == 1
        path.write_text(text)
    return tmp_path / "systemd"


def analyze(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code, and all that is said."""
    result = subprocess.run(
        ["systemd-analyze", *arguments],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},  # where no session has set one
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


def verify(folder: Path, *options: str) -> tuple[int, str]:
    unit = folder / "glm3edge.service"
    return analyze(folder, "verify", "--man=no", "--recursive-errors=one", *options, str(unit))


@pytest.mark.parametrize("with_gpu", [False, True])
def test_the_system_unit(folder: Path, with_gpu: bool) -> None:
    system = folder / "system"
    if not with_gpu:
        shutil.rmtree(system / "glm3edge.service.d")
    assert verify(system) == (0, "")
    unit = str(system / "glm3edge.service")
    code, report = analyze(system, "security", "--offline=yes", unit)
    found = re.search(r"Overall exposure level for glm3edge.service: ([\d.]+)", report)
    assert code == 0
    assert found, report
    assert float(found[1]) <= MAX_EXPOSURE + with_gpu, report


def test_the_user_unit(folder: Path) -> None:
    assert verify(folder / "user", "--user") == (0, "")


def test_errors_are_found(folder: Path) -> None:
    unit = folder / "system" / "glm3edge.service"
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHouse=yes"))
    code, output = verify(folder / "system")
    assert code != 0
    assert "ProtectHouse" in output
