"""How fast ChatGLM3-6B writes on this processor, from how fast it reads memory."""

from glm3edge.placement.speed import EFFICIENCY

READ_BYTES = (3699 - 143) * 2**20
"""What a token reads of the 6B in q4_k_m: all of the file but the embedding, of which it takes a
row (65,024 x 4,096 values in q4_k are 143 MiB). Keys and values come on top: 28 KiB a token."""


def tokens_per_second(bandwidth: float) -> float:
    """One stream of the 6B in q4_k_m, with a short context.

    Args:
        bandwidth: bytes per second of all compute threads together.
    """
    return bandwidth * EFFICIENCY / READ_BYTES
