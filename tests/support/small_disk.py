"""A disk of a few MiB, for a command in a namespace of its own."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.optional import missing


def on_small_disk(folder: Path) -> list[str]:
    """What a command is to be run with for ``folder`` to be an empty disk of 4 MiB."""
    mount = f'mount -t tmpfs -o size=4m none "{folder}" && exec "$@"'
    wrapper = ["unshare", "--mount", "--map-root-user", "--user", "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None:
        missing("there is no unshare to make a small disk with")
    tried = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no small disk can be made here: {tried.stderr.strip()}")
    return wrapper
