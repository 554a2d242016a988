"""KV cache on disk: states of slots in files, so that prefixes are reused after a restart."""

import hashlib
import logging
import os
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Ids = NDArray[np.int32]

_MAGIC = b"GLM3EDGE-STATE1\n"
_DIGEST_BYTES = 16
_HEADER = struct.Struct(f"<16s{_DIGEST_BYTES}s{_DIGEST_BYTES}sIQ")
"""Magic, digest of the key, digest of the rest, number of tokens, bytes of state."""

_SUFFIX = ".state"
_STALE_SECONDS = 3600
_MAX_PENDING_BYTES = 2**29


@dataclass(frozen=True, slots=True)
class Entry:
    """State of a slot, in a file or waiting to be written.

    Attributes:
        token_ids: the tokens in the slot.
        adapter: the adapter they were computed with; 0 is the model alone.
        path: its file; None before it is written.
        state: the state itself until it is written.
    """

    token_ids: Ids
    adapter: int = 0
    path: Path | None = None
    state: bytes | None = None


class DiskCache:
    """Folder of states, found by prefix and adapter, and written in the background.

    A file has _HEADER, the token ids as little-endian int32, and the state. Files appear under
    their name only when they are complete. Damaged files are removed with a warning; states of
    other models are left alone, and count toward the limit.
    """

    def __init__(
        self, folder: Path, *, key: str, max_bytes: int, adapter_keys: Sequence[str] = ()
    ) -> None:
        """Open the cache in ``folder``, which is created if it does not exist.

        Args:
            folder: its files named ``*.state`` are the cache's.
            key: identifies the model and the settings that a state depends on.
            max_bytes: limit for all files together; the least recently used are removed first.
            adapter_keys: the keys of the model with each of its adapters.
        """
        self._folder = folder
        self._keys = [_key_digest(text) for text in (key, *adapter_keys)]
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._pending: deque[Entry] = deque()
        self._writing: Entry | None = None
        self._closing = False
        self._entries: dict[Path, Entry] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._scan()
        self._thread = threading.Thread(target=self._write_all, name="glm3edge-disk", daemon=True)
        self._thread.start()

    def match_prefix(self, token_ids: Sequence[int], adapter: int = 0) -> tuple[Entry | None, int]:
        """Entry of the adapter with the longest common prefix, and that prefix's length."""
        ids = np.asarray(token_ids, np.int32)
        best, length = None, 0
        for entry in self._entries_of(adapter):
            if (common := common_prefix_length(entry.token_ids, ids)) > length:
                best, length = entry, common
        return best, length

    def load(self, entry: Entry) -> bytes | None:
        """State of ``entry``; None, and the entry is removed, if the file is gone or damaged."""
        if entry.path is None:
            return entry.state
        try:
            state = _parse(entry.path.read_bytes())
            os.utime(entry.path)  # for _evict()
        except (OSError, ValueError) as exc:
            self._discard(entry.path, f"cannot be used: {exc}")
            return None
        return state

    def contains(self, token_ids: Sequence[int] | Ids, adapter: int = 0) -> bool:
        """Whether ``token_ids`` are a prefix of an entry, written or about to be."""
        ids = np.asarray(token_ids, np.int32)
        return any(
            common_prefix_length(entry.token_ids, ids) == len(ids)
            for entry in self._entries_of(adapter)
        )

    def save(self, token_ids: Sequence[int] | Ids, state: bytes, adapter: int = 0) -> None:
        """Write a state in the background. If writing cannot keep up, the oldest is dropped."""
        with self._wake:
            self._pending.append(Entry(np.array(token_ids, np.int32), adapter, state=state))
            while len(self._pending) > 1 and self._num_pending_bytes > _MAX_PENDING_BYTES:
                self._pending.popleft()
            self._wake.notify_all()

    def flush(self) -> None:
        """Wait until all saved states are written."""
        with self._wake:
            self._wake.wait_for(lambda: not self._pending and self._writing is None)

    def close(self) -> None:
        """``flush()``, and stop. Idempotent."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join()

    @property
    def _num_pending_bytes(self) -> int:
        return sum(len(entry.state or b"") for entry in self._pending)

    def _entries_of(self, adapter: int) -> list[Entry]:
        with self._lock:
            unwritten = [*self._pending, *([self._writing] if self._writing else [])]
            known = [*unwritten, *self._entries.values()]
        return [entry for entry in known if entry.adapter == adapter]

    def _scan(self) -> None:
        for path in self._folder.iterdir():
            try:
                if path.suffix == ".part":
                    if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                        path.unlink()
                elif path.suffix == _SUFFIX:
                    self._add(path)
            except (OSError, ValueError) as exc:
                self._discard(path, f"is not a saved KV cache: {exc}")

    def _add(self, path: Path) -> None:
        size = path.stat().st_size
        with path.open("rb") as file:
            key, _, ids = _parse_header(file.read(_HEADER.size), size)
            if key not in self._keys:
                return
            token_ids = np.frombuffer(file.read(ids.stop - ids.start), "<i4")
        self._entries[path] = Entry(token_ids, self._keys.index(key), path)

    def _write_all(self) -> None:
        while True:
            with self._wake:
                self._writing = None
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._pending or self._closing)
                if not self._pending:
                    return
                entry = self._writing = self._pending.popleft()
            try:
                self._write(entry)
            except (OSError, MemoryError) as exc:
                logger.warning("cannot write to the disk cache %s: %s", self._folder, exc)

    def _write(self, unwritten: Entry) -> None:
        token_ids, key = unwritten.token_ids, self._keys[unwritten.adapter]
        data = _pack(key, token_ids, unwritten.state or b"")
        if len(data) > self._max_bytes:
            return
        name = hashlib.blake2b(key + token_ids.tobytes(), digest_size=16).hexdigest()
        path = self._folder / f"{name}{_SUFFIX}"
        part = self._folder / f".{name}.{secrets.token_hex(4)}.part"
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        with self._lock:
            self._entries[path] = Entry(token_ids, unwritten.adapter, path)
            outdated = [
                other
                for other, entry in self._entries.items()
                if entry.adapter == unwritten.adapter
                and len(entry.token_ids) < len(token_ids)
                and common_prefix_length(entry.token_ids, token_ids) == len(entry.token_ids)
            ]
        for old in outdated:
            self._remove(old)
        self._evict()

    def _evict(self) -> None:
        """Remove the least recently used files, those of other models too, down to the limit."""
        found = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._max_bytes:
                return
            self._remove(path)
            total -= size

    def _discard(self, path: Path, reason: str) -> None:
        logger.warning("%s %s; it is removed from the disk cache", path, reason)
        self._remove(path)

    def _remove(self, path: Path) -> None:
        with self._lock:
            self._entries.pop(path, None)
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            logger.warning("cannot remove %s: %s", path, exc)


def _key_digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES).digest()


def common_prefix_length(one: Ids, other: Ids) -> int:
    """Length of the longest common prefix of two token sequences."""
    length = min(len(one), len(other))
    different = np.flatnonzero(one[:length] != other[:length])
    return int(different[0]) if different.size else length


def _pack(key: bytes, token_ids: Ids, state: bytes) -> bytes:
    ids = token_ids.astype("<i4").tobytes()
    digest = _digest(key, ids, state)
    return b"".join((_HEADER.pack(_MAGIC, key, digest, len(token_ids), len(state)), ids, state))


def _parse(data: bytes) -> bytes:
    """State in a file's bytes.

    Raises:
        ValueError: the file is damaged or of another kind.
    """
    key, digest, ids = _parse_header(data, len(data))
    state = data[ids.stop :]
    if _digest(key, data[ids], state) != digest:
        raise ValueError("its bytes have changed")
    return state


def _parse_header(head: bytes, file_size: int) -> tuple[bytes, bytes, slice]:
    """Key, digest, and the range of the token ids' bytes.

    Raises:
        ValueError: the file is cut off or of another kind.
    """
    if len(head) < _HEADER.size:
        raise ValueError("it is cut off")
    magic, key, digest, num_tokens, num_bytes = _HEADER.unpack_from(head)
    if magic != _MAGIC:
        raise ValueError("its first bytes are of another kind of file")
    ids = slice(_HEADER.size, _HEADER.size + 4 * num_tokens)
    if file_size != ids.stop + num_bytes:
        raise ValueError("it is cut off")
    return key, digest, ids


def _digest(key: bytes, ids: bytes, state: bytes) -> bytes:
    digest = hashlib.blake2b(key, digest_size=_DIGEST_BYTES)
    digest.update(ids)
    digest.update(state)
    return digest.digest()
