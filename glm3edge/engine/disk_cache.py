"""KV cache on disk: states of slots in files, so that prefixes are reused after a restart."""

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glm3edge.engine.state_file import DIGEST_BYTES, Ids
from glm3edge.engine.state_folder import StateFolder

logger = logging.getLogger(__name__)


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
    state: bytes | bytearray = b""


class DiskCache:
    """Saved states of a model, found by prefix and adapter, and written in the background.

    States in memory, which wait to be written or are read, have no more tokens together than the
    context, so they take no more memory than its KV cache.

    Attributes:
        num_failures: states that could not be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key: str,
        max_bytes: int,
        max_waiting_tokens: int,
        adapter_keys: Sequence[str] = (),
    ) -> None:
        """Open the cache in ``folder``, which is created if it does not exist.

        Args:
            folder: for states of any model; see ``StateFolder``.
            key: identifies the model and the settings that a state depends on.
            max_bytes: limit for all files together; the least recently used are removed first.
            max_waiting_tokens: limit for the states in memory: the context's size.
            adapter_keys: the keys of the model with each of its adapters.

        Raises:
            OSError: the folder cannot be made, or others have access to it.
        """
        self._folder = StateFolder(folder, max_bytes=max_bytes)
        self._keys = [_key_digest(text) for text in (key, *adapter_keys)]
        self._max_waiting_tokens = max_waiting_tokens
        self._wake = threading.Condition()
        self._waiting: deque[Entry] = deque()  # the first is being written
        self._closing = False
        self._is_failing = False
        self.num_failures = 0
        self._entries = {
            path: Entry(head.token_ids, self._keys.index(head.model_key), path)
            for path, head in self._folder.scan()
            if head.model_key in self._keys
        }
        self._thread = threading.Thread(target=self._write_all, name="glm3edge-disk", daemon=True)
        self._thread.start()

    def match_prefix(
        self, token_ids: Sequence[int] | Ids, adapter: int = 0
    ) -> tuple[Entry | None, int]:
        """Entry of the adapter with the longest common prefix, and that prefix's length."""
        ids = np.asarray(token_ids, np.int32)
        while True:
            best, length = _longest_match(ids, self._entries_of(adapter))
            if best is None or best.path is None or self._folder.has(best.path):
                return best, length
            self._forget(best.path)  # another server has evicted it

    def load(self, entry: Entry) -> bytes | bytearray | None:
        """State of ``entry``; None, and the entry is removed, if the file is gone or damaged."""
        if entry.path is None:
            return entry.state
        self.wait_for_room(len(entry.token_ids), timeout=None)
        state = self._folder.read(entry.path)
        if state is None:
            self._forget(entry.path)
        return state

    def wait_for_room(self, num_tokens: int, timeout: float | None = 0.0) -> bool:
        """Wait until a state of so many tokens may be in memory; whether it may.

        Args:
            num_tokens: the state's.
            timeout: in seconds; None waits as long as the disk takes.
        """
        with self._wake:
            return self._wake.wait_for(lambda: self._has_room(num_tokens), timeout)

    def save(
        self, token_ids: Sequence[int] | Ids, state: bytes | bytearray, adapter: int = 0
    ) -> None:
        """Write a state in the background, for which ``wait_for_room()`` has said yes."""
        with self._wake:
            self._waiting.append(Entry(np.array(token_ids, np.int32), adapter, state=state))
            self._wake.notify_all()

    def flush(self) -> None:
        """Wait until all saved states are written."""
        with self._wake:
            self._wake.wait_for(lambda: not self._waiting)

    def close(self) -> None:
        """``flush()``, and stop. Idempotent."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join()

    def _has_room(self, num_tokens: int) -> bool:
        num_waiting = sum(len(entry.token_ids) for entry in self._waiting)
        return not num_waiting or num_waiting + num_tokens <= self._max_waiting_tokens

    def _entries_of(self, adapter: int) -> list[Entry]:
        with self._wake:
            known = [*self._waiting, *self._entries.values()]
        return [entry for entry in known if entry.adapter == adapter]

    def _forget(self, path: Path) -> None:
        with self._wake:
            self._entries.pop(path, None)

    def _write_all(self) -> None:
        while self._write_next():
            pass

    def _write_next(self) -> bool:
        """Write the first state that waits, once there is one; False when the cache closes."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return False
            entry = self._waiting[0]
        try:
            self._write(entry)
            self._is_failing = False
        except Exception as exc:  # the thread goes on, or close() would wait for ever
            if not self._is_failing:
                logger.warning("cannot write to the disk cache %s: %r", self._folder.path, exc)
            self._is_failing = True
            self.num_failures += 1
        finally:
            with self._wake:
                self._waiting.popleft()
                self._wake.notify_all()
        return True

    def _write(self, waiting: Entry) -> None:
        token_ids, adapter = waiting.token_ids, waiting.adapter
        path = self._folder.write(self._keys[adapter], token_ids, waiting.state)
        if path is None:
            return
        written = Entry(token_ids, adapter, path)
        outdated = [
            entry.path
            for entry in self._entries_of(adapter)
            if entry.path not in {None, path} and _is_prefix(entry.token_ids, token_ids)
        ]
        for old in outdated:
            self._folder.remove(old)
        left = self._folder.evict()
        with self._wake:
            self._entries[path] = written
            self._entries = {path: entry for path, entry in self._entries.items() if path in left}


def common_prefix_length(one: Ids, other: Ids) -> int:
    """Length of the longest common prefix of two token sequences."""
    length = min(len(one), len(other))
    different = np.flatnonzero(one[:length] != other[:length])
    return int(different[0]) if different.size else length


def _is_prefix(ids: Ids, of: Ids) -> bool:
    return common_prefix_length(ids, of) == len(ids)


def _longest_match(ids: Ids, entries: Sequence[Entry]) -> tuple[Entry | None, int]:
    best, length = None, 0
    for entry in entries:
        found = entry.token_ids
        if length >= min(len(found), len(ids)) or found[length] != ids[length]:
            continue  # no longer than the best, as most are
        if (common := common_prefix_length(found, ids)) > length:
            best, length = entry, common
    return best, length


def _key_digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=DIGEST_BYTES).digest()
