"""Speed: how many tokens a second to expect, from what a token has to read.

Decoding one stream waits for memory: a token reads every weight but the embedding's other rows, and
the keys and values of what is before it. Devices work one after the other, so their times add up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

EFFICIENCY = 0.73
"""Part of the memory's bandwidth that decoding makes use of: measured with q4_k_m of ChatGLM3-6B's
shape on two cores; for GPUs it is taken to be the same. An H100 made use of a third."""

USED_CONTEXT = 1024
"""Tokens that are taken to be in the context."""


@dataclass(frozen=True, slots=True)
class Speed:
    """An expectation.

    Attributes:
        tokens_per_second: of one stream.
        is_at_most: whether there are devices of which nothing is known, whose time is left out.
    """

    tokens_per_second: float
    is_at_most: bool


def expected_speed(
    read_bytes: Mapping[str, int], bandwidths: Mapping[str, float | None]
) -> Speed | None:
    """The speed of decoding one stream; None if too little is known to say anything.

    Args:
        read_bytes: what a token reads on each device.
        bandwidths: bytes per second of each device, None where that is not known.
    """
    known = {device: bandwidth for device, bandwidth in bandwidths.items() if bandwidth}
    seconds = sum(
        size / (known[device] * EFFICIENCY)
        for device, size in read_bytes.items()
        if device in known
    )
    if not seconds:
        return None
    return Speed(
        1 / seconds, any(read_bytes[device] for device in read_bytes if device not in known)
    )
