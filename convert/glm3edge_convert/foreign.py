"""What is found in place of a model's file, and what to do: the usual ends of a download."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NUM_BYTES = 512
_LFS = b"version https://git-lfs.github.com/spec/"  # git-lfs/docs/spec.md
_PAGES = (b"<!doctype html", b"<html", b"<?xml")


def foreign(path: Path) -> str | None:
    """What `path` is instead, and the remedy; None if that is not known."""
    try:
        with path.open("rb") as file:
            head = file.read(_NUM_BYTES)
    except OSError:
        return None
    if not head:
        return "is empty; download it again"
    if head.startswith(_LFS):
        return "is a Git LFS pointer, not the file itself; run `git lfs pull` in its folder"
    if head.lstrip().lower().startswith(_PAGES):
        return "is a web page, saved under this name; download the file itself"
    return None
