"""Memory bandwidth of common graphics cards, by the name that llama.cpp reports.

Bandwidths are the makers' specifications (NVIDIA's, AMD's, Intel's and Apple's product pages, as
TechPowerUp's GPU database and Wikipedia collect them). Where a name has had several, as the RTX
3050 and the RTX 3060 have, it is that of the best-known card.
"""

import re

_CARDS = {
    68: "Apple M1",
    100: "Apple M2, Apple M3",
    112: "GTX 1050, GTX 1050 Ti, Arc A370M",
    120: "Apple M4",
    128: "GTX 1650",
    144: "RX 6500 XT, RX 6500M",
    150: "Apple M3 Pro",
    153: "Apple M5",
    186: "Arc A380",
    192: "GTX 1060, GTX 1650 Ti, GTX 1650 SUPER, GTX 1660, RTX 3050 Laptop, RTX 3050 Ti Laptop, "
    "RTX 4050 Laptop",
    200: "Apple M1 Pro, Apple M2 Pro",
    224: "RTX 3050, RX 570, RX 5500 XT, RX 6600",
    256: "GTX 1070, GTX 1070 Ti, RTX 4060 Laptop, RTX 4070 Laptop, RX 580, RX 590, RX 6600 XT, "
    "RX 6600M",
    272: "RTX 4060",
    273: "Apple M4 Pro, GB10",
    288: "GTX 1660 Ti, RTX 4060 Ti, RTX A2000, RX 5600 XT, RX 7600, RX 7600 XT, RX 7600M",
    300: "L4",
    307: "Apple M5 Pro",
    320: "GTX 1080, RTX 5050, T4",
    336: "GTX 1660 SUPER, RTX 2060, RTX 3060 Laptop",
    347: "P40",
    360: "RTX 3060",
    384: "RTX 5050 Laptop, RTX 5060 Laptop, RTX 5070 Laptop, RX 6700 XT, RX 6800M",
    400: "Apple M1 Max, Apple M2 Max, Apple M3 Max",
    432: "RTX 4080 Laptop, RX 6750 XT, RX 7700 XT",
    448: "RTX 2060 SUPER, RTX 2070, RTX 2070 SUPER, RTX 2080, RTX 3060 Ti, RTX 3070, "
    "RTX 3070 Laptop, RTX 3070 Ti Laptop, RTX 3080 Laptop, RTX 5060, RTX 5060 Ti, RTX A4000, "
    "RX 5700, RX 5700 XT",
    484: "GTX 1080 Ti",
    496: "RTX 2080 SUPER",
    504: "RTX 4070, RTX 4070 SUPER, RTX 4070 Ti",
    512: "RTX 3080 Ti Laptop, RX 6800, RX 6800 XT, RX 6900 XT, Arc A750, Arc A580",
    546: "Apple M4 Max",
    560: "Arc A770",
    576: "RTX 4090 Laptop",
    600: "A10",
    608: "RTX 3070 Ti",
    614: "Apple M5 Max",
    616: "RTX 2080 Ti",
    624: "RX 7800 XT",
    640: "RX 9070, RX 9070 XT",
    672: "RTX 4070 Ti SUPER, RTX 5070, RTX 5070 Ti Laptop, TITAN RTX",
    717: "RTX 4080",
    736: "RTX 4080 SUPER",
    760: "RTX 3080",
    768: "RTX A5000, RTX A6000",
    800: "RX 7900 XT, Apple M1 Ultra, Apple M2 Ultra",
    819: "Apple M3 Ultra",
    864: "L40S",
    896: "RTX 5070 Ti, RTX 5080 Laptop, RTX 5090 Laptop",
    900: "V100",
    912: "RTX 3080 Ti",
    936: "RTX 3090",
    960: "RTX 5080, RTX 6000 Ada, RX 7900 XTX",
    1008: "RTX 3090 Ti, RTX 4090",
    1555: "A100",
    1792: "RTX 5090, RTX PRO 6000",
    2000: "H100 PCIe",
    3350: "H100",
    4800: "H200",
}
"""Names of cards by bandwidth in GB/s."""

_PATTERNS = {
    re.compile(rf"\b{name.casefold().replace(' ', ' ?')}\b"): number * 1e9
    for number, names in _CARDS.items()
    for name in names.split(", ")
}
_MARKS = re.compile(r"\((?:r|tm)\)", re.IGNORECASE)


def card_bandwidth(name: str) -> float | None:
    """Bytes per second of a graphics card, None if it is not known.

    Args:
        name: as a driver reports it, such as ``NVIDIA GeForce RTX 4060 Laptop GPU``. The longest
            known name in it counts, so that an RTX 4060 Ti is not taken for an RTX 4060.
    """
    words = " ".join(_MARKS.sub("", name).casefold().split())
    found = [known for known in _PATTERNS if known.search(words)]
    return _PATTERNS[max(found, key=lambda known: len(known.pattern))] if found else None
