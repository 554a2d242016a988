"""Folders of hubs' caches: which snapshot is meant."""

import os
from pathlib import Path

import pytest

from glm3edge_convert.checkpoint.snapshots import checkpoint_folder, find_snapshot

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits; the branch has the older one, since its newer one was pulled by its hash."""
    folder = tmp_path / "models--o--n"
    for seconds, commit in enumerate((OLD, NEW), start=1):
        (folder / "snapshots" / commit).mkdir(parents=True)
        (folder / "snapshots" / commit / "config.json").write_text("{}")
        os.utime(folder / "snapshots" / commit, (seconds, seconds))
    (folder / "refs" / "feature").mkdir(parents=True)
    (folder / "refs" / "main").write_text(OLD)
    (folder / "refs" / "feature" / "x").write_text(f"{NEW}\n")
    return folder


def test_a_revision_is_a_branch_or_a_commit(repository: Path) -> None:
    for revision, commit in (("main", OLD), ("feature/x", NEW), (NEW, NEW)):
        assert find_snapshot(repository, revision) == repository / "snapshots" / commit
    for revision in ("v9", "c" * 40, "feature"):
        assert find_snapshot(repository, revision) is None


@pytest.mark.parametrize("ref", [None, "c" * 40, ""])
def test_without_a_branch_it_is_the_newest(repository: Path, ref: str | None) -> None:
    """Nothing names a commit that was pulled by its hash, and caches are tidied by hand."""
    (repository / "refs" / "main").unlink()
    if ref is not None:
        (repository / "refs" / "main").write_text(ref)
    assert find_snapshot(repository, "main") == repository / "snapshots" / NEW


def test_nothing_there(tmp_path: Path) -> None:
    assert find_snapshot(tmp_path, "main") is None
    (tmp_path / "snapshots").mkdir()
    assert find_snapshot(tmp_path, "main") is None
    assert checkpoint_folder(tmp_path) == tmp_path
    assert checkpoint_folder(tmp_path / "missing") == tmp_path / "missing"


def test_the_folder_of_a_repository_is_its_snapshot(repository: Path, tmp_path: Path) -> None:
    old = repository / "snapshots" / OLD
    assert checkpoint_folder(repository) == checkpoint_folder(repository / "snapshots") == old
    assert checkpoint_folder(repository / "snapshots" / NEW) == repository / "snapshots" / NEW
    master = tmp_path / "models" / "o--n" / "snapshots" / "master"
    master.mkdir(parents=True)
    (master.parent / "v1").mkdir()
    os.utime(master, (1, 1))
    assert checkpoint_folder(tmp_path / "models" / "o--n") == master


def test_a_checkpoint_is_itself(repository: Path) -> None:
    (repository / "config.json").write_text("{}")
    assert checkpoint_folder(repository) == repository
