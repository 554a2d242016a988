"""A root folder as of a container that has Python and a shell, and no compiler and no network."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support.optional import missing

_ENTER = """
set -e
root=$1 stdlib=$2; shift 2
for path in "$stdlib" /proc /dev/null /dev/urandom; do
    mount --rbind "$path" "$root$path"
done
exec chroot "$root" /bin/sh -c 'cd /work; exec "$@"' sh "$@"
"""

_NAMES = (
    *("libdl.so.2", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1"),
    *("libstdc++.so.6", "libgcc_s.so.1"),
)


class BareRoot:
    """A root with this Python's standard library, what it is linked with, and ``/work``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.stdlib = Path(sysconfig.get_path("stdlib")).resolve()
        self._wrapper = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
        self._check()
        self._fill()

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in ``/work``, with no network and nothing of the environment."""
        return subprocess.run(
            [
                *self._wrapper,
                "sh",
                "-c",
                _ENTER,
                "sh",
                str(self.folder),
                str(self.stdlib),
                *command,
            ],
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/work", "LANG": "C.UTF-8"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def _check(self) -> None:
        if sys.platform != "linux" or shutil.which("unshare") is None:
            missing("there is no unshare to make a container with")
        tried = subprocess.run(
            [*self._wrapper, "true"], capture_output=True, text=True, check=False
        )
        if tried.returncode:
            missing(f"this system lets nobody make namespaces: {tried.stderr.strip()}")

    def _fill(self) -> None:
        python = Path(sys.executable).resolve()
        for path in (self.stdlib, Path("/proc"), Path("/tmp"), self.work):  # noqa: S108
            self._at(path).mkdir(parents=True)
        for path in (Path("/dev/null"), Path("/dev/urandom")):
            self._at(path).parent.mkdir(exist_ok=True)
            self._at(path).touch()
        modules = list((self.stdlib / "lib-dynload").glob("*.so"))
        shell = Path("/bin/sh")
        for path in {python, shell, *_linked(python, shell, *modules), *_of_every_system()}:
            self._at(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self._at(path))
        self._at(Path("/usr/bin")).mkdir(parents=True, exist_ok=True)
        self._at(Path("/usr/bin/python3")).symlink_to(python)

    def _at(self, path: Path) -> Path:
        if path.is_relative_to(self.folder):
            return path
        return self.folder / path.relative_to("/")


def _of_every_system() -> set[Path]:
    """The C library's parts, and the C++ runtime, which package managers need."""
    (libc,) = {path for path in _linked(Path("/bin/sh")) if path.name == "libc.so.6"}
    return {libc.with_name(name) for name in _NAMES if libc.with_name(name).exists()}


def _linked(*files: Path) -> set[Path]:
    done = subprocess.run(["ldd", *files], capture_output=True, text=True, check=True)
    return {Path(path) for path in re.findall(r"(/\S+) \(0x", done.stdout)}
