"""Downloads that went wrong, recognized by what stands in the file instead."""

from pathlib import Path

from glm3edge_convert.files import read_head

_NUM_BYTES = 512
_LFS = b"version https://git-lfs.github.com/spec/"  # git-lfs/docs/spec.md
_PAGES = (b"<!doctype html", b"<html", b"<?xml")


def download_problem(path: Path) -> str | None:
    """The problem of a file and its remedy, as the end of a sentence; None if none is known."""
    try:
        head = read_head(path, _NUM_BYTES)
    except OSError:
        return None
    if not head:
        return "is empty; download it again"
    if head.startswith(_LFS):
        return "is a Git LFS pointer, not the file itself; run `git lfs pull` in its folder"
    if head.lstrip().lower().startswith(_PAGES):
        return "is a web page, saved under this name; download the file itself"
    return None
