"""Which type each tensor gets in each output type: llama.cpp's policy for `chatglm`.

Follows llama_tensor_get_type and tensor_type_fallback of llama.cpp's src/llama-quant.cpp without an
importance matrix, so that a file made here equals one made by its quantize tool:

- vectors (norms, biases) stay F32;
- output.weight gets Q6_K in every quantized type but q8_0;
- attn_qkv and ffn_down get Q6_K in q4_k_m and q5_k_m in the first eighth of the layers, the last
  eighth, and every third layer between;
- a type whose blocks do not divide the row falls back to one with blocks of 32, or to F16.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

from glm3edge_convert.errors import UnknownTypeError

F32, F16, BF16 = (
    GGMLQuantizationType.F32,
    GGMLQuantizationType.F16,
    GGMLQuantizationType.BF16,
)
Q4_0, Q8_0 = GGMLQuantizationType.Q4_0, GGMLQuantizationType.Q8_0
Q4_K, Q5_K, Q6_K = (
    GGMLQuantizationType.Q4_K,
    GGMLQuantizationType.Q5_K,
    GGMLQuantizationType.Q6_K,
)

FALLBACKS = {
    Q4_K: GGMLQuantizationType.Q5_0,
    Q5_K: GGMLQuantizationType.Q5_1,
    Q6_K: GGMLQuantizationType.Q8_0,
}
SENSITIVE = re.compile(r"blk\.(\d+)\.(attn_qkv|ffn_down)\.weight")


@dataclass(frozen=True)
class Recipe:
    """An output type: `base` for most matrices, Q6_K for sensitive ones if `mixed`."""

    name: str
    file_type: int
    base: GGMLQuantizationType
    mixed: bool = False

    @property
    def is_quantized(self) -> bool:
        return self.base not in {F32, F16, BF16}


_ALL = (
    Recipe("f32", LlamaFileType.ALL_F32, F32),
    Recipe("f16", LlamaFileType.MOSTLY_F16, F16),
    Recipe("bf16", LlamaFileType.MOSTLY_BF16, BF16),
    Recipe("q8_0", LlamaFileType.MOSTLY_Q8_0, Q8_0),
    Recipe("q6_k", LlamaFileType.MOSTLY_Q6_K, Q6_K),
    Recipe("q5_k_m", LlamaFileType.MOSTLY_Q5_K_M, Q5_K, mixed=True),
    Recipe("q4_k_m", LlamaFileType.MOSTLY_Q4_K_M, Q4_K, mixed=True),
    Recipe("q4_0", LlamaFileType.MOSTLY_Q4_0, Q4_0),
)
RECIPES = {recipe.name: recipe for recipe in _ALL}
DEFAULT_TYPE = "q4_k_m"


def get_recipe(name: str) -> Recipe:
    """The recipe of an output type, in any case. Raises UnknownTypeError."""
    recipe = RECIPES.get(name.lower())
    if recipe is None:
        raise UnknownTypeError(name, list(RECIPES))
    return recipe


def tensor_type(
    recipe: Recipe, name: str, shape: tuple[int, ...], num_layers: int
) -> GGMLQuantizationType:
    """The type of the GGUF tensor `name`; `shape` is (rows, row length), or (length,)."""
    if len(shape) < 2:
        return F32
    if not recipe.is_quantized:
        return recipe.base
    return _fitting(_wanted(recipe, name, shape[-1], num_layers), shape[-1])


def _wanted(recipe: Recipe, name: str, row_size: int, num_layers: int) -> GGMLQuantizationType:
    if name == "output.weight":
        return Q6_K if recipe.base is not Q8_0 and _fits(recipe.base, row_size) else Q8_0
    match = SENSITIVE.fullmatch(name)
    if recipe.mixed and match and gets_more_bits(int(match[1]), num_layers):
        return Q6_K
    return recipe.base


def gets_more_bits(layer: int, num_layers: int) -> bool:
    """Whether a mixed type spends more bits on this layer's sensitive matrices."""
    eighth = num_layers // 8
    return layer < eighth or layer >= 7 * num_layers // 8 or (layer - eighth) % 3 == 2


def _fitting(wanted: GGMLQuantizationType, row_size: int) -> GGMLQuantizationType:
    for candidate in (wanted, FALLBACKS.get(wanted, F16)):
        if _fits(candidate, row_size):
            return candidate
    return F16


def _fits(candidate: GGMLQuantizationType, row_size: int) -> bool:
    block_size, _ = _block_sizes(candidate)
    return row_size % block_size == 0


def row_num_bytes(tensor_type: GGMLQuantizationType, row_size: int) -> int:
    """Bytes in a row of `row_size` values, which the type's block size divides."""
    block_size, block_num_bytes = _block_sizes(tensor_type)
    return row_size // block_size * block_num_bytes


def _block_sizes(tensor_type: GGMLQuantizationType) -> tuple[int, int]:
    """Values and bytes in a block."""
    sizes: tuple[int, int] = GGML_QUANT_SIZES[tensor_type]
    return sizes
