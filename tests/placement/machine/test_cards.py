"""Bandwidths of cards, by the names that drivers report."""

import pytest

from glm3edge.placement.machine.cards import card_bandwidth


@pytest.mark.parametrize(
    ("name", "bandwidth"),
    [
        ("NVIDIA GeForce RTX 4060", 272),
        ("NVIDIA GeForce RTX 4060 Ti", 288),
        ("NVIDIA GeForce RTX 4060 Laptop GPU", 256),
        ("NVIDIA GeForce GTX 1650 with Max-Q Design", 128),
        ("NVIDIA H100 80GB HBM3", 3350),
        ("NVIDIA H100 PCIe", 2000),
        ("NVIDIA A100-SXM4-80GB", 1555),
        ("NVIDIA L40S", 864),
        ("Tesla T4", 320),
        ("AMD Radeon RX 7900 XT (RADV NAVI31)", 800),
        ("AMD Radeon RX 7900 XTX (RADV NAVI31)", 960),
        ("Intel(R) Arc(TM) A770 Graphics (DG2)", 560),
        ("Apple M1", 68),
        ("Apple M1 Pro", 200),
        ("rtx3090", 936),
    ],
)
def test_cards(name: str, bandwidth: int) -> None:
    assert card_bandwidth(name) == bandwidth * 1e9


@pytest.mark.parametrize("name", ["", "llvmpipe (LLVM 19.1.7, 256 bits)", "RTX 40600", "GPU T44"])
def test_names_that_say_nothing(name: str) -> None:
    assert card_bandwidth(name) is None
