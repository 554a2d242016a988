"""What `make` and scripts/install.sh decide before anything is installed or compiled."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.optional import missing
from tests.support.paths import ROOT

INPUTS = ["Makefile", "pyproject.toml"]
TARGETS = re.findall(r"^([a-z][a-z-]*):(?! export)", (ROOT / "Makefile").read_text(), re.MULTILINE)
ARCHIVES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".whl", ".xz", ".zip", ".zst")
FROM_MAKE = {
    "CUDA",
    "VULKAN",
    "METAL",
    "PREBUILT",
    "VENV",
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "MAKEOVERRIDES",
}
"""What `make test` itself may have set."""

TOOLS = ("dirname", "grep", "mktemp", "rm", "sed", "sh", "sort", "tr", "uname")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs make and sh as on Linux")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what installs, with an empty .venv."""
    for name in INPUTS:
        shutil.copy(ROOT / name, tmp_path)
    for name in ("requirements", "scripts", "tests/clients", "convert/glm3edge_convert/quantize"):
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
        timeout=250,
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
    assert installs(project, "PREBUILT=cu124")


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
    line = "error: no C++ compiler was found; install with: sudo apt install g++\n"
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
        "error: unknown extra mpc; choose from torch, mcp, bench, train and dev\n"
    )


def published(project: Path, version: str, *libraries: str) -> str:
    """An index with a wheel of llama-cpp-python that has these libraries, and its address."""
    folder = project / "index/cu124/llama-cpp-python"
    folder.mkdir(parents=True)
    path = folder / f"llama_cpp_python-{version}-py3-none-any.whl"
    info = f"llama_cpp_python-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for name in ("__init__.py", *(f"lib/{library}" for library in libraries)):
            wheel.writestr(f"llama_cpp/{name}", "")
        wheel.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: llama_cpp_python\nVersion: {version}\n",
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{path.name}">{path.name}</a>')
    return (project / "index").as_uri()


def take_published(
    project: Path, index: str, option: str = "--prebuilt=cu124"
) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": tools(project / "tools", *TOOLS),
        "PREBUILT_INDEX": index,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "ENGINE_ONLY": "1",
    }
    return run(project, "/bin/sh", "scripts/install.sh", option, **environment)


@pytest.fixture
def pin(project: Path) -> str:
    lock = (project / "requirements/base.txt").read_text()
    (version,) = re.findall(r"^llama-cpp-python==(\S+)", lock, re.MULTILINE)
    return str(version)


@pytest.mark.slow
@pytest.mark.parametrize("last", ["", "/cu124"])
def test_a_published_wheel_needs_no_compiler(project: Path, pin: str, last: str) -> None:
    """Its version may name the build, and the user may paste the whole address."""
    index = published(project, f"{pin}+cu124", "libggml-cpu.so", "libggml-cuda.so")
    done = take_published(project, index + last)
    assert done.returncode == 0, done.stderr
    assert list(project.glob(".venv/lib/python*/site-packages/llama_cpp/lib/libggml-cuda.so"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "library"), [(None, "libggml-cpu.so"), ("0.3.1", "libggml-cuda.so")]
)
def test_a_published_wheel_that_is_not_the_right_one_is_not_taken(
    project: Path, pin: str, version: str | None, library: str
) -> None:
    done = take_published(project, published(project, version or pin, library))
    assert done.returncode == 1
    assert "fits this machine and has cuda: compiling llama.cpp instead" in done.stdout
    assert "error: no C++ compiler was found" in done.stderr


@pytest.mark.parametrize(
    ("option", "index", "reason"),
    [
        ("--prebuilt", "", "set PREBUILT_INDEX to the address"),
        ("--prebuilt=cu", "file:///x", "unknown wheel cu; choose cpu, vulkan"),
    ],
)
def test_a_published_wheel_has_to_be_named(
    project: Path, option: str, index: str, reason: str
) -> None:
    done = take_published(project, index, option)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {reason}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
