"""Memory bandwidth of this machine, which limits the speed of decoding.

Every thread has a share of an array that is far larger than the caches and reads it from end to
end, again and again, by asking NumPy for the largest number in each piece of it. That loop is one
of NumPy's hand-vectorized ones: within a cache it runs at twice the speed of memory and more, so it
waits for memory, and it works without the interpreter's lock. Bytes are counted over short rounds,
and the fastest round is the hardware's speed: whatever else runs meanwhile only slows rounds down.
On two cores of an AMD EPYC it gives as much as a loop of AVX2 loads in C with OpenMP.
"""

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from glm3edge.placement.machine.memory import system_memory

_MIN_BYTES, _MAX_BYTES = 256 * 2**20, 512 * 2**20
_THREAD_BYTES = 32 * 2**20  # servers have that much cache for a few cores
_PIECE_BYTES = 4 * 2**20  # about 0.2 ms of reading, against some microseconds for the lock
_PAGE_BYTES = 4096
_ROUND_SECONDS = 0.05

_Array = npt.NDArray[np.float32]


def read_bandwidth(num_threads: int, seconds: float = 0.4) -> float:
    """Measure the bytes per second that ``num_threads`` threads together read from memory.

    It takes 256 MiB of memory, up to 512 MiB with many threads, but never more than a quarter of
    what is available, and some tenths of a second besides ``seconds`` to allocate it.
    """
    wanted = min(max(_MIN_BYTES, num_threads * _THREAD_BYTES), _MAX_BYTES)
    num_bytes = min(wanted, system_memory().available // 4) // num_threads
    with ThreadPoolExecutor(num_threads) as threads:
        shares = list(threads.map(_pieces, [num_bytes] * num_threads))
        deadline = time.perf_counter() + seconds
        rates = [_round(threads, shares)]
        while time.perf_counter() < deadline:
            rates.append(_round(threads, shares))
    return max(rates)


def _round(threads: ThreadPoolExecutor, shares: Sequence[Sequence[_Array]]) -> float:
    """Bytes per second while every thread reads its share."""
    began = time.perf_counter()
    num_bytes = sum(threads.map(_read, shares, [began + _ROUND_SECONDS] * len(shares)))
    return num_bytes / (time.perf_counter() - began)


def _pieces(num_bytes: int) -> list[_Array]:
    """An array of so many bytes, in pieces, all of it really in memory."""
    share: _Array = np.empty(max(num_bytes, _PAGE_BYTES) // 4, dtype=np.float32)
    share[:: _PAGE_BYTES // 4] = 1.0  # pages that nobody has written to are all the same one
    return np.array_split(share, max(1, num_bytes // _PIECE_BYTES))


def _read(pieces: Sequence[_Array], deadline: float) -> int:
    """Bytes that one thread read until the deadline, going round the pieces."""
    num_bytes = 0
    for piece in itertools.cycle(pieces):
        np.maximum.reduce(piece)
        num_bytes += piece.nbytes
        if time.perf_counter() >= deadline:
            break
    return num_bytes
