"""Expected decoding speed, from the bytes that each token reads.

Decoding one stream waits for memory: a token reads every weight but the embedding's other rows, and
the keys and values of the tokens before it. Devices work one after the other, so their times add
up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from glm3edge.llama.devices import CPU

EFFICIENCY = 0.73
"""Part of the CPU's memory bandwidth that decoding uses: measured with q4_k_m of ChatGLM3-6B's
shape on two cores."""

GPU_EFFICIENCY = 0.6
"""The same of a card. A guess: llama.cpp's developers report 0.73 of an RTX 3090's, 0.55 of an RTX
4090's and 0.6 of a P40's with 4-bit models of 7B and 8B (pull requests 15802, 6766 and 4766)."""

MAX_GPU_RATE = 1.1e12
"""Bytes per second that one stream reads of a card at most, however fast its memory is: an H100 of
3,350 GB/s gave 298 tokens/s, a third of that. Measured on that card alone."""

USED_CONTEXT = 1024
"""Tokens in the context that are assumed."""

CHATGLM3_READ_BYTES = (3699 - 143) * 2**20
"""Bytes that a token reads of ChatGLM3-6B in q4_k_m: all of the file but the embedding, of which it
takes a row (65,024 x 4,096 values in q4_k are 143 MiB). The KV cache adds 28 KiB a token."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Expected decoding speed.

    Attributes:
        tokens_per_second: of one stream.
        is_at_most: whether the time of devices of unknown bandwidth is left out.
    """

    tokens_per_second: float
    is_at_most: bool


def expected_speed(
    read_bytes: Mapping[str, int], bandwidths: Mapping[str, float | None]
) -> Speed | None:
    """Expected speed of decoding one stream; None if no bandwidth is known.

    Args:
        read_bytes: bytes that a token reads on each device.
        bandwidths: bytes per second of each device, None if unknown.
    """
    known = {device: bandwidth for device, bandwidth in bandwidths.items() if bandwidth}
    seconds = sum(
        size / _rate(device, known[device])
        for device, size in read_bytes.items()
        if device in known
    )
    if not seconds:
        return None
    return Speed(
        1 / seconds, any(read_bytes[device] for device in read_bytes if device not in known)
    )


def _rate(device: str, bandwidth: float) -> float:
    """Bytes per second that decoding one stream reads on a device."""
    if device == CPU:
        return bandwidth * EFFICIENCY
    return min(bandwidth * GPU_EFFICIENCY, MAX_GPU_RATE)


def cpu_tokens_per_second(bandwidth: float) -> float:
    """Decoding speed of one stream of ChatGLM3-6B in q4_k_m on the CPU, with a short context.

    Args:
        bandwidth: bytes per second of all compute threads together.
    """
    return bandwidth * EFFICIENCY / CHATGLM3_READ_BYTES
