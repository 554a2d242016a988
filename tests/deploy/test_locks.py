"""The lock files of the packages for Node: whole, by content, and without a host."""

import json
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FOLDERS = [ROOT / name for name in ("page", "tests/node", "tests/clients/ai_sdk")]


def read(path: Path) -> dict[str, dict[str, dict[str, object]]]:
    content: dict[str, dict[str, dict[str, object]]] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_each_package_is_pinned_by_its_content(folder: Path) -> None:
    manifest = read(folder / "package.json")
    root, *packages = read(folder / "package-lock.json")["packages"].values()
    for kind in ("dependencies", "devDependencies"):
        assert root.get(kind) == manifest.get(kind), "renew it: see CONTRIBUTING.md"
    for package in packages:
        assert str(package["integrity"]).startswith("sha512-"), package
        assert "resolved" not in package
