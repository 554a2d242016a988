"""File of a saved state: its layout, and the signature that tells it from a forged or damaged one.

    magic, digest of the model's key, number of tokens, bytes of state, digest of the state
    signature of all the above and of the token ids, with the folder's key
    token ids, little-endian int32
    state

Numbers are little-endian. The signature is BLAKE2b's keyed mode (RFC 7693).
"""

import hashlib
import hmac
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]

DIGEST_BYTES = 32
KEY_BYTES = 32

_MAGIC = b"GLM3EDGE-STATE2\n"
_UNSIGNED_MAGIC = b"GLM3EDGE-STATE1\n"
_FIELDS = struct.Struct(f"<16s{DIGEST_BYTES}sIQ{DIGEST_BYTES}s")
_HEAD_BYTES = _FIELDS.size + DIGEST_BYTES
_MAX_TOKENS = 2**22
"""Tokens of a state; more are not read before the signature is known to be right."""


class UnsignedStateError(ValueError):
    """A state of an earlier version, which did not sign them."""


class Head(NamedTuple):
    """What stands before the state, with a signature that is right."""

    model_key: bytes
    token_ids: Ids
    num_bytes: int
    digest: bytes


def pack_head(
    signing_key: bytes, model_key: bytes, token_ids: Ids, state: bytes | bytearray
) -> bytes:
    """The bytes before the state."""
    ids = token_ids.astype("<i4").tobytes()
    digest = hashlib.blake2b(state, digest_size=DIGEST_BYTES).digest()
    fields = _FIELDS.pack(_MAGIC, model_key, len(token_ids), len(state), digest)
    return fields + _signature(signing_key, fields, ids) + ids


def read_head(file: BinaryIO, signing_key: bytes) -> Head:
    """Read what stands before the state.

    Raises:
        UnsignedStateError: an earlier version wrote it.
        ValueError: it is cut off, changed, forged, or of another kind.
    """
    head = file.read(_HEAD_BYTES)
    if head.startswith(_UNSIGNED_MAGIC):
        raise UnsignedStateError("it is not signed")
    if len(head) < _HEAD_BYTES:
        raise ValueError("it is cut off")
    fields, signature = head[: _FIELDS.size], head[_FIELDS.size :]
    magic, model_key, num_tokens, num_bytes, digest = _FIELDS.unpack(fields)
    if magic != _MAGIC:
        raise ValueError("its first bytes are of another kind of file")
    if num_tokens > _MAX_TOKENS:
        raise ValueError("it names too many tokens")
    ids = file.read(4 * num_tokens)
    if os.fstat(file.fileno()).st_size != len(head) + 4 * num_tokens + num_bytes:
        raise ValueError("it is cut off")
    if not hmac.compare_digest(_signature(signing_key, fields, ids), signature):
        raise ValueError("its signature is not of this folder")
    return Head(model_key, np.frombuffer(ids, "<i4"), num_bytes, digest)


def read_state(file: BinaryIO, head: Head) -> bytes:
    """Read the state after ``head``.

    Raises:
        ValueError: its bytes have changed.
    """
    state = file.read(head.num_bytes)
    if hashlib.blake2b(state, digest_size=DIGEST_BYTES).digest() != head.digest:
        raise ValueError("its bytes have changed")
    return state


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, opened for reading; no link, pipe or device is followed or waited for.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not a regular file.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError("it is not a regular file")
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        yield file


def _signature(signing_key: bytes, *parts: bytes) -> bytes:
    digest = hashlib.blake2b(key=signing_key, digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()
