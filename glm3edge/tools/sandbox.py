"""Sandboxes for the code interpreter: which ones this system offers, and their commands.

Preferred is ``bwrap`` (bubblewrap), where it is installed: systems that forbid namespaces to
programs in general often allow them to it. Else ``namespaces.py`` does the same. Inside,
``sandboxed_session.py`` limits its own resources and system calls. If any of these fails, no code
is run.
"""

import json
import os
import platform
import shutil
import site
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MACHINES = ("x86_64", "aarch64", "riscv64")
REMEDY = (
    "Install bubblewrap and libseccomp (Debian, Ubuntu: sudo apt install bubblewrap libseccomp2), "
    "and see docs/security.md for systems that forbid user namespaces"
)
OTHER_SYSTEMS_REMEDY = "Run glm3edge chat on Linux, in WSL 2 or in a virtual machine"

_MIB = 1024**2
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin")
_SETTINGS = ("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")
"""The paths of libraries, and the time zone; nothing else of /etc is visible."""


@dataclass(frozen=True)
class Limits:
    """Resource limits of the code interpreter.

    Attributes:
        seconds: wall time of a cell.
        cpu_seconds: processor time of a cell, of all its threads together.
        total_seconds: wall time of all cells, those of processes that were killed too.
        memory: bytes of address space.
        file_size: bytes of one file.
        disk: bytes of all files; they are in memory.
        output_bytes: output of a cell after which it is stopped.
        output_chars: characters of the output that are kept.
    """

    seconds: float = 30.0
    cpu_seconds: int = 30
    total_seconds: float = 1200.0
    memory: int = 1024 * _MIB
    file_size: int = 32 * _MIB
    disk: int = 64 * _MIB
    output_bytes: int = _MIB
    output_chars: int = 8000


@dataclass(frozen=True)
class Sandbox:
    """A sandbox by its name, and the command that runs the session in it."""

    name: str
    command: tuple[str, ...]


def environment() -> dict[str, str]:
    """Environment variables of the session, without keys, tokens or names of the user's."""
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}
    return {"HOME": "/tmp", "USER": "user", "PATH": "/usr/bin", "LANG": "C.UTF-8", **threads}  # noqa: S108


def find_sandboxes(limits: Limits) -> tuple[list[Sandbox], list[str]]:
    """Sandboxes worth trying here, the best first, and why others are not."""
    if sys.platform != "linux":
        return [], [f"{platform.system()} cannot isolate a program as Linux can"]
    if platform.machine() not in MACHINES:
        return [], [f"its filter of system calls was not made for {platform.machine()}"]
    sandboxes, reasons = [], []
    try:
        binds = _binds()
    except OSError as exc:
        return [], [f"Python's own files cannot be read: {exc}"]
    if os.geteuid() == 0:
        reasons.append("bwrap is for ordinary users, and this is root")
    elif bwrap := shutil.which("bwrap"):
        sandboxes.append(Sandbox("bubblewrap", tuple(_bwrap_command(bwrap, binds, limits))))
    else:
        reasons.append("bwrap is not installed")
    sandboxes.append(Sandbox("namespaces", tuple(_namespaces_command(binds, limits))))
    return sandboxes, reasons


def _bwrap_command(bwrap: str, binds: list[Path], limits: Limits) -> Iterator[str]:
    yield from (bwrap, "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session")
    yield "--as-pid-1"
    yield from ("--uid", "1000", "--gid", "1000", "--hostname", "sandbox")
    yield from ("--size", str(limits.disk), "--tmpfs", "/tmp", "--chdir", "/tmp")  # noqa: S108
    for path in binds:  # one of them may be in /tmp
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        else:
            yield from ("--ro-bind", str(path), str(path))
    for device in _DEVICES:
        yield from ("--dev-bind", device, device)
    yield from ("--remount-ro", "/", "--", *_session_command(limits))


def _namespaces_command(binds: list[Path], limits: Limits) -> Iterator[str]:
    options = {
        "binds": [str(path) for path in binds],
        "devices": list(_DEVICES),
        "size": limits.disk,
        "command": list(_session_command(limits)),
    }
    yield from (*_python(), _source("namespaces"), json.dumps(options))


def _session_command(limits: Limits) -> Iterator[str]:
    options = {
        "paths": [str(path) for path in _module_folders()],
        "memory": limits.memory,
        "file_size": limits.file_size,
        "cpu_seconds": limits.cpu_seconds,
    }
    yield from (*_python(), _source("sandboxed_session"), json.dumps(options))


def _python() -> tuple[str, ...]:
    """Command of the base interpreter, isolated from environment variables and site-packages."""
    return (os.path.realpath(sys.executable), "-I", "-S", "-X", "utf8", "-c")


def _source(name: str) -> str:
    """Source of a program of this folder, whose file is not visible in the sandbox."""
    return Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")


def _module_folders() -> list[Path]:
    """Folders of installed packages, such as numpy; the user's site-packages are left out."""
    found = (Path(path).resolve() for path in site.getsitepackages())
    return list(dict.fromkeys(path for path in found if path.is_dir()))


def _binds() -> list[Path]:
    """Paths that can be read: the system's programs and libraries, Python, and its packages."""
    base = Path(sys.base_prefix).resolve()
    python = [Path(sys.executable).resolve(), *_libraries_of(base), *_module_folders()]
    wanted = [Path(path) for path in _SYSTEM + _SETTINGS if os.path.lexists(path)]
    real = [path for path in wanted if not path.is_symlink()]
    for path in python:
        if not any(path.is_relative_to(other) for other in real):
            wanted.append(path)
            real.append(path)
    return wanted


def _libraries_of(prefix: Path) -> list[Path]:
    """Python's standard library below ``prefix``, and its shared library if there is one."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = [prefix / folder / name for folder in ("lib", "lib64")]
    shared = sorted((prefix / "lib").glob(f"lib{name}*.so*"))
    return [path for path in (*folders, *shared) if path.exists()]
