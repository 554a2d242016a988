"""What is read to measure memory. How fast that is, no test says."""

import threading

import pytest

from glm3edge.placement.machine import bandwidth
from glm3edge.placement.machine.bandwidth import read_bandwidth
from glm3edge.placement.machine.memory import system_memory


@pytest.mark.slow
def test_every_byte_that_is_counted_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each thread a share of its own, and the rate is of all together."""
    read: dict[int, int] = {}
    count = bandwidth._read

    def counted(pieces: list[bandwidth._Array], deadline: float) -> int:
        num_bytes = count(pieces, deadline)
        shares[id(pieces)] = sum(piece.nbytes for piece in pieces)
        read[threading.get_ident()] = read.get(threading.get_ident(), 0) + num_bytes
        return num_bytes

    shares: dict[int, int] = {}
    monkeypatch.setattr(bandwidth, "_read", counted)
    rate = read_bandwidth(2, 0.2)
    assert len(shares) == 2
    assert 0 < rate <= sum(read.values()) / bandwidth._ROUND_SECONDS


def test_it_reads_from_memory_not_from_a_cache() -> None:
    size = min(256 * 2**20, system_memory().available // 4)
    pieces = bandwidth._pieces(size)
    assert sum(piece.nbytes for piece in pieces) == size // 4 * 4
    assert min(piece.min() for piece in pieces) >= 0
    assert len(pieces) == size // (4 * 2**20)


def test_a_small_share_is_one_piece() -> None:
    assert [piece.nbytes for piece in bandwidth._pieces(100)] == [4096]
