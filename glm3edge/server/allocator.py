"""The C library's allocator, set for a process that runs for months."""

import ctypes
import sys

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
_BLOCK_BYTES = 2**20
_NUM_ARENAS = 2


def return_large_blocks() -> None:
    """Let blocks of 1 MiB and more go back to the system as soon as they are freed.

    glibc raises that size with each larger block it frees, up to 32 MiB, and its arenas, up to
    eight for each core, then keep twice as much: hundreds of megabytes after a few long requests.
    Other libraries do not (mallopt(3)).
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if set_option := getattr(libc, "mallopt", None):
        set_option(_M_MMAP_THRESHOLD, _BLOCK_BYTES)
        set_option(_M_ARENA_MAX, _NUM_ARENAS)
