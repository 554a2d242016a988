"""Listings: the files of a repository at one commit, kept so that the next start needs no network.

A listing is in the cache folder as ``pulled/<name>.json``; it is written once everything that was
asked for is there, and says which commit's files belong to a name like ``owner/name``.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm3edge.store.hub.errors import HubError
from glm3edge.store.hub.names import HubName, parse_name
from glm3edge_convert.files import read_file

_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository; ``sha256`` is None where the hub does not give it."""

    path: str
    num_bytes: int
    sha256: str | None = None


@dataclass(frozen=True)
class Listing:
    """All files of a repository at one commit, by path; ``name`` has no choice.

    ``folder`` is where another program left them, None if this one pulls them.
    """

    name: HubName
    commit: str
    files: Mapping[str, RemoteFile]
    folder: str | None = None

    @property
    def is_found(self) -> bool:
        """Whether it lists what another program left, rather than what the hub has."""
        return self.folder is not None

    def to_json(self) -> dict[str, Any]:
        """The value that is written to the file."""
        files = {f.path: [f.num_bytes, f.sha256] for f in self.files.values()}
        return {
            "name": str(self.name),
            "commit": self.commit,
            "files": files,
        }

    @classmethod
    def from_json(cls, value: object) -> "Listing | None":
        """The listing that ``to_json()`` wrote; None if ``value`` is something else."""
        match value:
            case {
                "name": str(text),
                "commit": str(commit),
                "files": dict(files),
            }:
                name = parse_name(text)
            case _:
                return None
        found = {}
        for path, entry in files.items():
            match entry:
                case [int(num_bytes), str() | None as sha256] if isinstance(path, str):
                    found[path] = RemoteFile(path, num_bytes, sha256)
                case _:
                    return None
        return None if name is None else cls(name, commit, found)


class Listings:
    """Listings in a folder. A damaged one counts as missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __iter__(self) -> Iterator[Listing]:
        for path in sorted(self._folder.glob("*.json")):
            listing = _read(path)
            if listing is not None:
                yield listing

    def get(self, name: HubName) -> Listing | None:
        """The listing of ``name``'s repository at its revision."""
        return _read(self._path(name))

    def save(self, listing: Listing) -> None:
        """Write a listing, in place of an earlier one of that repository and revision."""
        write_json(self._path(listing.name), listing.to_json())

    def remove(self, name: HubName) -> None:
        """Remove the listing of ``name``, if there is one."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: HubName) -> Path:
        parts = (name.hub, *name.repo.split("/"), *name.revision.split("/"))
        return self._folder / f"{'--'.join(parts)}.json"


def found_listing(name: HubName, folder: Path, commit: str | None = None) -> Listing:
    """Listing of a folder that another program left, with whatever files are there.

    Without a commit, a hash of paths, sizes and times stands for the state.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    found = {name: path.stat() for name, path in sorted(paths.items()) if _is_whole(name, path)}
    files = {path: RemoteFile(path, status.st_size) for path, status in found.items()}
    if commit is None:
        state = [f"{path} {status.st_size} {status.st_mtime_ns}" for path, status in found.items()]
        commit = hashlib.sha256("\n".join(state).encode()).hexdigest()
    return Listing(name.whole, commit, files, str(folder))


def checked_listing(name: HubName, commit: str | None, files: Iterable[RemoteFile]) -> Listing:
    """A listing of what a hub says, which is checked since it becomes paths here.

    Files that would be outside their folder, on any system, are left out.

    Raises:
        HubError: the commit is missing, or a checksum is none.
    """
    if commit is None or not _COMMIT.fullmatch(commit):
        variable = name.variables.endpoint
        raise HubError(f"the hub reports no commit of {name}: set {variable} to another one")
    found = {file.path: file for file in files if _stays_inside(file.path)}
    for file in found.values():
        if file.sha256 is not None and not _SHA256.fullmatch(file.sha256):
            variable = name.variables.endpoint
            raise HubError(f"the hub reports no SHA-256 of {file.path}: set {variable} to another")
    return Listing(name.whole, commit, found)


def _is_whole(name: str, path: Path) -> bool:
    """Whether a path is a file that was downloaded, by its name: no part, no note of a program."""
    is_hidden = any(part.startswith(".") for part in name.split("/"))
    return path.is_file() and not is_hidden and not name.endswith(".incomplete")


def _stays_inside(path: str) -> bool:
    is_plain = not any(mark in path for mark in "\\:\0")
    return is_plain and not {"", ".", ".."} & set(path.split("/"))


def _read(path: Path) -> Listing | None:
    with suppress(OSError, ValueError, RecursionError):
        return Listing.from_json(json.loads(read_file(path)))
    return None


def write_json(path: Path, value: object) -> None:
    """Write a small file atomically; its folder is made if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
