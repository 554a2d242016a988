"""What `make` and scripts/install.sh decide before anything is installed or compiled."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.optional import missing
from tests.support.paths import ROOT

INPUTS = ["Makefile", "pyproject.toml"]
TARGETS = re.findall(r"^([a-z][a-z-]*):(?! export)", (ROOT / "Makefile").read_text(), re.MULTILINE)
ARCHIVES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".whl", ".xz", ".zip", ".zst")
FROM_MAKE = {"CUDA", "VULKAN", "METAL", "VENV", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
"""What `make test` itself may have set."""

TOOLS = ("dirname", "grep", "mktemp", "rm", "sh", "sort", "tr", "uname")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs make and sh as on Linux")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what installs, with an empty .venv."""
    for name in INPUTS:
        shutil.copy(ROOT / name, tmp_path)
    for name in ("requirements", "scripts", "tests/clients"):
        ignored = shutil.ignore_patterns("node_modules")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    venv.create(tmp_path / ".venv", symlinks=True)
    return tmp_path


def run(project: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {k: v for k, v in os.environ.items() if k not in FROM_MAKE}
    return subprocess.run(
        command,
        cwd=project,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def installs(project: Path, *arguments: str) -> bool:
    """Whether `make serve ARGUMENTS` would install before it serves."""
    done = run(project, "make", "--dry-run", "serve", *arguments)
    assert ".venv/bin/glm3edge serve" in done.stdout, done.stderr
    return "scripts/install.sh" in done.stdout


def test_each_backend_has_a_marker(project: Path) -> None:
    assert installs(project)
    (project / ".venv/.installed").touch()
    assert not installs(project)
    assert not installs(project, "CUDA=0")
    assert installs(project, "CUDA=1")
    (project / ".venv/.installed-cuda").touch()
    assert not installs(project, "CUDA=1")
    assert not installs(project)
    assert installs(project, "CUDA=1", "VULKAN=1")
    assert installs(project, "METAL=1")


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_made_whatever_files_there_are(project: Path, target: str) -> None:
    """`make page` did nothing once: page is a folder."""
    (project / target).mkdir(exist_ok=True)
    for marker in (".installed", ".installed-dev", ".installed-train"):
        (project / ".venv" / marker).touch()
    done = run(project, "make", "--dry-run", target)
    assert done.returncode == 0, done.stderr
    assert "up to date" not in done.stdout


def test_no_archive_is_committed() -> None:
    done = run(ROOT, "git", "ls-files")
    if done.returncode:
        missing(f"this is no Git checkout: {done.stderr}")
    assert [name for name in done.stdout.splitlines() if name.endswith(ARCHIVES)] == []


def tools(folder: Path, *names: str) -> str:
    """A PATH that has these programs and no others."""
    folder.mkdir()
    for name in names:
        program = shutil.which(name)
        assert program, name
        (folder / name).symlink_to(program)
    return str(folder)


def test_no_compiler(project: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "tools", *TOOLS, "apt-get")
    done = run(project, "/bin/sh", "scripts/install.sh", PATH=path)
    assert done.returncode == 1
    line = "error: there is no C++ compiler; install with: sudo apt install g++\n"
    assert done.stderr.endswith(line)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("METAL=1", "Metal is macOS's own"),
        ("CUDA=yes", "CUDA=yes is not understood"),
        ("VULKAN=1", "there is no glslc"),
    ],
)
def test_what_cannot_be_built_ends_with_a_line(
    project: Path, tmp_path: Path, variable: str, reason: str
) -> None:
    path = tools(tmp_path / "tools", *TOOLS, "c++")
    name, value = variable.split("=")
    done = run(project, "/bin/sh", "scripts/install.sh", PATH=path, VULKAN_SDK="", **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {reason}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_an_unknown_extra_is_named_at_once(project: Path) -> None:
    done = run(project, "scripts/install.sh", "mpc")
    assert done.returncode == 1
    assert done.stderr == (
        "error: there is no extra mpc; there are torch, mcp, bench, train and dev\n"
    )
