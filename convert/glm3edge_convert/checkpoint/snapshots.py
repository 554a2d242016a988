"""Snapshots: checkpoint folders inside the folder that a hub's cache has for a repository.

models--OWNER--NAME/       in Hugging Face's cache; in ModelScope's, models/OWNER--NAME/
    refs/main              the commit of the branch; ModelScope has no refs
    snapshots/COMMIT/      the files of a commit; in ModelScope's cache, of a branch or tag
"""

from pathlib import Path

from glm3edge_convert.files import read_text

DEFAULT_BRANCHES = ("main", "master")


def find_snapshot(repository: Path, revision: str) -> Path | None:
    """Snapshot of a repository's folder at a branch, tag or commit; None if it is not there.

    For a default branch that has none, the newest: it was pulled by its commit.
    """
    snapshots = repository / "snapshots"
    named = snapshots / _commit(repository, revision)
    if named.is_dir() or revision not in DEFAULT_BRANCHES:
        return named if named.is_dir() else None
    found = [path for path in snapshots.glob("*") if path.is_dir()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def checkpoint_folder(folder: Path) -> Path:
    """The folder of the files: ``folder`` itself, or its snapshot if it is a repository's."""
    repository = folder.parent if folder.name == "snapshots" else folder
    if (folder / "config.json").exists() or not (repository / "snapshots").is_dir():
        return folder
    has_master = (repository / "snapshots" / "master").is_dir()
    return find_snapshot(repository, "master" if has_master else "main") or folder


def _commit(repository: Path, revision: str) -> str:
    """Commit that a branch or tag leads to; ``revision`` itself if none is known."""
    try:
        return read_text(repository / "refs" / revision).strip() or revision
    except (OSError, UnicodeDecodeError):
        return revision
