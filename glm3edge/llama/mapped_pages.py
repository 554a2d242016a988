"""Pages of a mapped file, given back to the system once it is loaded."""

import ctypes
import mmap
import os
import sys
from pathlib import Path


def release_pages(path: Path) -> None:
    """Let this process's pages of a file go; those that are read again come from the page cache.

    llama.cpp repacks most weights for the CPU into memory of its own, and reads them from there.
    The file's stay mapped, and count as this process's memory. Loading without a mapping takes
    nearly twice as long. On Linux only.
    """
    maps = Path("/proc/self/maps")
    if sys.platform != "linux" or not maps.is_file():
        return
    real, libc = os.path.realpath(path), ctypes.CDLL(None)
    for line in maps.read_text("utf-8", errors="surrogateescape").splitlines():
        addresses, permissions, *rest = line.split(maxsplit=5)
        if permissions == "r--s" and rest[-1] == real:
            start, end = (int(number, 16) for number in addresses.split("-"))
            size = ctypes.c_size_t(end - start)
            libc.madvise(ctypes.c_void_p(start), size, mmap.MADV_DONTNEED)
