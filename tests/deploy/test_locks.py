"""The lock files of packages for Python and Node: whole, by content, and without a host."""

import json
import re
import subprocess
import sys
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


REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
WITHOUT_HASHES = "torch.txt"
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?: ; .+?)?"
    r"(?: \\\n    --hash=sha256:[0-9a-f]{64})+"
)


def pinned(name: str) -> set[str]:
    """Packages of a file of ``requirements``, each of which has its hashes."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{name}.txt").read_text().strip())
    matches = [ENTRY.fullmatch(entry) for entry in entries]
    assert None not in matches, entries[matches.index(None)]
    return {match["name"] for match in matches if match}


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_each_python_package_is_pinned_by_its_content(path: Path) -> None:
    if path.name == WITHOUT_HASHES:
        assert re.fullmatch(r"# .+\ntorch==[\d.]+\n", path.read_text())
        return
    names = pinned(path.stem)
    assert names
    assert "torch" not in names
    assert path.stem in {"base", "build"} or not names & {"numpy", "llama-cpp-python"}


def test_each_dependency_has_a_pin() -> None:
    """Of the project and of its extras: what is new needs `make lock`."""
    manifest = (ROOT / "pyproject.toml").read_text()
    extras = manifest.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    base = manifest.partition("\ndependencies = [")[2].partition("\n]")[0]
    for text, files in ((base, ["base"]), (extras, ["base", "mcp", "bench", "train", "dev"])):
        asked = set(re.findall(r'"([A-Za-z0-9-]+)>=', text)) - {"torch"}
        assert asked
        assert asked - {name for file in files for name in pinned(file)} == set()


def test_a_package_of_other_content_is_refused(tmp_path: Path) -> None:
    """By pip itself, with what scripts/install.sh gives it: here an index that lies."""
    (tmp_path / "editables-0.6-py3-none-any.whl").write_bytes(b"of somebody else")
    lock = ROOT / "requirements" / "build.txt"
    entry = re.search(r"^editables==0\.6 [^#]+?[0-9a-f]{64}$", lock.read_text(), re.MULTILINE)
    assert entry is not None
    (tmp_path / "build.txt").write_text(entry[0])
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--no-index"]
    options = ["--find-links", str(tmp_path), "--target", str(tmp_path / "tools"), "--isolated"]
    result = subprocess.run(
        [*command, *options, "--requirement", str(tmp_path / "build.txt")],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 1
    assert "DO NOT MATCH THE HASHES" in result.stderr
    assert not (tmp_path / "tools").exists()
