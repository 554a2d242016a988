"""Expected decoding speed, from the bytes that each token reads.

Decoding one stream waits for memory: a token reads every weight but the embedding's other rows, and
the keys and values of the tokens before it. Devices work one after the other, so their times add
up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

EFFICIENCY = 0.73
"""Part of the memory's bandwidth that decoding uses: measured with q4_k_m of ChatGLM3-6B's
shape on two cores; the same is assumed for GPUs. An H100 used a third."""

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
        size / (known[device] * EFFICIENCY)
        for device, size in read_bytes.items()
        if device in known
    )
    if not seconds:
        return None
    return Speed(
        1 / seconds, any(read_bytes[device] for device in read_bytes if device not in known)
    )


def cpu_tokens_per_second(bandwidth: float) -> float:
    """Decoding speed of one stream of ChatGLM3-6B in q4_k_m on the CPU, with a short context.

    Args:
        bandwidth: bytes per second of all compute threads together.
    """
    return bandwidth * EFFICIENCY / CHATGLM3_READ_BYTES
