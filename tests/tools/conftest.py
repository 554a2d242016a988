"""The sandbox, which some systems do not offer."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from glm3edge.tools.sandbox import MACHINES
from tests.support.optional import missing


@pytest.fixture(scope="session")
def sandbox() -> None:
    """Ask the system itself, so that a fault of the interpreter's is no reason to skip."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        missing(f"no sandbox for {platform.system()} on {platform.machine()}")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *user, "--mount", "--net", "--pid", "--fork", "true"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        missing("this system lets nobody make namespaces")
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError as exc:
        missing(str(exc))
