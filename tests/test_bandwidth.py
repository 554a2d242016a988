"""The measurement of memory, held against a plain loop of NumPy."""

import time

import numpy as np

from glm3edge import bandwidth
from glm3edge.bandwidth import read_bandwidth
from glm3edge.system_memory import system_memory


def test_it_is_no_slower_than_a_plain_loop() -> None:
    array = np.ones(2**25, dtype=np.float32)  # 128 MiB
    began = time.perf_counter()
    array.max()
    plain = array.nbytes / (time.perf_counter() - began)
    assert read_bandwidth(1, 0.2) > plain / 2


def test_it_reads_from_memory_not_from_a_cache() -> None:
    size = min(256 * 2**20, system_memory().available // 4)
    pieces = bandwidth._pieces(size)
    assert sum(piece.nbytes for piece in pieces) == size // 4 * 4
    assert min(piece.min() for piece in pieces) >= 0
    assert len(pieces) == size // (4 * 2**20)


def test_a_small_share_is_one_piece() -> None:
    assert [piece.nbytes for piece in bandwidth._pieces(100)] == [4096]
