"""The arithmetic of docs/scaling.md: ChatGLM3-6B's bytes by type, and what bandwidth makes of them.

    python benchmarks/arithmetic.py --bandwidth 31 --efficiency 0.73

Nothing is measured here. Sizes are those that `glm3edge convert` gives a checkpoint of the 6B's
shape: the table of its tensors and the recipe of each type, without the weights.
"""

import argparse
import math
from collections.abc import Iterator

from glm3edge.config.kv_types import KV_TYPES
from glm3edge_convert.models.chatglm.hparams import CHATGLM3_6B
from glm3edge_convert.models.chatglm.tensors import chatglm_mappings
from glm3edge_convert.quantize.recipe import RECIPES, row_num_bytes, tensor_type

MIB, GIB = 2**20, 2**30
TYPES = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m", "q2_k")
BLOCK_BYTES = {"f16": 64, "q8_0": 34, "q4_0": 18}
"""Of 32 values (ggml-common.h)."""
HERE = "token_embd.weight"
OUTPUT = "output.weight"


def tensor_bytes(type_name: str) -> dict[str, int]:
    """Bytes of each tensor in a file of this type."""
    found = {}
    for mapping in chatglm_mappings(CHATGLM3_6B):
        its_type = tensor_type(
            RECIPES[type_name],
            mapping.name,
            mapping.shape,
            CHATGLM3_6B.num_layers,
            n_gqa=CHATGLM3_6B.num_heads // CHATGLM3_6B.num_groups,
        )
        rows = math.prod(mapping.shape[:-1])
        found[mapping.name] = rows * row_num_bytes(its_type, mapping.shape[-1])
    return found


def kv_bytes(kv_type: str) -> float:
    """Bytes of keys and values that a token takes in memory."""
    num_values = 2 * CHATGLM3_6B.num_layers * CHATGLM3_6B.num_groups * CHATGLM3_6B.head_size
    return num_values * BLOCK_BYTES[kv_type] / 32


def weights(bandwidth: float, efficiency: float) -> Iterator[str]:
    """By type: bytes, and tokens a second; ``bandwidth`` in GB/s."""
    yield (
        "| type | weights, MiB | of them one layer | output matrix | input table "
        "| read for a token, GB | tokens/s |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name in TYPES:
        found = tensor_bytes(name)
        total = sum(found.values())
        layers = total - found[HERE] - found[OUTPUT]
        read = (total - found[HERE]) / 1e9  # of the input table one row is read
        speed = efficiency * bandwidth / (total / 1e9)
        yield (
            f"| {name} | {total / MIB:,.0f} | {layers / MIB / CHATGLM3_6B.num_layers:.0f} "
            f"| {found[OUTPUT] / MIB:.0f} | {found[HERE] / MIB:.0f} | {read:.2f} | {speed:.1f} |"
        )


def memory(lengths: tuple[int, ...] = (2048, 8192, 32768)) -> Iterator[str]:
    """By type: bytes of keys and values."""
    yield f"| keys, values | KiB a token | {' | '.join(f'{n:,} tokens' for n in lengths)} |"
    yield f"| --- | --- |{' --- |' * len(lengths)}"
    for name in KV_TYPES:
        sizes = " | ".join(f"{kv_bytes(name) * n / MIB:,.0f} MiB" for n in lengths)
        yield f"| {name} | {kv_bytes(name) / 1024:.2f} | {sizes} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bandwidth", type=float, default=31.0, help="GB/s")
    parser.add_argument("--efficiency", type=float, default=0.73)
    options = parser.parse_args()
    print("\n".join(weights(options.bandwidth, options.efficiency)), end="\n\n")
    print("\n".join(memory()))


if __name__ == "__main__":
    main()
